import hashlib
import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.zoo.fetch import partial as partials
from lpot_examples.zoo.fetch.checksums import Checksum, ChecksumError
from lpot_examples.zoo.fetch.download import download, mirrored
from lpot_examples.zoo.fetch.transfer import DownloadError, Patience

CONTENT = random.Random(7).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/models/net.tar.gz"
QUICK = Patience(attempts=3, pause=0.01, longest_pause=0.05, connect=2.0, stall=0.4, slow=5.0)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "models" / "net.tar.gz"


def bring(server, target, **options):
    server.files.setdefault(PATH, CONTENT)
    return download(server.url(PATH), target, patience=QUICK, **options)


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_whole_file_arrives_with_its_checksum_recorded_and_nothing_else(server, target):
    seen = []
    assert bring(server, target, progress=lambda *bytes_: seen.append(bytes_)) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["net.tar.gz", "net.tar.gz.sha256"]
    record = target.with_name("net.tar.gz.sha256").read_text()
    assert record == f"{SHA256}  net.tar.gz\n"
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_published_checksum_is_compared_and_not_recorded(server, target):
    md5 = hashlib.md5(CONTENT).hexdigest()
    bring(server, target, md5=md5, size=len(CONTENT))
    assert names(target) == ["net.tar.gz"]


def test_a_file_that_is_here_is_verified_and_not_downloaded(server, target):
    bring(server, target, sha256=SHA256)
    bring(server, target, sha256=SHA256)
    assert len(server.requests) == 1
    target.write_bytes(b"other")
    with pytest.raises(ChecksumError, match=r"it has [0-9a-f]{64}. Delete .*net.tar.gz to have"):
        bring(server, target, sha256=SHA256)
    with pytest.raises(ChecksumError, match="must have 3,000,000 bytes .*it has 5"):
        bring(server, target, sha256=SHA256, size=len(CONTENT))
    assert target.read_bytes() == b"other"


def test_a_truncated_answer_is_continued_where_it_ended(server, target):
    server.script = [lambda handler, path: handler.serve(path, send=1_000_000)]
    remarks = []
    bring(server, target, tell=remarks.append)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]
    assert server.requests[1][1]["If-Range"] == server.tag(PATH)
    assert any("the connection ended early. Trying again" in remark for remark in remarks)


def test_a_second_run_goes_on_where_the_first_gave_up(server, target):
    cut = [lambda handler, path: handler.serve(path, send=300_000)]
    server.script = cut * QUICK.attempts
    with pytest.raises(DownloadError, match=r"3 times.*0.9 MB are kept; the same command"):
        bring(server, target)
    assert names(target) == ["net.tar.gz.part", "net.tar.gz.part.json"]
    remarks = []
    bring(server, target, tell=remarks.append)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=900000-"
    assert remarks == ["Going on at 0.9 MB…"]
    assert names(target) == ["net.tar.gz", "net.tar.gz.sha256"]


def test_headway_is_not_counted_as_failure(server, target):
    """Five cuts with over a megabyte between them, where three in a row are the limit."""
    server.files[PATH] = CONTENT * 3
    server.script = [lambda handler, path: handler.serve(path, send=1_200_000)] * 5
    bring(server, target)
    assert target.read_bytes() == CONTENT * 3


def test_a_server_that_always_cuts_and_ignores_ranges_is_given_up(server, target):
    def cut(handler, path):
        handler.serve(path, send=1_500_000, ranges=False)

    server.script = [cut] * 10
    with pytest.raises(DownloadError, match="the connection ended early, 3 times"):
        bring(server, target)
    assert len(server.requests) <= QUICK.attempts + 1


