"""Figures of all recipes, from one worker process per environment of TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpot_examples.host import host_info

WORKER = Path(__file__).with_name("recipe_worker.py")

# What decides over TensorFlow's kernels is read when it is imported.
ENVIRONMENTS = {
    "onednn_on": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "onednn_off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "avx2": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}


def _reachable(name):
    host = host_info().cpu_isa
    order = ("avx2", "avx512")
    capped = {"avx2": ("avx2", "avx512", "avx_vnni"), "avx512": ("avx512",)}.get(name)
    if capped is None:
        return True
    return host in capped or host in ("avx512_vnni", "amx_int8") and name in order


def _start(name):
    isa = name if name in ("avx2", "avx512") else host_info().isa
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **ENVIRONMENTS[name]}
    root = str(WORKER.parents[3])
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WORKER), isa],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="session")
def all_figures():
    """Start two workers at a time and collect what they print."""
    names = [name for name in ENVIRONMENTS if _reachable(name)]
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
