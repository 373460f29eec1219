"""From a yaml file, a mapping or another spec to a validated `Spec`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lpot_examples.errors import SpecError
from lpot_examples.spec.document import Document, read_document
from lpot_examples.spec.frozen import thaw
from lpot_examples.spec.notes import notes
from lpot_examples.spec.problems import spec_error
from lpot_examples.spec.root import Origin, Spec

Source = str | Path | Mapping[str, Any] | Spec


def load_spec(source: Source, *, overrides: Mapping[str, Any] | None = None) -> Spec:
    """Read and validate a tuning spec. No framework is imported and no file is written.

    Args:
        source: The path of a yaml file, the same content as a mapping, or a spec.
        overrides: Dotted keys such as ``tuning.exit_policy.max_trials`` → values that replace
            what the source says; None as a value restores the default.

    Raises:
        SpecError: With file, line and key of every problem, one per line.
    """
    if isinstance(source, Spec) and not overrides:
        return source
    document = _document(source)
    return _build(document.with_overrides(overrides or {}))


def _document(source: Source) -> Document:
    if isinstance(source, Spec):
        # What the user wrote, so that an override meets the same defaults as in the file.
        document = source._origin.document
        return document if document.data else Document(source.to_dict())
    if isinstance(source, Mapping):
        return Document(thaw(source))
    if isinstance(source, str | os.PathLike) and "\n" not in str(source):
        return read_document(Path(source))
    raise SpecError(
        "A spec must be the path of a yaml file, a mapping or a Spec; "
        f"got {'yaml text' if isinstance(source, str) else type(source).__name__}."
    )


def _build(document: Document) -> Spec:
    remarks: list[str] = []
    try:
        spec = Spec.model_validate(document.data, context=remarks)
    except ValidationError as error:
        raise spec_error(error, document, Spec) from None
    spec._origin = Origin(document, (*remarks, *notes(spec)))
    spec.check_constraints()
    return spec
