"""Runs the ``build`` function of a Python file of a topology folder.

The files are loaded by path. Each may import its siblings by their plain names
(``from decode import decode``), and two folders may use the same names: the folder is importable
only while one of its files is loaded or built, and its modules are forgotten afterwards.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from lpot_examples.errors import LpotError


class TopologyError(LpotError):
    """A topology is unknown, or one of its files cannot be used."""


def run_build(file: Path, **arguments: object) -> Any:
    """Load a file and call its ``build`` with keyword arguments.

    The file is executed anew on each call. What it imports lazily, after ``build`` returned, must
    not be a sibling.

    Args:
        file: A Python file of a topology folder.
        arguments: Passed to ``build``.

    Returns:
        What ``build`` returned, which is not None.

    Raises:
        TopologyError: If the file is missing, does not run, has no such ``build`` or it raises;
            with the file and line. Errors meant for the user (`LpotError`) pass unchanged.
    """
    if not file.is_file():
        raise TopologyError(f"A topology needs the file {file}; it does not exist. Write it.")
    with _siblings_importable(file.parent):
        try:
            build = _build_of(_load(file), file, arguments)
            built = build(**arguments)
        except LpotError:
            raise
        except SyntaxError as error:
            raise TopologyError(
                f"{error.filename or file}:{error.lineno}: this is not valid Python: {error.msg}."
            ) from error
        except Exception as error:
            raise TopologyError(
                f"{_place(error, file)}: {type(error).__name__}: {error}. Correct the file."
            ) from error
    if built is None:
        raise TopologyError(f"build() of {file} must return an object; it returned None.")
    return built


def _load(file: Path) -> ModuleType:
    digest = hashlib.sha256(str(file.parent.resolve()).encode()).hexdigest()[:8]
    name = f"_lpot_topology_{digest}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TopologyError(f"{file} must be a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _build_of(module: ModuleType, file: Path, arguments: dict[str, object]) -> Any:
    build = getattr(module, "build", None)
    usage = f"def build(*, {', '.join(f'{name}=None' for name in arguments)})"
    if not callable(build):
        raise TopologyError(f"{file} must define '{usage}'; it has no function build.")
    try:
        inspect.signature(build).bind(**arguments)
    except TypeError as error:
        raise TopologyError(f"build() of {file} must accept '{usage}': {error}.") from None
    return build


@contextmanager
def _siblings_importable(folder: Path) -> Iterator[None]:
    """Make the modules of ``folder`` importable by plain names, and only for the moment.

    Modules that already go by these names are set aside and put back, except those of the
    standard library, which a sibling cannot replace.
    """
    names = {path.stem for path in folder.glob("*.py")} - sys.stdlib_module_names
    aside = _take(names)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(str(folder))
        _take(names)
        sys.modules.update(aside)


def _take(names: set[str]) -> dict[str, ModuleType]:
    """Remove modules, with their submodules, from ``sys.modules`` and return them."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}


def _place(error: Exception, file: Path) -> str:
    """The innermost line of the folder that took part in the error, as ``file:line``."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == file.parent:
            return f"{frame.filename}:{frame.lineno}"
    return str(file)
