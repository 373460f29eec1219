import pytest

from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.labels import named
from lpot_examples.data.sources.voc import CLASSES, open_voc
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import picture, plain_voc_set, voc_devkit, voc_xml


def names(source, split=""):
    return [image.source_id for image in source.splits[split]]


def test_the_plain_layout(tmp_path):
    plain_voc_set(tmp_path)
    source = open_voc(tmp_path, troubles=Troubles())
    assert names(source) == ["photo-0", "photo-1", "photo-2", "photo-3"]
    assert [(row.number, row.name) for row in source.labels.labels] == [(1, "cat"), (2, "emu")]
    image = source.splits[""][1]
    assert image.size == (48, 32)
    item = image.objects[0]
    assert (item.box, item.label, item.text) == ((4, 5, 21, 30), 2, "emu")
    assert (item.difficult, item.truncated, item.view) == (False, True, "Left")


def test_images_and_xml_may_share_a_folder(tmp_path):
    plain_voc_set(tmp_path / "set")
    for path in [*tmp_path.glob("set/*/*")]:
        path.rename(tmp_path / path.name)
    assert len(names(open_voc(tmp_path, troubles=Troubles()))) == 4


def test_the_layout_of_the_challenge(tmp_path):
    voc_devkit(tmp_path)
    for root in (tmp_path, tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2012"):
        source = open_voc(root, troubles=Troubles())
        assert names(source, "train") == ["a", "b", "c"]
        assert names(source, "validation") == ["d", "e"]
    assert len(source.labels) == len(CLASSES) == 20
    assert [item.label for item in source.splits["train"][0].objects] == [12, 15]
    only = open_voc(tmp_path, troubles=Troubles(), splits=["val"])
    assert list(only.splits) == ["validation"]


def test_several_years_go_together(tmp_path):
    voc_devkit(tmp_path)
    voc_devkit(tmp_path, year="VOC2007")
    found = names(open_voc(tmp_path, troubles=Troubles()), "validation")
    assert found == ["VOC2007/d", "VOC2007/e", "VOC2012/d", "VOC2012/e"]


def test_an_xml_may_name_its_image(tmp_path):
    plain_voc_set(tmp_path)
    (tmp_path / "annotations" / "photo-1.xml").rename(tmp_path / "annotations" / "other.xml")
    assert len(names(open_voc(tmp_path, troubles=Troubles()))) == 4


def test_a_size_of_zero_counts_as_left_out(tmp_path):
    plain_voc_set(tmp_path)
    file = tmp_path / "annotations" / "photo-1.xml"
    file.write_text(voc_xml("photo-1.jpg", [("emu", 1, 1, 9, 9)], size=(0, 0)))
    assert open_voc(tmp_path, troubles=Troubles()).splits[""][1].size is None


def _no_xml(root):
    (root / "annotations" / "photo-1.xml").unlink()


def _no_image(root):
    (root / "images" / "photo-1.jpg").unlink()


def _cut(root):
    file = root / "annotations" / "photo-1.xml"
    file.write_text(file.read_text()[:150])


def _no_annotation(root):
    (root / "annotations" / "photo-1.xml").write_text("<html/>")


def _two_images(root):
    (root / "images" / "photo-1.png").write_bytes(picture(1, kind="PNG"))


def _no_number(root):
    text = voc_xml("photo-1.jpg", [("emu", "x", 1, 9, 9)])
    (root / "annotations" / "photo-1.xml").write_text(text)


def _no_name(root):
    text = voc_xml("photo-1.jpg", [(" ", 2, 1, 9, 9)])
    (root / "annotations" / "photo-1.xml").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "kind", "message", "images"),
    [
        (_no_xml, "annotation", r"photo-1\.jpg has no annotations: .*photo-1\.xml does not", 3),
        (_no_image, "annotation", r"photo-1\.xml is for photo-1\.jpg; .* does not exist", 3),
        (_cut, "annotation", r"photo-1\.xml:3: annotations must be well-formed xml", 3),
        (_no_annotation, "annotation", r"photo-1\.xml must hold an <annotation>", 3),
        (_two_images, "duplicate", r"photo-1\.png and .*photo-1\.jpg have one name", 4),
        (_no_number, "box", r"photo-1\.xml: object 0 must have a <bndbox> with the number xmin", 4),
        (_no_name, "box", r"photo-1\.xml: object 0 must have a <name>", 4),
    ],
)
def test_what_cannot_be_used_is_named_or_left_out(tmp_path, spoil, kind, message, images):
    plain_voc_set(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=f"{message}.*--skip_bad"):
        open_voc(tmp_path, troubles=Troubles())
    troubles = Troubles(skip=True)
    assert len(names(open_voc(tmp_path, troubles=troubles))) == images
    assert [trouble.kind for trouble in troubles.found] == [kind]


def test_unknown_classes_are_named(tmp_path):
    plain_voc_set(tmp_path)
    labels = named(["cat"], first=1, origin="my.txt")
    with pytest.raises(DataError, match=r"photo-1\.xml: object 0 is of the class 'emu', which is "):
        open_voc(tmp_path, troubles=Troubles(), labels=labels)
    troubles = Troubles(skip=True)
    images = open_voc(tmp_path, troubles=troubles, labels=labels).splits[""]
    assert [len(image.objects) for image in images] == [1, 0, 1, 0]
    assert {trouble.kind for trouble in troubles.found} == {"class"}


def test_a_list_that_repeats_or_names_what_is_missing(tmp_path):
    voc_devkit(tmp_path)
    file = tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main" / "train.txt"
    file.write_text("a\nb\na\nz\n")
    troubles = Troubles(skip=True)
    assert names(open_voc(tmp_path, troubles=troubles), "train") == ["a", "b"]
    assert [trouble.kind for trouble in troubles.found] == ["duplicate", "annotation"]
    assert "train.txt:3: a is already on line 1" in troubles.found[0].message
    assert "z.jpg has no annotations" in troubles.found[1].message


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no xml. Either VOC's layout is required"):
        open_voc(tmp_path, troubles=Troubles())
    plain_voc_set(tmp_path / "set")
    with pytest.raises(DataError, match="there are no splits train"):
        open_voc(tmp_path / "set", troubles=Troubles(), splits=["train"])
    voc_devkit(tmp_path)
    with pytest.raises(DataError, match=r"test\.txt cannot be read"):
        open_voc(tmp_path, troubles=Troubles(), splits=["test"])
