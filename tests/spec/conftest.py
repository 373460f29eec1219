from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lpot_examples.spec import Spec, load_spec

MODEL = "model: {name: net, framework: tensorflow}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write text to a yaml file and return its path."""

    def to_file(text: str | bytes) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file


@pytest.fixture
def load(write: Callable[[str | bytes], Path]) -> Callable[..., Spec]:
    """Load yaml text that follows a one-line model section, so its own first line is line 2."""

    def from_text(text: str = "", **options: Any) -> Spec:
        return load_spec(write(MODEL + text), **options)

    return from_text
