import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from lpot_examples.errors import OutputError
from lpot_examples.zoo.fetch import unpack as unpacking
from lpot_examples.zoo.fetch.unpack import ArchiveError, unpack

FILES = {"net/frozen.pb": b"graph" * 5000, "net/empty.txt": b"", "readme": b"hello"}
LIMIT = 1 << 20


def entry(name, content=b"x", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def tar(path, entries, *, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return path


def good(path):
    if path.suffix == ".zip":
        return zipped(path, FILES.items())
    mode = "w" if path.suffix == ".tar" else "w:gz"
    return tar(path, [entry(name, content) for name, content in FILES.items()], mode=mode)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip", "without_suffix"])
def test_archives_are_unpacked_whatever_they_are_called(tmp_path, name):
    archive = good(tmp_path / name)
    seen = []
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    assert unpack(archive, tmp_path / "out", limit_bytes=LIMIT, progress=progress)
    assert contents(tmp_path / "out") == FILES
    assert seen[-1][0] == sum(map(len, FILES.values()))
    assert {path.name for path in tmp_path.iterdir()} == {name, "out"}


def test_folders_of_archives_are_made_and_dots_are_ignored(tmp_path):
    folder = entry("./net/variables/", b"", type=tarfile.DIRTYPE)
    archive = tar(
        tmp_path / "a.tgz", [entry("./", b"", type=tarfile.DIRTYPE), folder, entry("./f")]
    )
    unpack(archive, tmp_path / "out", limit_bytes=LIMIT)
    assert (tmp_path / "out" / "net" / "variables").is_dir()
    assert contents(tmp_path / "out") == {"f": b"x"}


def test_permissions_are_not_taken_over(tmp_path):
    archive = tar(tmp_path / "a.tgz", [entry("f", mode=0o6777, uid=1, gid=1)])
    unpack(archive, tmp_path / "out", limit_bytes=LIMIT)
    mode = (tmp_path / "out" / "f").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


MALICIOUS = {
    "parent": (entry("../evil"), "a path outside"),
    "inner parent": (entry("a/../../evil"), "a path outside"),
    "absolute": (entry("/tmp/evil"), "an absolute path"),
    "drive": (entry("C:/evil"), "an absolute path"),
    "backslash": (entry("..\\evil"), "an absolute path"),
    "symlink": (entry("l", b"", type=tarfile.SYMTYPE, linkname="/etc"), "a link"),
    "hardlink": (entry("l", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "a link"),
    "character device": (entry("d", b"", type=tarfile.CHRTYPE, devmajor=1), "a device"),
    "block device": (entry("d", b"", type=tarfile.BLKTYPE, devmajor=8), "a device"),
    "fifo": (entry("p", b"", type=tarfile.FIFOTYPE), "a device"),
    "folder outside": (entry("../d", b"", type=tarfile.DIRTYPE), "a path outside"),
}


@pytest.mark.parametrize("kind", MALICIOUS)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_malicious_tar_is_refused_and_leaves_nothing(tmp_path, kind, mode):
    member, message = MALICIOUS[kind]
    archive = tar(tmp_path / "a.tgz", [entry("good"), member, entry("later")], mode=mode)
    with pytest.raises(ArchiveError, match=f"a.tgz holds '.*', which is {message}"):
        unpack(archive, tmp_path / "in" / "out", limit_bytes=LIMIT)
    assert not contents(tmp_path / "in")
    assert not (tmp_path / "evil").exists()
    assert list((tmp_path / "in").iterdir()) == []


def zip_entry(name, *, mode=0, encrypted=False):
    info = zipfile.ZipInfo(name)
    info.filename = name  # as it is, whatever this system's separator
    info.external_attr = mode << 16
    info.flag_bits |= encrypted
    return info, b"/etc/passwd"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (zip_entry("../evil"), "a path outside"),
        (zip_entry("a/../../evil"), "a path outside"),
        (zip_entry("/tmp/evil"), "an absolute path"),
        (zip_entry("C:\\evil"), "an absolute path"),
        (zip_entry("l", mode=stat.S_IFLNK | 0o777), "a link"),
        (zip_entry("d", mode=stat.S_IFCHR | 0o600), "a device"),
        (zip_entry("p", mode=stat.S_IFIFO | 0o600), "a special file"),
    ],
)
def test_a_malicious_zip_is_refused_and_leaves_nothing(tmp_path, member, message):
    archive = zipped(tmp_path / "a.zip", [("good", b"x"), member])
    with pytest.raises(ArchiveError, match=f"a.zip holds '.*', which is {message}"):
        unpack(archive, tmp_path / "in" / "out", limit_bytes=LIMIT)
    assert list((tmp_path / "in").iterdir()) == []


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("secret", b"x" * 100)])
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="'secret', which is encrypted"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_a_bomb_is_not_unpacked(tmp_path, name):
    zeros = bytes(LIMIT + 1)
    archive = tmp_path / name
    if name == "a.zip":
        zipped(archive, [("bomb", zeros)])
    else:
        tar(archive, [entry("bomb", zeros)])
    assert archive.stat().st_size < 10_000
    with pytest.raises(ArchiveError, match="unpacks to more than 1 MB"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)
    assert not (tmp_path / "out").exists()


