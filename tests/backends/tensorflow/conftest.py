"""Figures of all recipes, from one worker process per environment of TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpot_examples.host import best_isa, host_info

WORKER = Path(__file__).with_name("recipe_worker.py")

# What decides over TensorFlow's kernels is read when it is imported.
ENVIRONMENTS = {
    "onednn_on": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "onednn_off_avx2": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}
_CAPS = {"onednn_off_avx2": ("AVX2", "avx2"), "avx512": ("AVX512_CORE", "avx512")}


def _isa(name):
    """Return what to emit for in an environment, or None if this CPU cannot be made so."""
    if name not in _CAPS:
        return host_info().isa
    cap, isa = _CAPS[name]
    return isa if best_isa(host_info().flags, cap=cap) == isa else None


def _start(name):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **ENVIRONMENTS[name]}
    root = str(WORKER.parents[3])
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WORKER), _isa(name)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="session")
def all_figures():
    """Start two workers at a time and collect what they print."""
    names = [name for name in ENVIRONMENTS if _isa(name) is not None]
    figures = {}
    for pair in (names[:2], names[2:]):
        started = {name: _start(name) for name in pair}
        for name, process in started.items():
            output, errors = process.communicate(timeout=300)
            if process.returncode:
                pytest.fail(f"worker '{name}' ended with {process.returncode}:\n{errors.decode()}")
            figures[name] = json.loads(output)
    return figures


@pytest.fixture(params=list(ENVIRONMENTS))
def figures(request, all_figures):
    if request.param not in all_figures:
        pytest.skip(f"this CPU has no {request.param}")
    return all_figures[request.param]
