"""The table of networks in the documents is the one of the catalogue and the folders."""

from pathlib import Path

from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.overview import markdown_table
from lpot_examples.zoo.topologies import known_topologies

ROOT = Path(__file__).parents[2]


def test_every_network_of_the_catalogue_has_a_folder():
    topologies = known_topologies((ROOT,))
    for name, model in CATALOGUE.items():
        assert topologies[name].domain == model.domain


def test_the_page_has_the_table():
    table = markdown_table(known_topologies((ROOT,)), root="../")
    assert table in (ROOT / "docs" / "topologies.md").read_text(), f"\n{table}"
    assert "| 299×299, 1001 classes |" in table
    assert "| top-1 0.713, top-5 0.901 |" in table
