"""The page in a real browser: no errors, nothing asked of the network, readable, and it works."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from lpot_examples.report.page import render
from tests.report.reports import REPORTS

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = [
    pytest.mark.skipif(
        not BROWSER,
        reason="NO BROWSER: the page of the report was not looked at; install chromium",
    ),
    pytest.mark.slow,
]

# A window of Chromium is not narrower; narrower pages are looked at in a frame.
NARROWEST = 500

# Runs in the page, last. Its findings go where --dump-dom shows them.
PROBE = """
<script>
window.found = {errors: [], denied: []};
addEventListener("error", (event) => found.errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => found.denied.push(event.blockedURI));
</script>
"""
REST = """
<script>
addEventListener("load", () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.getClientRects().length > 0;
  const box = (element) => element.getBoundingClientRect();
  const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
    || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
  found.asked = performance.getEntriesByType("resource").map((entry) => entry.name);
  found.wide = document.scrollingElement.scrollWidth - innerWidth;
  found.width = innerWidth;
  found.overlaps = [];
  for (const chart of all(".plot svg")) {
    const texts = [...chart.querySelectorAll("text")].filter(shown);
    texts.forEach((one, i) => texts.slice(i + 1).forEach((other) => {
      if (!apart(box(one), box(other))) found.overlaps.push([one.textContent, other.textContent]);
    }));
  }
  found.outside = all(".plot text, .card *, h1, h2").filter(
    (one) => shown(one) && (box(one).left < 0 || box(one).right > innerWidth + 1)
  ).map((one) => one.textContent);
  found.spills = all(".panel > *").filter(
    (one) => shown(one) && box(one).right > box(one.parentNode).right + 1
  ).map((one) => one.className || one.tagName);
  found.small = all("main *").filter(
    (one) => shown(one) && one.textContent.trim() && parseFloat(getComputedStyle(one).fontSize) < 11
  ).length;
  const ops = document.getElementById("ops");
  if (ops) {
    const rows = () => [...ops.tBodies[0].rows].filter((row) => !row.hidden);
    const search = document.getElementById("search");
    found.all = rows().length;
    search.value = "CONV1 int8";
    search.dispatchEvent(new Event("input"));
    found.searched = rows().length;
    found.said = document.getElementById("shown").textContent;
    search.value = "";
    search.dispatchEvent(new Event("input"));
    const head = ops.tHead.rows[0].cells[0];
    head.firstChild.click();
    head.firstChild.click();
    found.first = rows()[0].cells[0].textContent;
    found.sorted = head.getAttribute("aria-sort");
    document.querySelector("#strip i").dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    found.tip = document.getElementById("tip").textContent;
  }
  const out = parent.document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  parent.document.body.append(out);
});
</script>
"""


def look(page, folder, *, width, dark=False):
    """Open a page; return what the probe found and what the browser logged."""
    body = page.replace("<title>", f"{PROBE}<title>", 1).replace("</body>", f"{REST}</body>", 1)
    if width < NARROWEST:
        inner = html.escape(body)
        body = f'<iframe style="width:{width}px;height:1600px;border:0" srcdoc="{inner}"></iframe>'
    path = folder / "page.html"
    path.write_bytes(body.encode("utf-8", "replace"))
    run = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",  # what the browser itself would ask for
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={max(width, NARROWEST)},1600",
            *(["--force-dark-mode"] if dark else []),
            "--virtual-time-budget=4000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "HOME": str(folder)},
    )
    shown = re.search(r'<pre id="found">(.*?)</pre>', run.stdout, re.DOTALL)
    assert shown, run.stderr[-2000:]
    logged = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(shown[1])), logged


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("one", 1280, False),
        ("one", 400, True),
        ("hundred", 1280, True),
        ("hundred", 400, False),
        ("large", 1280, False),
        ("failed", 400, False),
        ("unchecked", 1280, False),
        ("several", 1200, False),
        ("several", 400, True),
        ("weighted", 1200, True),
        ("weighted", 400, False),
    ],
)
def test_it_is_quiet_and_readable(name, width, dark, tmp_path):
    found, logged = look(render(REPORTS[name]()), tmp_path, width=width, dark=dark)
    assert logged == []
    assert found["errors"] == []
    assert found["denied"] == []
    assert found["asked"] == []
    assert found["width"] == width
    assert found["wide"] <= 0, "the page must not scroll sideways"
    assert found["overlaps"] == []
    assert found["outside"] == []
    assert found["spills"] == [], "what is too wide must scroll in its own box"
    assert found["small"] == 0


def test_search_sorting_and_the_strip_work(tmp_path):
    found, _ = look(render(REPORTS["hundred"]()), tmp_path, width=1280)
    assert found["all"] == 30
    assert 1 <= found["searched"] < 12
    assert found["said"] == f"{found['searched']} of 30 ops"
    assert found["sorted"] == "descending"
    assert found["first"].strip() == "30"
    assert found["tip"].startswith("conv0 (Conv2D): ")


def test_the_probe_sees_what_is_wrong(tmp_path):
    broken = render(REPORTS["one"]()).replace(
        "<main>",
        '<main><img src="https://example.invalid/x.png"><div style="width:3000px;height:9px"></div>'
        "<script>missing()</script>",
        1,
    )
    found, logged = look(broken, tmp_path, width=1280)
    assert any("example.invalid" in uri for uri in found["denied"])
    assert found["wide"] > 0
    assert any("missing" in text for text in found["errors"])
    assert logged
