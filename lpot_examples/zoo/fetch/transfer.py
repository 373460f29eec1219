"""One attempt to bring a file, or the rest of it, over HTTP."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import urllib3

from lpot_examples.errors import LpotError
from lpot_examples.zoo.fetch.partial import Origin, Partial

Progress = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all); None where the latter is not known."""

_BLOCK = 1 << 18
_ROOM_CHECK = 1 << 26
_SLOWEST = 1024  # bytes per second
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_LASTING = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.SSLError,
)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DownloadError(LpotError):
    """A file cannot be downloaded."""


class PassingError(Exception):
    """An attempt failed for a reason that may pass.

    Args:
        reason: In words that continue ``the download failed: ``.
        wait: Seconds that the server asks to wait; None where it does not.
    """

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        attempts: Failures in a row, without new bytes between them, before giving up.
        pause: Seconds before the second attempt; each further pause is twice as long.
        longest_pause: Seconds that no pause exceeds, also where the server asks for more.
        connect: Seconds for the connection to be made.
        stall: Seconds of silence that end an attempt.
        slow: Seconds over which a rate below 1 KiB/s ends an attempt.
    """

    attempts: int = 5
    pause: float = 1.0
    longest_pause: float = 30.0
    connect: float = 15.0
    stall: float = 30.0
    slow: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Attempts to bring one file to ``<name>.part``.

    Attributes:
        url: The address.
        partial: Where the bytes go.
        size: Published size of the file, bytes.
        room: Bytes that must be free beside the file itself.
        patience: How long the server is waited for.
        progress: Told of bytes.
    """

    url: str
    partial: Partial
    size: int | None
    room: int
    patience: Patience
    progress: Progress | None

    @property
    def host(self) -> str:
        """The server, for messages."""
        return urlsplit(self.url).hostname or self.url

    def attempt(self, session: requests.Session) -> int:
        """Ask for what is missing and write it.

        Args:
            session: Holds proxies from the environment.

        Returns:
            How many bytes were there before.

        Raises:
            PassingError: If another attempt may succeed.
            DownloadError: If none will.
            OutputError: If the disk is full or not writable.
        """
        origin = self.partial.origin(self.url)
        offset = self.partial.size if origin is not None else 0
        if origin is not None and origin.total == offset:
            return offset
        headers = {"Accept-Encoding": "identity"}
        if origin is not None:
            headers |= {"Range": f"bytes={offset}-", "If-Range": origin.validator}
        try:
            with session.get(
                self.url,
                headers=headers,
                stream=True,
                timeout=(self.patience.connect, self.patience.stall),
            ) as response:
                offset, total = self._begin(response, offset)
                self._write(response.raw, offset, total)
        except _LASTING as error:
            raise DownloadError(f"cannot download {self.url}: {_reason(error)}.") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise PassingError(_reason(error)) from error
        return offset

    def _begin(self, response: requests.Response, asked: int) -> tuple[int, int | None]:
        """Check the head of the answer; return from which byte it begins and the file's size."""
        self._check_status(response)
        length = response.headers.get("Content-Length", "")
        body = int(length) if length.isdigit() else None
        if response.status_code == requests.codes.partial_content:
            offset, total = self._continued(response, asked)
        else:  # the server ignores ranges, or its file is another one by now
            offset, total = 0, body
        if self.size is not None and total is not None and total != self.size:
            self.partial.discard()
            raise DownloadError(
                f"{self.url} must have {self.size:,} bytes (published size); {self.host} announces "
                f"{total:,}. It is another file, or an answer of a proxy; try a mirror."
            )
        known = total if total is not None else self.size
        self.partial.check_room((known or 0) - offset + self.room)
        self.partial.begin(Origin(self.url, _validator(response), total))
        return offset, total

    def _continued(self, response: requests.Response, asked: int) -> tuple[int, int | None]:
        parts = _RANGE.match(response.headers.get("Content-Range", ""))
        origin = self.partial.origin(self.url)
        total = int(parts[2]) if parts is not None and parts[2].isdigit() else None
        fits = parts is not None and int(parts[1]) == asked and origin is not None
        if origin is not None:  # some servers heed Range and not If-Range
            fits = fits and total in (None, origin.total)
            fits = fits and _validator(response) in ("", origin.validator)
        if not fits:
            self.partial.discard()
            raise PassingError(f"{self.host} did not send the part that was asked for")
        return asked, total

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (requests.codes.ok, requests.codes.partial_content):
            return
        if status == requests.codes.requested_range_not_satisfiable:
            self.partial.discard()
            raise PassingError(f"{self.host} has no more of the file than is here")
        what = f"{self.host} answers {status} {response.reason or ''}".rstrip()
        if status in _PASSING_STATUSES:
            wait = response.headers.get("Retry-After", "")
            raise PassingError(what, wait=float(wait) if wait.isdigit() else None)
        raise DownloadError(
            f"cannot download {self.url}: {what}. The file is no longer there or may not be had; "
            "try a mirror, or get it elsewhere."
        )

    def _write(self, body: Any, offset: int, total: int | None) -> None:
        with self._opened(offset) as file:
            done = self._copy(body, file, offset, total)
        if total is not None and done < total:
            raise PassingError(f"{self.host} sent {done:,} of {total:,} bytes")

    def _copy(self, body: Any, file: IO[bytes], offset: int, total: int | None) -> int:
        """Write the body block by block; return the size of the file then."""
        done, checked = offset, offset
        window, since = offset, time.monotonic()
        while block := body.read1(_BLOCK, decode_content=False):
            try:
                file.write(block)
            except OSError as error:
                raise self.partial.unwritable(error) from error
            done += len(block)
            if self.progress is not None:
                self.progress(done, total)
            self._check_excess(done)
            if total is None and done - checked >= _ROOM_CHECK:  # it may never end
                self.partial.check_room(self.room)
                checked = done
            now = time.monotonic()
            if now - since >= self.patience.slow:
                if done - window < _SLOWEST * (now - since):
                    raise PassingError(f"{self.host} sends less than {_SLOWEST} bytes a second")
                window, since = done, now
        return done

    def _check_excess(self, done: int) -> None:
        if self.size is not None and done > self.size:
            self.partial.discard()
            raise DownloadError(
                f"{self.url} must have {self.size:,} bytes (published size); {self.host} sends "
                "more. It is another file; try a mirror."
            )

    def _opened(self, offset: int) -> IO[bytes]:
        try:
            file = self.partial.path.open("r+b" if offset else "wb")
            file.seek(offset)
        except OSError as error:
            raise self.partial.unwritable(error) from error
        return file


def _validator(response: requests.Response) -> str:
    """Return what If-Range takes (RFC 9110, 13.1.5): a strong tag, or a date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _reason(error: BaseException) -> str:
    """Return what the innermost error says."""
    if isinstance(error, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return "the server went silent"
    innermost: BaseException = error
    while (inner := innermost.__cause__ or innermost.__context__) is not None:
        innermost = inner
    if isinstance(innermost, http.client.IncompleteRead):
        return "the connection ended early"
    if isinstance(innermost, TimeoutError):
        return "there was no answer in time"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror
    text = str(innermost) or str(error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
