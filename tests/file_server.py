"""A local HTTP server that serves files well, or badly in ways that a test asks for."""

import re
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Files by path, and what to do instead of serving them.

    Attributes:
        files: Path → content.
        tags: Path → entity tag; the content's hash when there is none.
        script: Answers to the next requests, first in first out; each is called with the handler
            and its path. When it is empty, files are served as they should be.
        requests: (path, headers) of every request.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.script: list[Callable[[Handler, str], None]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"{self.address}{path}"

    def tag(self, path: str) -> str:
        """The entity tag of a path."""
        return self.tags.get(path, f'"{hash(self.files[path])}"')

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of every request."""
        return [headers.get("Range") for _, headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Serves a `FileServer`."""

    protocol_version = "HTTP/1.1"
    files: FileServer

    def do_GET(self) -> None:  # noqa: N802
        """Serve a file, or do what the script says."""
        path = re.sub(r"^https?://[^/]+", "", self.path)  # a proxy is asked for whole addresses
        self.files.requests.append((self.path, dict(self.headers)))
        with suppress(ConnectionError):  # clients hang up when they have seen enough
            if self.files.script:
                self.files.script.pop(0)(self, path)
            else:
                self.serve(path)

    def serve(
        self,
        path: str,
        *,
        send: int | None = None,
        announce: int | None = None,
        ranges: bool = True,
        validate: bool = True,
    ) -> None:
        """Serve a file.

        Args:
            path: Which.
            send: Only so many bytes of the body, then cut the connection.
            announce: A false Content-Length.
            ranges: Whether Range is heeded.
            validate: Whether If-Range is heeded.
        """
        content = self.files.files.get(path)
        if content is None:
            self.fail(404)
            return
        tag = self.files.tag(path)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if ranges else None
        if wanted and validate and self.headers.get("If-Range") not in (None, tag):
            wanted = None
        start = int(wanted[1]) if wanted else 0
        if start and start >= len(content):
            self.fail(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        body = content[start:]
        self.send_header("Content-Length", str(len(body) if announce is None else announce))
        self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(body if send is None else body[:send])
        if send is not None or announce is not None:
            self.cut()

    def fail(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer with an error."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def cut(self) -> None:
        """End the connection."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def file_server():
    """A server on a free port of this machine, for as long as the block runs."""
    handler = type("Handler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.files = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield handler.files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
