import pytest

from lpot_examples.data.sources.labels import Label, LabelMap, labels_files, named, read_labels_file
from lpot_examples.errors import DataError


def read(tmp_path, text, name="labels.txt", first=1):
    file = tmp_path / name
    file.write_text(text)
    return [
        (row.number, row.name, row.synset) for row in read_labels_file(file, first=first).labels
    ]


CATS = [(1, "cat", ""), (2, "big dog", "")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cat\nbig dog\n", "a.txt"),
        ("\n# a comment\ncat\n\nbig dog", "a.names"),
        ("2 big dog\n1 cat\n", "a.txt"),
        ("1: cat\n2:big dog\n", "a.txt"),
        ('["cat", "big dog"]', "a.json"),
        ('{"1": "cat", "2": "big dog"}', "a.json"),
        ('{"cat": 1, "big dog": 2}', "a.json"),
        ("item {\n  name: 'cat'\n  id: 1\n}\nitem {\n  id: 2 name: \"big dog\"\n}", "a.pbtxt"),
        ('# made by hand\nitem{id:1 name:"cat" }item { id: 2 name: "big dog" }', "a.pbtxt"),
    ],
)
def test_every_form_says_the_same(tmp_path, text, name):
    assert read(tmp_path, text, name) == CATS


def test_synset_lists_with_and_without_words(tmp_path):
    lines = "synset words\nn01440764 tench, Tinca tinca\nn01443537\n"
    assert read(tmp_path, lines, first=0) == [
        (0, "tench, Tinca tinca", "n01440764"),
        (1, "n01443537", "n01443537"),
    ]
    keras = '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}'
    assert read(tmp_path, keras, "a.json") == [
        (1, "tench", "n01440764"),
        (2, "goldfish", "n01443537"),
    ]


def test_display_names_of_label_maps(tmp_path):
    text = 'item { name: "/m/01g317" id: 1 display_name: "it\\\'s {a} cat" }'
    assert read(tmp_path, text, "a.pbtxt") == [(1, "it's {a} cat", "")]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("1 cat\nbig dog\n", "a.txt", r"a\.txt:2: a line must be 'number name'"),
        ("", "a.txt", "at least one class"),
        ("{", "a.json", r"a\.json:1: labels must be JSON"),
        ('{"cat": "dog"}', "a.json", "it is neither"),
        ("cat", "a.pbtxt", "no item is in it"),
        ("\nitem { name: 'cat' }", "a.pbtxt", r"a\.pbtxt:2: an item must have an id and a name"),
        ("cat\ncat\n", "a.txt", "a name of its own"),
        ("1 cat\n1 dog\n", "a.txt", "a number of its own"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path, text, name, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="none.txt cannot be read"):
        read_labels_file(tmp_path / "none.txt", first=1)


def test_what_is_written_is_read_again(tmp_path):
    labels = LabelMap(
        [Label(3, 'the "cat"', "n00000001"), Label(1, "dog: a", "n00000002")], origin="test"
    )
    files = labels_files(labels)
    assert set(files) == {
        "label_map.pbtxt",
        "label_map.yaml",
        "labels.json",
        "labels.txt",
        "synsets.txt",
    }
    expected = [(1, "dog: a", "n00000002"), (3, 'the "cat"', "n00000001")]
    assert read(tmp_path, files["label_map.pbtxt"], "a.pbtxt") == expected
    for name in ("labels.json", "labels.txt"):
        assert read(tmp_path, files[name], name) == [(n, text, "") for n, text, _ in expected]
    import ruamel.yaml

    assert ruamel.yaml.YAML(typ="safe").load(files["label_map.yaml"]) == {
        "dog: a": 1,
        'the "cat"': 3,
    }


def test_no_classes_no_files():
    assert labels_files(named((), first=0, origin="none")) == {}


def test_two_synsets_may_have_one_name():
    cranes = [Label(135, "crane", "n02012849"), Label(518, "crane", "n03126707")]
    assert len(LabelMap(cranes, origin="ImageNet")) == 2
