"""Downloads that resume, retry and verify.

What has arrived is kept in ``<name>.part``. The next attempt, or the next run, asks for the rest on
the condition that the file is still the same one (``If-Range``). The file appears under its own
name when it is complete and verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.zoo.fetch.checksums import Checksum, ChecksumError, record, recorded, verify
from lpot_examples.zoo.fetch.lock import locked
from lpot_examples.zoo.fetch.partial import Partial
from lpot_examples.zoo.fetch.transfer import (
    DownloadError,
    PassingError,
    Patience,
    Progress,
    Transfer,
)

Tell = Callable[[str], None]
"""Called with a remark on what is happening."""

# New bytes that make a failure the first one again.
_HEADWAY = 1 << 20


def download(
    url: str,
    target: Path,
    *,
    checksum: Checksum | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    mirror: str | None = None,
    room: int = 0,
    progress: Progress | None = None,
    tell: Tell | None = None,
    patience: Patience | None = None,
) -> Path:
    """Bring a file from the network, unless it is here already.

    Proxies are taken from the environment (``http_proxy``, ``https_proxy``, ``no_proxy``). Of
    several processes that want the same file, one downloads it and the others wait.

    Args:
        url: ``http:`` or ``https:``.
        target: The file; its folder is made. A file that is there is verified.
        checksum: The published digest. Where there is none, the SHA-256 is recorded in
            ``<name>.sha256`` when the file is first seen, and compared afterwards.
        sha256: Short for ``checksum``.
        md5: Short for ``checksum``.
        size: The published size, bytes.
        mirror: An address that takes the place of the server's; the path stays.
        room: Bytes that must be free beside the file, for unpacking it, say.
        progress: Called with (bytes done, bytes in all or None).
        tell: Called with remarks: resuming, retrying, waiting for another process.
        patience: How long the server is waited for.

    Returns:
        ``target``.

    Raises:
        DownloadError: If it cannot be had; the bytes that arrived are kept.
        ChecksumError: If it is not the file that it should be.
        OutputError: If the folder is full or not writable.
    """
    say = tell or _silent
    expected = checksum or _short(sha256, md5)
    partial = Partial(target)
    transfer = Transfer(
        url=mirrored(url, mirror),
        partial=partial,
        size=size,
        room=room,
        patience=patience or Patience(),
        progress=progress,
    )
    _make_folder(target.parent)
    with locked(target, waiting=lambda: say(f"Another process is making {target}; waiting…")):
        if target.exists():
            _check_present(target, expected, size)
            return target
        try:
            _bring_verified(transfer, target, expected, say)
            partial.complete(target)
        except OSError as error:
            raise partial.unwritable(error) from error
    return target


def mirrored(url: str, mirror: str | None) -> str:
    """Return an address at a mirror, or the address itself.

    Args:
        url: The original address.
        mirror: What takes the place of scheme and server, such as ``http://host/zoo``; None for no
            mirror.

    Raises:
        DownloadError: If the mirror is no http address.
    """
    if not mirror:
        return url
    base = urlsplit(mirror)
    if base.scheme not in ("http", "https") or not base.hostname or base.query or base.fragment:
        raise DownloadError(
            "--mirror must be the address of a server, such as http://host/path, which has the "
            f"files under the same paths as the original one; it is '{mirror}'."
        )
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}{parts.path}{query}"


def _short(sha256: str | None, md5: str | None) -> Checksum | None:
    if sha256 is not None:
        return Checksum("sha256", sha256)
    return None if md5 is None else Checksum("md5", md5)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder}: {error.strerror}. Choose another."
        ) from error


def _check_present(target: Path, published: Checksum | None, size: int | None) -> None:
    """Verify a file that was here before, or record what it is."""
    advice = f"Delete {target} to have it downloaded again."
    if not target.is_file():
        raise OutputError(f"{target} must be a file; it is a folder or device. Move it away.")
    if size is not None and target.stat().st_size != size:
        raise ChecksumError(
            f"{target} must have {size:,} bytes (published size); it has "
            f"{target.stat().st_size:,}. {advice}"
        )
    _accept(target, target, published, advice)


def _bring_verified(
    transfer: Transfer, target: Path, published: Checksum | None, say: Tell
) -> None:
    """Have the whole file in ``<name>.part``, and be sure of it."""
    resumed = _bring(transfer, say)
    try:
        _check_arrived(transfer, target, published)
    except ChecksumError:
        transfer.partial.discard()
        if not resumed:
            raise
        say(f"{target.name}: the parts do not belong together; downloading it anew.")
        _bring(transfer, say)
        try:
            _check_arrived(transfer, target, published)
        except ChecksumError:
            transfer.partial.discard()
            raise


def _check_arrived(transfer: Transfer, target: Path, published: Checksum | None) -> None:
    partial = transfer.partial
    if transfer.size is not None and partial.size != transfer.size:
        raise ChecksumError(
            f"{transfer.url} must have {transfer.size:,} bytes (published size); "
            f"{partial.size:,} arrived. It is another file; try a mirror."
        )
    _accept(
        partial.path,
        target,
        published,
        f"{transfer.host} gives another file; it was not kept. Try a mirror"
        + ("." if published else f", or delete {target.name}.sha256 to accept what it gives."),
    )


def _accept(file: Path, target: Path, published: Checksum | None, advice: str) -> None:
    """Compare a file with what is known of it; where nothing is known, record its checksum."""
    if published is not None:
        verify(file, published, origin="published", advice=advice)
        return
    earlier = recorded(target)
    if earlier is None:
        record(file, name=target.name)
    else:
        verify(file, earlier, origin="recorded at the first download", advice=advice)


def _bring(transfer: Transfer, say: Tell) -> bool:
    """Attempt until the file is whole; return whether it began with bytes of an earlier run."""
    partial, patience = transfer.partial, transfer.patience
    present = partial.size if partial.origin(transfer.url) else 0
    if present:
        say(f"Going on at {present / 1e6:.1f} MB…")
    best, failures = present, 0
    with requests.Session() as session:
        while True:
            try:
                offset = transfer.attempt(session)
            except PassingError as error:
                failures += 1
                if partial.size > best + _HEADWAY:
                    best, failures = partial.size, 1
                if failures >= patience.attempts:
                    raise _given_up(transfer, error) from error
                pause = min(
                    max(patience.pause * 2 ** (failures - 1), error.wait or 0.0),
                    patience.longest_pause,
                )
                say(f"The download failed: {error.reason}. Trying again in {pause:.0f} s…")
                time.sleep(pause)
                continue
            return bool(present or offset)


def _given_up(transfer: Transfer, error: PassingError) -> LpotError:
    kept = transfer.partial.size
    rest = f" {kept / 1e6:.1f} MB are kept; the same command goes on from there." if kept else ""
    target = transfer.partial.path.with_suffix("")
    return DownloadError(
        f"cannot download {transfer.url}: {error.reason}, {transfer.patience.attempts} times. "
        "Check the network and the proxy settings (http_proxy, https_proxy), try a mirror, or put "
        f"the file at {target} yourself and run the same command again.{rest}"
    )


def _silent(_: str) -> None:
    """Take a remark that nobody wants."""
