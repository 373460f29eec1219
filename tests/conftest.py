"""How tests are shared out to processes, and which of them must have the machine for themselves.

`run_tests.sh` runs all but those marked `alone` side by side, then those by themselves. Plain
``pytest`` runs everything, one after the other.
"""

import os

import pytest

from lpot_examples.host import available_cores, host_info

MOST_PROCESSES = 4
MEMORY_OF_A_PROCESS = 3 << 30


def pytest_addoption(parser):
    parser.addoption(
        "--alone",
        choices=("with", "without", "only"),
        default="with",
        help="run tests marked `alone` with the others, leave them out, or run them only",
    )


def pytest_configure(config):
    # pytest-xdist says 80. What commands print is looked at as it is written to files.
    os.environ.pop("COLUMNS", None)
    # As `import_tensorflow` does; some tests import TensorFlow before that has.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, for -n auto
def pytest_xdist_auto_num_workers(config):
    memory = host_info().memory_bytes or MOST_PROCESSES * MEMORY_OF_A_PROCESS
    count = min(len(available_cores()), memory // MEMORY_OF_A_PROCESS, MOST_PROCESSES)
    return count if count > 1 else 0


def pytest_ignore_collect(collection_path, config):
    """Where only tests marked `alone` are asked for, do not even import what holds none."""
    if config.getoption("alone") != "only" or collection_path.suffix != ".py":
        return None
    return "mark.alone" not in collection_path.read_text() or None


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("alone")
    if wanted != "with":
        left_out = [item for item in items if _is_alone(item) != (wanted == "only")]
        items[:] = [item for item in items if _is_alone(item) == (wanted == "only")]
        config.hook.pytest_deselected(items=left_out)
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # Long files first, so that no process is left with one when the others are done.
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


def _is_alone(item):
    return item.get_closest_marker("alone") is not None