def test_many_small_files_are_a_bomb_too(tmp_path):
    entries = [entry(f"f{i}") for i in range(20)]
    for archive in (
        tar(tmp_path / "a.tgz", entries),
        zipped(tmp_path / "a.zip", [(info.name, content) for info, content in entries]),
    ):
        with pytest.raises(ArchiveError, match="more than 19 files"):
            unpack(archive, tmp_path / "out", limit_bytes=LIMIT, limit_files=19)
        unpack(archive, tmp_path / archive.suffix, limit_bytes=LIMIT, limit_files=20)


def test_sizes_add_up(tmp_path):
    entries = [entry(f"f{i}", bytes(LIMIT // 4)) for i in range(5)]
    archive = tar(tmp_path / "a.tgz", entries)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)


def test_a_zip_that_understates_its_sizes_is_broken(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("f", bytes(100_000))])
    content = archive.read_bytes()
    archive.write_bytes(content.replace((100_000).to_bytes(4, "little"), (7).to_bytes(4, "little")))
    with pytest.raises(ArchiveError, match="is broken"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)


def test_a_forged_header_is_not_read_into_memory(tmp_path):
    """tarfile reads a pax header whole, however long it says that it is."""
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 1 << 30
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(header.tobuf())
        file.write(bytes(1 << 20))
    with pytest.raises(ArchiveError, match="a header of"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", limit_bytes=LIMIT)


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_archive_is_broken(tmp_path, name, part):
    noise = bytes(range(256)) * 40
    whole = tmp_path / f"whole-{name}"
    if name == "a.zip":
        zipped(whole, [("a", noise), ("b", noise)])
    else:
        mode = "w" if name == "a.tar" else "w:gz"
        tar(whole, [entry("a", noise), entry("b", noise)], mode=mode)
    content = whole.read_bytes().rstrip(b"\0")
    (tmp_path / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(ArchiveError, match=f"{name} is broken .*download it again"):
        unpack(tmp_path / name, tmp_path / "out", limit_bytes=LIMIT)
    assert not (tmp_path / "out").exists()


def test_a_tar_that_ends_between_two_files_is_broken(tmp_path):
    archive = tar(tmp_path / "a.tar", [entry("a", bytes(512)), entry("b", bytes(512))], mode="w")
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(ArchiveError, match="is broken .its end is missing"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)


def test_a_flipped_bit_is_found(tmp_path):
    archive = tar(tmp_path / "a.tgz", [entry("a", bytes(range(256)))])
    raw = gzip.decompress(archive.read_bytes())
    wrong = bytearray(gzip.compress(raw))
    wrong[-6] ^= 1  # in the checksum at the end
    archive.write_bytes(wrong)
    with pytest.raises(ArchiveError, match="is broken"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)


def test_a_page_in_place_of_an_archive_is_shown(tmp_path):
    (tmp_path / "a.tgz").write_text("<!DOCTYPE html><title>Please log in</title>" * 20)
    with pytest.raises(ArchiveError, match="it begins with '<!DOCTYPE html><title>"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", limit_bytes=LIMIT)


def test_what_is_there_is_replaced_only_on_demand(tmp_path):
    archive = good(tmp_path / "a.tgz")
    out = tmp_path / "out"
    out.mkdir()
    unpack(archive, out, limit_bytes=LIMIT)  # an empty folder may be filled
    (out / "mine").write_text("!")
    with pytest.raises(OutputError, match="exists already"):
        unpack(archive, out, limit_bytes=LIMIT)
    assert (out / "mine").exists()
    unpack(archive, out, limit_bytes=LIMIT, replace=True)
    assert contents(out) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "out"]


def test_a_check_that_fails_leaves_what_was_there(tmp_path):
    archive = good(tmp_path / "a.tgz")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("!")

    def check(folder):
        assert contents(folder) == FILES
        raise ArchiveError("not that one")

    with pytest.raises(ArchiveError, match="not that one"):
        unpack(archive, out, limit_bytes=LIMIT, replace=True, check=check)
    assert contents(out) == {"mine": b"!"}


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    archive = good(tmp_path / "a.tgz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacking, "_extract", full)
    with pytest.raises(OutputError, match="No space left on device. Make room"):
        unpack(archive, tmp_path / "out", limit_bytes=LIMIT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz"]
