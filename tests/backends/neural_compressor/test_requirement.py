"""What is missing is said at once, with the command that mends it."""

import sys
from importlib import metadata

import pytest

from lpot_examples import LpotError, Quantization
from lpot_examples.backends.neural_compressor import requirement


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(requirement.metadata, "version", lambda name: "3.10")
    monkeypatch.setattr(requirement.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")


def test_it_is_not_installed(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(requirement.metadata, "version", missing)
    command = f'\'{sys.executable} -m pip install "neural-compressor-tf>=3.10,<3.11"'
    with pytest.raises(LpotError) as caught:
        Quantization(engine="neural_compressor")("nowhere.pb", [])
    assert command in str(caught.value)


def test_setuptools_is_too_new(installed, monkeypatch):
    monkeypatch.setattr(requirement.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LpotError, match="pkg_resources.*setuptools<82"):
        requirement.check_requirements()


def test_onednn_is_off(installed, monkeypatch):
    assert requirement.check_requirements() == "3.10"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with pytest.raises(LpotError, match="Set TF_ENABLE_ONEDNN_OPTS=1"):
        requirement.check_requirements()


def test_engines_are_named():
    with pytest.raises(LpotError, match="one of lpot, neural_compressor; it is 'neural-comp"):
        Quantization(engine="neural-compressor")("nowhere.pb", [])
