"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const number = (text) => parseFloat(text.replace(/[,≈★\s]/g, ""));
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (!isNaN(x) && !isNaN(y)) return x - y;
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    return a.localeCompare(b);
  };

  // Where a cell spans columns, the cells after it stand further right than they are counted.
  const textAt = (row, column) => {
    let at = 0;
    for (const cell of row.cells) {
      if (at >= column) return at === column ? cell.textContent : "";
      at += cell.colSpan;
    }
    return "";
  };

  const sort = (table, head, column) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [textAt(row, column), row]);
    rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
    table.tBodies[0].append(...rows.map((pair) => pair[1]));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(table, head, column));
      head.replaceChildren(button);
    });
  }

  const tip = byId("tip");
  const show = (text, box) => {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), innerWidth - width - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${box.top - height - 8 < 0 ? box.bottom + 8 : box.top - height - 8}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const point of document.querySelectorAll("[data-tip]")) {
    point.querySelector("title")?.remove(); // the browser's own would come on top
    point.setAttribute("aria-label", point.dataset.tip);
    point.addEventListener("mouseenter", () => show(point.dataset.tip, point.getBoundingClientRect()));
    point.addEventListener("focus", () => show(point.dataset.tip, point.getBoundingClientRect()));
    point.addEventListener("mouseleave", hide);
    point.addEventListener("blur", hide);
  }
  addEventListener("scroll", hide, { passive: true });

  const ops = byId("ops");
  if (ops) {
    const rows = [...ops.tBodies[0].rows]; // in the order of the strip, however they are sorted
    const cells = [...byId("strip").children];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    byId("strip").classList.toggle("many", rows.length > 400);
    const filter = () => {
      const wanted = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = byId("kind").value;
      let shown = 0;
      rows.forEach((row, i) => {
        const fits = (!kind || row.className === kind) && wanted.every((word) => texts[i].includes(word));
        row.hidden = !fits;
        cells[i].classList.toggle("off", !fits);
        shown += fits;
      });
      byId("shown").textContent = shown === rows.length ? `${shown} ops` : `${shown} of ${rows.length} ops`;
    };
    byId("search").addEventListener("input", filter);
    byId("kind").addEventListener("change", filter);
    filter(); // a reloaded page keeps what was typed
    byId("strip").addEventListener("mouseover", (event) => {
      const i = cells.indexOf(event.target);
      if (i < 0) return hide();
      const [, name, type, precision, why] = [...rows[i].cells].map((cell) => cell.textContent.trim());
      show(`${name} (${type}): ${precision}, ${why}`, cells[i].getBoundingClientRect());
    });
    byId("strip").addEventListener("mouseleave", hide);
    byId("strip").addEventListener("click", (event) => {
      const i = cells.indexOf(event.target);
      if (i < 0) return;
      cells.forEach((cell) => cell.classList.remove("on"));
      cells[i].classList.add("on");
      const box = ops.closest(".scroll");
      box.scrollTop += rows[i].getBoundingClientRect().top - box.getBoundingClientRect().top - 60;
    });
  }

  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