def test_a_stall_is_ended_and_continued(server, target):
    stopped = threading.Event()

    def stall(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("ETag", handler.files.tag(path))
        handler.end_headers()
        handler.wfile.write(CONTENT[:500_000])
        handler.wfile.flush()
        stopped.wait(10)
        handler.close_connection = True

    server.script = [stall]
    remarks = []
    began = time.monotonic()
    bring(server, target, tell=remarks.append)
    stopped.set()
    assert time.monotonic() - began < 5
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=500000-"]
    assert "the server went silent" in remarks[0]


def test_a_trickle_counts_as_a_stall(server, target):
    def trickle(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("ETag", handler.files.tag(path))
        handler.end_headers()
        for byte in CONTENT[:200]:
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        handler.close_connection = True

    server.script = [trickle]
    server.files[PATH] = CONTENT
    remarks = []
    patience = Patience(attempts=2, pause=0.01, stall=1.0, slow=0.3)
    download(server.url(PATH), target, patience=patience, tell=remarks.append)
    assert target.read_bytes() == CONTENT
    assert "sends less than 1024 bytes a second" in remarks[0]


def test_redirects_are_followed(server, target):
    def elsewhere(handler, path):
        handler.fail(302, {"Location": handler.files.url("/elsewhere/net.tar.gz")})

    server.files["/elsewhere/net.tar.gz"] = CONTENT
    server.script = [elsewhere]
    bring(server, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1][0] == "/elsewhere/net.tar.gz"


def test_redirects_in_a_circle_are_an_error_at_once(server, target):
    server.script = [lambda handler, path: handler.fail(302, {"Location": path})] * 40
    with pytest.raises(DownloadError, match="redirects"):
        bring(server, target)


def test_a_file_that_is_gone_is_an_error_at_once(server, target):
    with pytest.raises(DownloadError, match=r"net.zip: 127.0.0.1 answers 404 Not Found"):
        download(server.url("/net.zip"), target, patience=QUICK)
    assert len(server.requests) == 1
    assert names(target) == []


def test_a_busy_server_is_asked_again(server, target):
    server.script = [
        lambda handler, path: handler.fail(503, {"Retry-After": "0"}),
        lambda handler, path: handler.fail(429),
    ]
    remarks = []
    bring(server, target, tell=remarks.append)
    assert target.read_bytes() == CONTENT
    assert "127.0.0.1 answers 503 Service Unavailable" in remarks[0]


def test_a_server_that_announces_too_much_is_given_up(server, target):
    def lie(handler, path):
        handler.serve(path, announce=len(CONTENT) + 99, ranges=False)

    server.script = [lie] * 10
    with pytest.raises(DownloadError, match="the connection ended early, 3 times"):
        bring(server, target)


def test_a_server_that_announces_too_little_is_found_out(server, target):
    def lie(handler, path):
        handler.serve(path, announce=1000)

    server.script = [lie] * 10
    with pytest.raises(DownloadError, match="must have 3,000,000 bytes .*announces 1,000"):
        bring(server, target, size=len(CONTENT))
    with pytest.raises(ChecksumError, match="must have the sha256 .*published.*gives another file"):
        bring(server, target, sha256=SHA256)
    assert names(target) == []


def test_a_server_that_sends_more_than_the_published_size_is_stopped(server, target):
    def endless(handler, _):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        with pytest.raises(OSError):
            while True:
                handler.wfile.write(CONTENT)
        handler.close_connection = True

    server.script = [endless]
    with pytest.raises(DownloadError, match="sends more"):
        bring(server, target, size=len(CONTENT))
    assert names(target) == []


def test_a_file_that_changes_between_attempts_is_downloaded_anew(server, target):
    def cut_and_change(handler, path):
        handler.serve(path, send=1_000_000)
        handler.files.files[path] = CONTENT[::-1]

    server.script = [cut_and_change]
    bring(server, target)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("honest", [True, False])
def test_a_server_that_ignores_if_range_mixes_no_files(server, target, honest):
    """Found out by the entity tag of the answer; where that lies too, by the checksum."""

    def cut_and_change(handler, path):
        handler.files.tags[path] = '"old"'
        handler.serve(path, send=1_000_000)
        handler.files.files[path] = CONTENT[::-1]
        if honest:
            handler.files.tags[path] = '"new"'

    server.script = [cut_and_change, lambda handler, path: handler.serve(path, validate=False)]
    remarks = []
    bring(server, target, sha256=hashlib.sha256(CONTENT[::-1]).hexdigest(), tell=remarks.append)
    assert target.read_bytes() == CONTENT[::-1]
    assert any("do not belong together" in remark for remark in remarks) != honest


def test_a_server_without_tags_is_asked_for_the_whole_file(server, target):
    def without_tag(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:1_000_000])
        handler.cut()

    server.script = [without_tag]
    bring(server, target)
    assert server.ranges == [None, None]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, target):
    server.script = [lambda handler, path: handler.serve(path, send=1_000_000)] * 1
    with pytest.raises(DownloadError):
        server.files[PATH] = CONTENT
        download(server.url(PATH), target, patience=Patience(attempts=1))
    with target.with_name("net.tar.gz.part").open("ab") as file:
        file.write(bytes(5_000_000))
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_file_is_not_kept(server, target):
    server.files[PATH] = CONTENT[:-1] + b"x"
    with pytest.raises(ChecksumError, match="must have the sha256 .*another file; it was not kept"):
        bring(server, target, sha256=SHA256)
    assert names(target) == []
    assert len(server.requests) == 1


