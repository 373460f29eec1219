"""The rules of docs/architecture.md that a program can check."""

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lpot_examples

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lpot_examples"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What the lower rooms may import of the package. Everything else lies above them.
MAY_IMPORT = {
    "errors": set(),
    "cgroup": set(),
    "host": {"cgroup", "errors"},
    "spec": {"errors"},
    "graph": {"errors"},
    "quantize": {"errors"},
    "calibration": {"errors"},
    "evaluation": {"errors", "calibration", "data", "spec"},
    "data": {"child", "errors", "lazy", "spec", "workspace"},
    "zoo": {"child", "data", "errors", "evaluation", "workspace"},
    "journal": {"errors"},
    "lazy": set(),
    "child": set(),
    "execution": {"child", "errors", "evaluation", "host"},
    "benchmark": {"child", "errors", "host"},
    "search": {"errors", "graph", "spec"},
    "trackers": {"errors", "evaluation", "events", "search", "spec"},
    "backends": {"calibration", "child", "errors", "graph", "host", "quantize"},
    "runtimes": {"backends", "benchmark", "errors", "evaluation", "host"},
}

# Who may name a framework's backend; all others know backends/base.py.
KNOW_FRAMEWORKS = {
    "__init__",
    "backends",
    "cli",
    "forms",
    "network",
    "quantization",
    "quantizer",
    "runtimes",
    "testing",
}

FRAMEWORKS = ["tensorflow", "keras", "onnx", "onnxruntime", "numpy", "scipy", "sklearn"]
FRAMEWORKS += ["PIL", "pycocotools", "openvino"]

# In pieces, so that this file does not contain what it looks for.
FOREIGN = re.compile(r"\bshared" + r"/|(?<!\w)\.libr" + r"ary\b|(?<![\w.])/wo" + r"rk/")
MAY_LOOK_OUTSIDE = ".ci/run"


def room(path):
    """The first part of a module's name within the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """The modules of the package that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: import by the full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("lpot_examples."):
                yield name.removeprefix("lpot_examples."), f"{path}:{node.lineno}: imports {name}"


def of_repository():
    """Every file a clone has."""
    for folder, folders, files in os.walk(ROOT):
        keep = (name for name in folders if name in (".ci", ".github") or not name.startswith("."))
        folders[:] = sorted(set(keep) - {"__pycache__", "lpot_workspace", "build", "dist"})
        yield from (Path(folder) / name for name in files)


def test_imports_point_one_way():
    wrong = [
        where
        for path in MODULES
        if room(path) in MAY_IMPORT
        for name, where in imports(path)
        if name.split(".")[0] not in {room(path)} | MAY_IMPORT[room(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_driver_knows_frameworks():
    wrong = [
        where
        for path in MODULES
        if room(path) not in KNOW_FRAMEWORKS
        for name, where in imports(path)
        if name.startswith("backends.") and not name.startswith("backends.base.")
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_command_line_or_the_tests_tools():
    wrong = [
        where
        for path in MODULES
        for name, where in imports(path)
        if name.split(".")[0] in {"cli", "testing"} - {room(path)} and room(path) != "__main__"
    ]
    assert not wrong, "\n".join(wrong)


def test_only_commands_print():
    wrong = [
        f"{path}:{node.lineno}"
        for path in MODULES
        if room(path) not in ("cli", "testing") and path.name != "worker.py"  # its own process
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_loads_no_framework():
    commands = [f"lpot_examples.cli.{path.stem}" for path in (PACKAGE / "cli").glob("[!_]*.py")]
    assert commands
    # Tables of results are imported when there is a result.
    commands = [name for name in commands if not name.endswith("_tables")]
    code = (
        f"import importlib, sys\nfor name in {['lpot_examples', *commands]}:\n"
        f"    importlib.import_module(name)\nprint(sorted(set({FRAMEWORKS}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.alone
def test_help_is_quick():
    """Best of five; where others keep the cores busy, the CPU time it takes is what counts."""
    best = [float("inf")] * 2
    for _ in range(5):
        wall, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "lpot_examples", "--help"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        after = os.times()
        used = after.children_user + after.children_system
        used -= before.children_user + before.children_system
        best = [min(best[0], time.perf_counter() - wall), min(best[1], used)]
        if min(best) < 0.5:
            return
    if os.getloadavg()[0] > (os.cpu_count() or 1) and best[1] < 1.0:
        pytest.skip(f"the machine is busy: {best[0]:.2f} s, {best[1]:.2f} s of CPU time")
    pytest.fail(f"--help takes {best[0]:.2f} s, {best[1]:.2f} s of CPU time")


def test_the_page_names_every_room_and_no_other():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = {name.split("/")[0] for name in re.findall(r"`([\w./]+)`", page)}
    rooms = {p.name for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - named <= {"__main__.py"}
    paths = re.findall(r"`([\w/]+\.py)`", page)
    places = (ROOT, PACKAGE, PACKAGE / "backends" / "tensorflow")
    missing = [path for path in paths if not any((place / path).exists() for place in places)]
    assert paths
    assert not missing


def test_modules_stay_small():
    lines = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert not {str(path): count for path, count in lines.items() if count >= 450}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_say_what_they_are(path):
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert len(docstring) > 10
    assert "TODO" not in docstring


def test_public_names():
    assert sorted(lpot_examples.__all__) == [
        "EvaluationResult",
        "LpotError",
        "Quantization",
        "Spec",
        "TensorFlowModel",
        "load_model",
        "load_spec",
        "tune",
    ]
    for name in lpot_examples.__all__:
        assert getattr(lpot_examples, name).__name__ == name
        assert name in dir(lpot_examples)
    with pytest.raises(AttributeError, match="no attribute 'quantize_all'"):
        lpot_examples.quantize_all  # noqa: B018


def test_the_repository_speaks_of_itself_alone():
    wrong = []
    for path in of_repository():
        if path.relative_to(ROOT).as_posix() == MAY_LOOK_OUTSIDE:
            continue
        content = path.read_bytes()
        if b"\0" in content:  # a network or an image
            continue
        for number, line in enumerate(content.decode().splitlines(), 1):
            if FOREIGN.search(line):
                wrong.append(f"{path}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)
