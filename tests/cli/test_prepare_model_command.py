import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpot_examples.zoo.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


def run(*arguments, cwd):
    """Run the script in the clone from another folder, in this environment."""
    return subprocess.run(
        [sys.executable, str(ROOT / "prepare_model.py"), "--no-venv", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHON": sys.executable, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def here(tmp_path):
    place = tmp_path / "models" / "mobilenet_v2_1.0_224_frozen.pb"
    place.parent.mkdir()
    place.write_bytes(b"unpacked by hand")
    return tmp_path


def test_the_list_names_every_network_and_what_is_here(here):
    done = run("--list", cwd=here)
    assert done.returncode == 0, done.stderr
    lines = {name: line for line in done.stdout.splitlines() for name in CATALOGUE if name in line}
    assert set(lines) == set(CATALOGUE)
    assert [name for name, line in lines.items() if "yes" in line] == ["mobilenet_v2"]


def test_what_is_here_is_not_downloaded(here):
    done = run("--model-name=mobilenet_v2", cwd=here)
    assert done.returncode == 0, done.stderr
    path = "models/mobilenet_v2_1.0_224_frozen.pb"
    assert f"mobilenet_v2 is ready: {path}" in done.stdout
    assert f"run_tuning.sh --topology=mobilenet_v2 --input_model={path}" in done.stdout


def test_errors_are_one_message(here):
    done = run("--model_name=mobilenet_v3", cwd=here)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --model_name must be one of ssd_resnet50_v1")
    done = run("--model_name=vgg16", "--mirror=nonsense", cwd=here)
    assert done.returncode == 1
    assert "error: --mirror must be the address of a server" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_goes_on_after_a_failure_and_tells_it(here):
    done = run("--model_name=all", "--mirror=nonsense", cwd=here)
    assert done.returncode == 1
    assert "mobilenet_v2: models/mobilenet_v2_1.0_224_frozen.pb" in done.stdout
    assert f"{len(CATALOGUE) - 1} of {len(CATALOGUE)} networks could not be prepared" in done.stderr
