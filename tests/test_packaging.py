"""requirements.txt, pyproject.toml and the imports agree; documents link to what exists."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Requirements of the extras that scripts install by themselves; the module by the extra's name.
EXTRAS = {"neural_compressor": "neural_compressor", "openvino": "openvino"}
EXTRA_FILES = [f"requirements-{name.replace('_', '-')}.txt" for name in EXTRAS]
MODULES = {
    "google-crc32c": "google_crc32c",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "ruamel-yaml": "ruamel",
}

# Imported directly, and an integral part of a direct requirement.
PARTS = {"google": "tensorflow", "keras": "tensorflow", "pydantic_core": "pydantic"}

DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*_*/*/*.md"), *ROOT.glob("c*/*/*.md")}
)


def pins(name):
    """Version by requirement, of the whole file and of the part above 'Needed by'."""
    text = (ROOT / name).read_text()
    found = []
    for part in (text, text.partition("# Needed by")[0]):
        lines = [line.partition("#")[0].strip() for line in part.splitlines()]
        pairs = [line.split("==") for line in lines if line]
        found.append({canonicalize_name(name): version for name, version in pairs})
    return found


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        ("requirements.txt", PROJECT["dependencies"]),
        ("requirements-dev.txt", PROJECT["optional-dependencies"]["dev"]),
        *(
            (file, PROJECT["optional-dependencies"][name])
            for name, file in zip(EXTRAS, EXTRA_FILES, strict=True)
        ),
    ],
)
def test_pins_lie_within_the_ranges(file, declared):
    _, direct = pins(file)
    ranges = {canonicalize_name(r.name): r.specifier for r in map(Requirement, declared)}
    assert set(ranges) == set(direct)
    outside = {name: pin for name, pin in direct.items() if pin not in ranges[name]}
    assert not outside


def test_every_requirement_says_why():
    for name in ("requirements.txt", "requirements-dev.txt", *EXTRA_FILES):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith("#"):
                assert re.search(r"==\S+ +# \w", line), line


def test_requirements_are_what_is_imported():
    imported = set()
    for folder in ("lpot_examples", "classification", "object_detection"):
        for path in (ROOT / folder).rglob("*.py"):
            siblings = {sibling.stem for sibling in path.parent.glob("*.py")}
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                roots = {name.partition(".")[0] for name in names}
                imported |= roots - siblings - sys.stdlib_module_names - {"lpot_examples"}
    _, direct = pins("requirements.txt")
    provided = {MODULES.get(name, name) for name in direct} | {*EXTRAS.values()}
    assert imported - set(PARTS) == provided
    assert set(PARTS.values()) <= set(direct)


def test_environments_agree():
    """One .venv serves every level, so a package has one version in all files."""
    runtime, _ = pins("requirements.txt")
    for name in ("requirements-dev.txt", *EXTRA_FILES):
        others, _ = pins(name)
        both = runtime.keys() & others.keys()
        assert {key: runtime[key] for key in both} == {key: others[key] for key in both}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_no_two_test_files_share_a_name():
    """Each is imported under its name alone."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert names == sorted(set(names))
