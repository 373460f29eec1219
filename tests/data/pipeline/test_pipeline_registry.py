import pytest

from lpot_examples.data.pipeline import registry
from lpot_examples.errors import SpecError
from lpot_examples.spec import names

TABLES = ("DATASETS", "TRANSFORMS", "FILTERS", "POSTPROCESS_TRANSFORMS")
UNSERVED = [
    (table, name)
    for table in TABLES
    for name, made in getattr(registry, table).items()
    if isinstance(made, registry.Unavailable)
]


@pytest.mark.parametrize("table", TABLES)
def test_the_names_are_those_of_the_spec(table):
    assert set(getattr(registry, table)) == set(getattr(names, table))


@pytest.mark.parametrize("table", TABLES)
def test_every_name_is_served_by_something_of_that_name(table):
    for name, made in getattr(registry, table).items():
        if not isinstance(made, registry.Unavailable):
            assert made.__name__ == {"Imagenet": "ImageRecord"}.get(name, name)
            assert made.__doc__


@pytest.mark.parametrize(("table", "name"), UNSERVED)
def test_a_name_that_is_not_served_says_why(table, name):
    with pytest.raises(SpecError, match=rf"here.{name} is not served\. \w.*\. .*\."):
        registry.find(getattr(registry, table), name, where="here")


def test_which_are_not_served():
    assert {name for _, name in UNSERVED} == {
        *("bert", "mzbert", "GLUE", "ToNDArray", "ToPILImage", "ToTensor"),
        *("SquadV1", "SquadV1ModelZoo", "Collect"),
    }


def test_unknown_names():
    with pytest.raises(SpecError, match="here.Resizes is not a known name. Did you mean 'Resize'"):
        registry.find(registry.TRANSFORMS, "Resizes", where="here")
