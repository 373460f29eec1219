import io
import zipfile

import pytest

from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.opening import open_source
from lpot_examples.errors import DataError, LpotError
from lpot_examples.testing.data_sets import (
    coco_set,
    folder_set,
    imagenet_tars,
    plain_voc_set,
    voc_devkit,
)
from lpot_examples.zoo import public_datasets
from lpot_examples.zoo.public_datasets import PUBLIC, Archive, find_source


def zipped(folder, *, only=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name.startswith(only):
                archive.write(path, name)
    return buffer.getvalue()


def count(dataset, root, **options):
    source = open_source(dataset, root, troubles=Troubles(), **options)
    return {split: len(images) for split, images in source.splits.items()}


@pytest.fixture
def keep(tmp_path):
    return tmp_path / "keep"


def test_a_folder_is_taken_as_it_is(tmp_path, keep):
    plain_voc_set(tmp_path / "voc")
    assert find_source("voc", str(tmp_path / "voc"), keep) == tmp_path / "voc"
    assert not keep.exists()


def test_an_archive_is_unpacked_once_and_again_when_it_changed(tmp_path, keep):
    plain_voc_set(tmp_path / "a" / "my photographs")
    archive = tmp_path / "set.zip"
    archive.write_bytes(zipped(tmp_path / "a"))
    root = find_source("voc", str(archive), keep)
    assert count("voc", root) == {"": 4}
    assert find_source("voc", str(archive), keep) == root
    plain_voc_set(tmp_path / "b", images=6)
    archive.write_bytes(zipped(tmp_path / "b"))
    assert count("voc", find_source("voc", str(archive), keep)) == {"": 6}


def test_folders_of_splits_and_of_classes_survive_in_archives(tmp_path, keep):
    folder_set(tmp_path / "a" / "photographs" / "train", ["cat", "dog"])
    folder_set(tmp_path / "b" / "cat", ["cat"])
    expected = {"a": {"train": 6}, "b": {"": 3}}
    for name, splits in expected.items():
        (tmp_path / f"{name}.zip").write_bytes(zipped(tmp_path / name))
        root = find_source("folder", str(tmp_path / f"{name}.zip"), keep)
        assert count("folder", root) == splits


def test_a_folder_of_archives_is_put_together(tmp_path, keep):
    coco_set_folder = tmp_path / "coco"
    coco_set_folder.mkdir()
    coco_set(coco_set_folder)
    (tmp_path / "local").mkdir()
    parts = {"val2017.zip": "val2017", "annotations_trainval2017.zip": "annotations"}
    for name, only in parts.items():
        (tmp_path / "local" / name).write_bytes(zipped(coco_set_folder, only=only))
    assert count("coco", find_source("coco", str(tmp_path / "local"), keep)) == {"validation": 5}


def test_tars_of_imagenet_stay_packed(tmp_path, keep):
    imagenet_tars(tmp_path / "imagenet")
    for source in (tmp_path / "imagenet", tmp_path / "imagenet" / "ILSVRC2012_img_val.tar"):
        assert find_source("imagenet", str(source), keep) == source
    assert not keep.exists()


def test_an_address_is_downloaded_once(server, tmp_path, keep):
    folder_set(tmp_path / "set", ["cat", "dog"])
    server.files["/photographs.zip"] = zipped(tmp_path / "set")
    for _ in range(2):
        root = find_source("folder", server.url("/photographs.zip"), keep)
        assert count("folder", root) == {"": 6}
    assert len(server.requests) == 1


def _publish(server, monkeypatch, dataset, parts):
    import hashlib

    archives = {}
    for name, (path, data) in parts.items():
        server.files[path] = data
        digest = hashlib.md5(data).hexdigest()
        archives[name] = Archive(f"http://public.invalid{path}", digest, len(data))
    monkeypatch.setattr(public_datasets, "PUBLIC", {**PUBLIC, dataset: archives})


def test_the_public_download_of_coco(server, tmp_path, keep, monkeypatch):
    for split in ("val2017", "train2017"):
        (tmp_path / "coco").mkdir(exist_ok=True)
        coco_set(tmp_path / "coco", split=split, images=3)
    parts = {
        name: (f"/zips/{name}.zip", zipped(tmp_path / "coco", only=name))
        for name in ("annotations", "val2017", "train2017")
    }
    _publish(server, monkeypatch, "coco", parts)
    seen = []

    def find(*splits):
        return find_source(
            "coco",
            "",
            keep,
            splits=splits,
            mirror=server.address,
            progress=lambda what, done, total: seen.append(what),
        )

    assert count("coco", find()) == {"validation": 3}
    assert [path for path, _ in server.requests] == ["/zips/annotations.zip", "/zips/val2017.zip"]
    assert {"Downloading val2017.zip", "Unpacking val2017.zip"} <= set(seen)
    assert count("coco", find("val2017", "train2017")) == {"train": 3, "validation": 3}
    assert [path for path, _ in server.requests][2:] == ["/zips/train2017.zip"]
    with pytest.raises(DataError, match="--split must be val2017 or train2017"):
        find("val2014")


def test_a_download_that_is_not_what_was_published_is_refused(server, tmp_path, keep, monkeypatch):
    voc_devkit(tmp_path / "voc")
    data = zipped(tmp_path / "voc")
    _publish(server, monkeypatch, "voc", {"VOC2012": ("/voc.zip", data)})
    server.files["/voc.zip"] = data[:-1] + b"?"
    with pytest.raises(LpotError, match=r"voc\.zip"):
        find_source("voc", "", keep, mirror=server.address)
    server.files["/voc.zip"] = data
    found = count("voc", find_source("voc", "", keep, mirror=server.address))
    assert found == {"train": 3, "validation": 2}


def test_a_path_out_of_the_folder_is_refused(tmp_path, keep):
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../escaped.jpg", b"x")
    with pytest.raises(LpotError, match=r"bad\.zip.*\.\./escaped\.jpg"):
        find_source("folder", str(archive), keep)
    assert not list(tmp_path.rglob("escaped.jpg"))


def test_what_is_missing_or_needs_an_account_is_said(tmp_path, keep):
    with pytest.raises(DataError, match="--source must be a folder, .*none does not"):
        find_source("coco", str(tmp_path / "none"), keep)
    with pytest.raises(DataError, match="1. Register at https://image-net.org/"):
        find_source("imagenet", "", keep)
    with pytest.raises(DataError, match="--dataset=folder needs --source"):
        find_source("folder", "", keep)
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(LpotError, match=r"text\.zip"):
        find_source("voc", str(tmp_path / "text.zip"), keep)
