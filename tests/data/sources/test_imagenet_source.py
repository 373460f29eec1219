import tarfile

import numpy as np
import pytest

from lpot_examples.data.records.images import decoded_size
from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.imagenet import open_imagenet
from lpot_examples.data.sources.labels import read_labels_file
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import (
    SYNSETS,
    folder_set,
    imagenet_tars,
    picture,
    tar_of,
    voc_xml,
)


def opened(root, **options):
    return open_imagenet(root, troubles=options.pop("troubles", Troubles()), **options)


def labels(images):
    return {image.filename: (image.label, image.synset) for image in images}


TRAIN = {
    f"{synset}_{index}.JPEG": (number, synset)
    for number, synset in enumerate(SYNSETS, start=1)
    for index in range(2)
}
VALIDATION = {
    f"ILSVRC2012_val_{number:08}.JPEG": (1 + (number - 1) % 3, SYNSETS[(number - 1) % 3])
    for number in (1, 2, 3, 4)
}


@pytest.fixture
def root(tmp_path):
    imagenet_tars(tmp_path / "imagenet")
    return tmp_path / "imagenet"


def test_tars_are_read_as_they_are(root):
    source = opened(root)
    assert labels(source.splits["train"]) == TRAIN
    assert labels(source.splits["validation"]) == VALIDATION
    first = source.splits["train"][0]
    assert first.content.read() == picture(0)
    assert first.text == "tench, Tinca tinca"
    assert source.splits["validation"][3].content.read() == picture(93)
    assert "ILSVRC2012_img_val.tar: ILSVRC2012_val_00000004.JPEG" in str(
        source.splits["validation"][3].content
    )


def test_one_tar_alone(root):
    assert labels(opened(root / "ILSVRC2012_img_train.tar").splits["train"]) == TRAIN
    assert labels(opened(root / "ILSVRC2012_img_val.tar").splits["validation"]) == VALIDATION


def test_one_split_and_another_first_number(root):
    source = opened(root, splits=["validation"], first=0)
    assert list(source.splits) == ["validation"]
    assert [image.label for image in source.splits["validation"]] == [0, 1, 2, 0]
    (root / "ILSVRC2012_img_train.tar").unlink()
    with pytest.raises(DataError, match="holds no train images"):
        opened(root, splits=["train"])


def test_unpacked_tars_give_the_same(root):
    with tarfile.open(root / "ILSVRC2012_img_train.tar") as tar:
        tar.extractall(root / "train", filter="data")
    with tarfile.open(root / "ILSVRC2012_img_val.tar") as tar:
        tar.extractall(root / "val", filter="data")
    for path in [*root.glob("*.tar")]:
        path.unlink()
    synset_tars = opened(root)
    for path in [*(root / "train").glob("*.tar")]:
        with tarfile.open(path) as tar:
            tar.extractall(path.with_suffix(""), filter="data")
        path.unlink()
    for source in (synset_tars, opened(root)):
        assert labels(source.splits["train"]) == TRAIN
        assert labels(source.splits["validation"]) == VALIDATION


def test_folders_of_synsets_at_the_top_and_in_val(tmp_path):
    folder_set(tmp_path / "a", SYNSETS)
    file = tmp_path / "a" / "synset_words.txt"
    file.write_text("".join(f"{synset}\n" for synset in SYNSETS))
    images = opened(tmp_path / "a").splits[""]
    assert [image.label for image in images] == [1, 2, 3] * 3
    folder_set(tmp_path / "b" / "val", SYNSETS)
    names = read_labels_file(file, first=1)
    assert len(opened(tmp_path / "b", labels=names).splits["validation"]) == 9


def test_a_part_of_the_synsets_needs_the_list_of_all(root):
    (root / "synset_words.txt").unlink()
    with pytest.raises(DataError, match=r"holds 3 synsets, so .*--labels=synset_words\.txt"):
        opened(root)


def test_the_sorted_synsets_are_the_classes_when_all_are_there(tmp_path):
    names = [f"n{number:08}" for number in range(1000)]
    folder_set(tmp_path, names, images=1)
    source = opened(tmp_path)
    assert source.labels.by_synset["n00000999"].number == 1000


def test_photographs_with_labels_txt(tmp_path):
    for name in ("n01440764.jpg", "shark.jpg"):
        (tmp_path / name).write_bytes(picture(1))
    (tmp_path / "labels.txt").write_text("n01440764.jpg 0 tench\nshark.jpg 2 great white shark\n")
    source = opened(tmp_path)
    assert labels(source.splits[""]) == {
        "n01440764.jpg": (1, "n01440764"),
        "shark.jpg": (3, ""),
    }
    assert source.splits[""][1].text == "great white shark"
    (tmp_path / "labels.txt").write_text("n01440764.jpg 0\nnone.jpg 2\nshark.jpg x\n")
    with pytest.raises(DataError, match=r"labels\.txt:2: the image .*none\.jpg does not exist"):
        opened(tmp_path)
    troubles = Troubles(skip=True)
    assert len(opened(tmp_path, troubles=troubles).splits[""]) == 1
    assert len(troubles.found) == 2


def _val_txt(root):
    lines = [f"{name} {label - 1}\n" for name, (label, _) in VALIDATION.items()]
    (root / "val.txt").write_text("".join(lines))


