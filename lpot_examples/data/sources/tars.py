"""Where the images in uncompressed tars are, so that they are read without being unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path

from lpot_examples.data.sources.annotated import Content
from lpot_examples.errors import DataError


def images_in_tar(path: Path) -> Generator[tuple[str, Content], None, None]:
    """Yield each file of a tar, those of tars within it too, in the order they lie there.

    Args:
        path: An uncompressed tar, such as ``ILSVRC2012_img_train.tar`` (a tar of tars).

    Yields:
        The file's name, that of the inner tar before it (``n01440764.tar/n01440764_18.JPEG``), and
        where its bytes are.

    Raises:
        DataError: If the tar cannot be read, is compressed or ends early.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            yield from _files(tar, path, prefix="", start=0)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"{path} must be an uncompressed tar; it cannot be read to its end ({error}). "
            "Download it again, or unpack it if it is compressed."
        ) from None
    except OSError as error:
        raise DataError(f"The archive {path} cannot be read: {error.strerror}.") from None


def _files(
    tar: tarfile.TarFile, path: Path, *, prefix: str, start: int
) -> Iterator[tuple[str, Content]]:
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # the index of 1.3 million files needs no second copy
        if not member.isreg():
            continue
        name, offset = f"{prefix}{member.name}", start + member.offset_data
        if not member.name.endswith(".tar"):
            content = Content(path=path, offset=offset, length=member.size, name=f"{path}: {name}")
            yield name, content
            continue
        inner = tar.extractfile(member)
        assert inner is not None  # a regular file has content
        with tarfile.open(fileobj=inner, mode="r:") as nested:
            yield from _files(nested, path, prefix=f"{name}/", start=offset)
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Check that the archive ends here: tarfile stops silently at a header it cannot read."""
    file = tar.fileobj
    assert file is not None
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"no end after {tar.offset} bytes")