def test_a_recorded_checksum_holds_for_later_downloads(server, target):
    bring(server, target)
    target.unlink()
    server.files[PATH] = CONTENT[::-1]
    with pytest.raises(ChecksumError, match=r"recorded at the first download.*delete net.tar.gz.s"):
        bring(server, target)
    assert names(target) == ["net.tar.gz.sha256"]
    target.with_name("net.tar.gz.sha256").write_text("?\n")
    with pytest.raises(ChecksumError, match="must hold one line"):
        bring(server, target)


def test_bytes_come_as_they_are_stored(server, target):
    """Some servers call a .tar.gz compressed in transit, which it is not."""

    def labelled(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.script = [labelled]
    bring(server, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_mirror_takes_the_place_of_the_server(server, target):
    server.files["/zoo" + PATH] = CONTENT
    download(f"http://unknown.invalid{PATH}", target, mirror=server.url("/zoo/"), patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert mirrored("https://a.b/c/d?e=f", "http://m:8080") == "http://m:8080/c/d?e=f"
    assert mirrored("https://a.b/c", None) == "https://a.b/c"
    for wrong in ("mirror.example", "file:///etc", "http://", "http://a/?b"):
        with pytest.raises(DownloadError, match=r"--mirror must be the address"):
            mirrored("https://a.b/c", wrong)


def test_a_proxy_of_the_environment_is_used(server, target, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.setenv("no_proxy", "")
    server.files[PATH] = CONTENT
    download(f"http://unknown.invalid{PATH}", target, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.requests[0][0] == f"http://unknown.invalid{PATH}"


def test_without_a_network_the_message_says_what_to_do(target):
    with pytest.raises(DownloadError) as caught:
        download("http://127.0.0.1:9/net.tar.gz", target, patience=QUICK)
    message = str(caught.value)
    assert "Connection refused, 3 times" in message
    assert "http_proxy" in message
    assert f"put the file at {target} yourself" in message


def test_a_full_disk_is_told_before_the_download(server, target, monkeypatch):
    usage = type("Usage", (), {"free": 64 << 20})
    monkeypatch.setattr(partials.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="67 MB free; 3 MB are needed"):
        bring(server, target)
    assert names(target) == []


def test_a_folder_that_is_not_writable_is_named(server):
    with pytest.raises(OutputError, match="cannot write in /proc: .*Choose a folder"):
        bring(server, Path("/proc/net.tar.gz"))


def test_a_folder_that_cannot_be_made_is_named(server, target):
    target.parent.write_text("a file")
    with pytest.raises(OutputError, match="cannot make the folder"):
        bring(server, target)


def test_two_threads_download_once(server, target):
    server.files[PATH] = CONTENT
    remarks, errors = [], []

    def run():
        try:
            download(server.url(PATH), target, patience=QUICK, tell=remarks.append)
        except LpotError as error:
            errors.append(error)

    def slowly(handler, path):
        time.sleep(0.3)
        handler.serve(path)

    server.script = [slowly]
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(server.requests) == 1
    assert target.read_bytes() == CONTENT
    assert sum("waiting" in remark for remark in remarks) == 3
    assert names(target) == ["net.tar.gz", "net.tar.gz.sha256"]


def test_a_process_that_is_killed_leaves_what_the_next_one_continues(server, target):
    server.files[PATH] = CONTENT
    reached = threading.Event()

    def hang(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("ETag", handler.files.tag(path))
        handler.end_headers()
        handler.wfile.write(CONTENT[:2_000_000])
        handler.wfile.flush()
        reached.set()
        time.sleep(30)

    server.script = [hang]
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from lpot_examples.zoo.fetch.download import download
        download({server.url(PATH)!r}, Path({str(target)!r}))
        """
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    try:
        assert reached.wait(20)
        part = target.with_name("net.tar.gz.part")
        deadline = time.monotonic() + 10
        while not (part.exists() and part.stat().st_size > 1_000_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    kept = part.stat().st_size
    bring(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={kept}-"


def test_checksums_are_checked_where_they_are_written_down():
    assert Checksum("md5", "0" * 32).value == "0" * 32
    for algorithm, value in [("md5", "0" * 31), ("sha256", "G" * 64), ("crc32", "0" * 8)]:
        with pytest.raises(ValueError, match="is no digest"):
            Checksum(algorithm, value)