def _synsets_in_order(root):
    lines = [f"{synset}\n" for _, (_, synset) in sorted(VALIDATION.items())]
    (root / "imagenet_2012_validation_synset_labels.txt").write_text("".join(lines))


def _kaggle(root):
    lines = [f"{name[:-5]},{synset} 1 2 3 4 \n" for name, (_, synset) in VALIDATION.items()]
    text = "ImageId,PredictionString\n" + "".join(lines)
    (root / "LOC_val_solution.csv").write_text(text)


def _kit(root, *, packed=True):
    """The kit's numbers are not in the order of synsets; it has further synsets."""
    from scipy.io import savemat

    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    rows = [(2, SYNSETS[0], "tench"), (3, SYNSETS[1], "goldfish"), (1, SYNSETS[2], "shark")]
    rows.append((1001, "n00000001", "thing"))
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=kind)})
    numbers = {synset: number for number, synset, _ in rows}
    lines = [f"{numbers[synset]}\n" for _, (_, synset) in sorted(VALIDATION.items())]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(lines))
    if packed:
        with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
            tar.add(root / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
        for path in folder.iterdir():
            path.unlink()


@pytest.mark.parametrize("write", [_val_txt, _synsets_in_order, _kaggle, _kit])
def test_every_form_of_the_validation_classes(root, write):
    (root / "val.txt").unlink()
    write(root)
    assert labels(opened(root).splits["validation"]) == VALIDATION


@pytest.mark.parametrize("packed", [True, False])
def test_the_development_kit_names_the_classes_too(root, packed):
    (root / "val.txt").unlink()
    (root / "synset_words.txt").unlink()
    _kit(root, packed=packed)
    source = opened(root)
    assert labels(source.splits["validation"]) == VALIDATION
    assert [row.name for row in source.labels.labels] == ["tench", "goldfish", "shark"]


def test_validation_classes_that_do_not_fit(root):
    (root / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 0\n")
    with pytest.raises(
        DataError, match=r"00000002\.JPEG has no class: .*val\.txt does not list it"
    ):
        opened(root)
    (root / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG tench\n")
    with pytest.raises(DataError, match=r"val\.txt:1: a line must be 'file index'"):
        opened(root)
    (root / "val.txt").unlink()
    with pytest.raises(DataError, match="classes of the validation images .* are missing. Put one"):
        opened(root)
    (root / "imagenet_2012_validation_synset_labels.txt").write_text("n01440764\n")
    with pytest.raises(DataError, match="it has 1 for 4 images"):
        opened(root)
    _kit(root)
    (root / "imagenet_2012_validation_synset_labels.txt").unlink()
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"devkit_t12\.tar\.gz cannot be read"):
        opened(root)


def test_damaged_tars_are_named(root):
    tar = root / "ILSVRC2012_img_val.tar"
    tar.write_bytes(tar.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"ILSVRC2012_img_val\.tar must be an uncompressed tar"):
        opened(root)
    tar.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(DataError, match=r"ILSVRC2012_img_val\.tar must be an uncompressed tar"):
        opened(root)


def test_a_tar_of_something_else_is_named(root):
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of({"cat.jpg": picture(1)}))
    with pytest.raises(DataError, match=r"must hold a tar for each synset.* it holds cat\.jpg"):
        opened(root)


def test_boxes_from_xml_and_csv(root, tmp_path):
    folder = tmp_path / "boxes" / SYNSETS[0]
    folder.mkdir(parents=True)
    boxes = [(SYNSETS[0], 10, 10, 90, 50), (SYNSETS[1], 0, 0, 10, 10), ("thing", 0, 0, 10, 10)]
    (folder / f"{SYNSETS[0]}_0.xml").write_text(voc_xml("x", boxes, size=(100, 50)))
    images = {i.filename: i for i in opened(root, boxes=tmp_path / "boxes").splits["train"]}
    objects = images[f"{SYNSETS[0]}_0.JPEG"].objects
    assert [(item.label, item.frame) for item in objects] == [
        (1, (100, 50)),
        (2, (100, 50)),
        (1, (100, 50)),
    ]
    assert images[f"{SYNSETS[0]}_1.JPEG"].objects == ()
    file = tmp_path / "boxes.csv"
    file.write_text(f"{SYNSETS[0]}_0.JPEG,0.1,0.2,0.5,0.75\n")
    images = {i.filename: i for i in opened(root, boxes=file).splits["train"]}
    (item,) = images[f"{SYNSETS[0]}_0.JPEG"].objects
    assert (item.box, item.frame, item.label) == ((0.1, 0.2, 0.5, 0.75), (1, 1), 1)
    file.write_text(f"\n{SYNSETS[0]}_0.JPEG,0.1,0.2,0.5\n")
    with pytest.raises(DataError, match=r"boxes\.csv:1: a line must be"):
        opened(root, boxes=file)
    with pytest.raises(DataError, match="must hold ImageNet's boxes as xml; it holds none"):
        opened(root, boxes=root)


def test_images_in_a_tar_are_whole(root):
    for split in opened(root).splits.values():
        for image in split:
            assert decoded_size(image.content.read(), place="x")[:2] == (48, 32)
