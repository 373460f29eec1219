"""From whatever a calibration dataloader yields to arrays by input name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError, LpotError

Array = NDArray[Any]
# Characters of an exception's message that are shown; TensorFlow's can fill a screen.
_LONGEST = 300

InputSpec = Mapping[str, tuple[tuple[int | None, ...] | None, np.dtype[Any]]]


def batches(
    dataloader: Iterable[Any], spec: InputSpec, *, limit: int
) -> Iterator[dict[str, Array]]:
    """Yield checked input arrays until ``limit`` samples have been given.

    Args:
        dataloader: Yields inputs, or (inputs, label). Inputs are an array, a sequence of arrays in
            the model's input order, or a mapping from input name to array.
        spec: Shape (None for a free dimension or rank) and dtype by input name.
        limit: The most samples to yield; the last batch is cut to fit.

    Raises:
        DataError: If it is empty, raises, or yields what the model does not take.
    """
    given = 0
    for index, item in enumerate(_guarded(dataloader)):
        arrays = _check(_inputs(item, spec, index), spec, index)
        size = whole = samples(arrays)
        if given + size > limit:
            size = limit - given
            # What is not one entry per sample (a switch, a shared table) stays whole.
            arrays = {
                name: array[:size] if array.ndim and array.shape[0] == whole else array
                for name, array in arrays.items()
            }
        given += size
        yield arrays
        if given >= limit:
            return
    if given == 0:
        raise DataError(
            "the calibration dataloader yielded nothing; it must yield at least one batch of "
            "inputs. Check its dataset's location."
        )


def _guarded(dataloader: Iterable[Any]) -> Iterator[Any]:
    """Iterate; an exception of the user's code becomes one clear error with its place."""
    if not hasattr(dataloader, "__iter__") and not hasattr(dataloader, "__getitem__"):
        raise DataError(
            "q_dataloader must be iterable, yielding inputs or (inputs, label); got "
            f"{type(dataloader).__name__}."
        )
    try:
        iterator = iter(dataloader)
    except LpotError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(
            f"the calibration dataloader could not start: it raised {describe(error)}."
        ) from error
    index = 0
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except LpotError:
            raise
        except (Exception, SystemExit) as error:
            raise DataError(
                f"the calibration dataloader raised {describe(error, at=f' at batch {index}')}."
            ) from error
        yield item
        index += 1


def describe(error: BaseException, *, at: str = "") -> str:
    """Return what a user's code raised, on one line and with its place in the code.

    Args:
        error: The exception, as it was caught.
        at: When it happened, put after the exception's type.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "unknown place"
    if traceback is not None:
        where = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
    said = " ".join(str(error).split())
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    return f"{type(error).__name__}{at}{f': {said}' if said else ''} ({where})"


def channels_first(array: Array, shape: tuple[int | None, ...] | None) -> Array:
    """Return images with their channels first where only so they fit an input.

    Loaders of this project give [n, height, width, channels]; networks in ONNX nearly always take
    [n, channels, height, width]. What fits as it is, or fits neither way, stays as it is.

    Args:
        array: A batch.
        shape: The input's shape, None for a free dimension or rank. What counts is all but the
            first dimension.
    """
    if shape is None or len(shape) != 4 or array.ndim != 4 or _fits(array.shape[1:], shape[1:]):
        return array
    moved = np.moveaxis(array, -1, 1)
    return np.ascontiguousarray(moved) if _fits(moved.shape[1:], shape[1:]) else array


def _inputs(item: Any, spec: InputSpec, index: int) -> Any:
    """Separate inputs from a label."""
    if isinstance(item, Mapping):
        return item
    if isinstance(item, (tuple, list)):
        if len(item) == 1:
            return item[0]
        nested = isinstance(item[0], (tuple, list, Mapping)) if item else False
        if len(item) == 2 and (len(spec) == 1 or nested):
            return item[0][0] if nested and len(spec) == 1 and len(item[0]) == 1 else item[0]
        if len(item) == len(spec):
            return list(item)
        raise DataError(
            f"batch {index} of the calibration dataloader has {len(item)} parts; the model takes "
            f"{len(spec)} inputs ({', '.join(spec)}). Yield inputs, or (inputs, label)."
        )
    return item


def _check(inputs: Any, spec: InputSpec, index: int) -> dict[str, Array]:
    if isinstance(inputs, Mapping):
        named = {str(name).removesuffix(":0"): value for name, value in inputs.items()}
    elif isinstance(inputs, (list, tuple)) and len(inputs) == len(spec) > 1:
        named = dict(zip(spec, inputs, strict=True))
    else:
        named = {next(iter(spec)): inputs}
    if set(named) != set(spec):
        raise DataError(
            f"batch {index} of the calibration dataloader has the inputs {', '.join(named)}; "
            f"the model takes {', '.join(spec)}."
        )
    arrays = {name: _fit(name, named[name], spec[name], index) for name in spec}
    sizes = {array.shape[0] for array in arrays.values() if array.ndim}
    if sizes == {0}:
        raise DataError(f"batch {index} of the calibration dataloader holds no samples.")
    free = {name: arrays[name].shape[0] for name, (shape, _) in spec.items() if _batched(shape)}
    if len(set(free.values())) > 1:
        counts = ", ".join(f"{size} of '{name}'" for name, size in free.items())
        raise DataError(
            f"batch {index} of the calibration dataloader holds {counts}; every input of a batch "
            "must hold the same number of samples."
        )
    return arrays


def _batched(shape: tuple[int | None, ...] | None) -> bool:
    return bool(shape) and shape is not None and shape[0] is None


def _fit(
    name: str, value: Any, wanted: tuple[tuple[int | None, ...] | None, np.dtype[Any]], index: int
) -> Array:
    shape, dtype = wanted
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"batch {index} of the calibration dataloader cannot be made an array for the input "
            f"'{name}': {str(error).rstrip('.')}. Yield arrays of equal shapes in a batch."
        ) from error
    array = channels_first(array, shape)
    if array.dtype.kind in "OUS" and dtype.kind not in "OUS":
        raise DataError(
            f"batch {index} of the calibration dataloader is {type(value).__name__}, no numbers; "
            f"the model's input '{name}' takes {dtype.name} {_text(shape)}."
        )
    same_kind = array.dtype.kind == dtype.kind or {array.dtype.kind, dtype.kind} <= set("iu")
    if not _fits(array.shape, shape) or not same_kind:
        hint = "Yield arrays of that shape"
        if shape and same_kind and _fits(array.shape, shape[1:]):
            hint = "Yield batches: add a first dimension, such as with array[None]"
        raise DataError(
            f"batch {index} of the calibration dataloader is {array.dtype.name} "
            f"{_text(array.shape)}; the model's input '{name}' takes {dtype.name} {_text(shape)}. "
            f"{hint}{'' if same_kind else f' with .astype({dtype.name!r})'}."
        )
    fitted = array.astype(dtype, copy=False)
    if dtype.kind in "iu" and not np.array_equal(fitted, array):
        raise DataError(
            f"batch {index} of the calibration dataloader has values from {array.min()} to "
            f"{array.max()}; the model's input '{name}' takes {dtype.name}, which does not hold "
            "them."
        )
    return fitted


def _fits(have: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    return wanted is None or (
        len(wanted) == len(have)
        and all(want in (None, size) for want, size in zip(wanted, have, strict=True))
    )


def _text(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "of any shape"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def samples(arrays: Mapping[str, Array]) -> int:
    """Return how many samples a batch holds: the first dimension of its first non-scalar input."""
    return next((int(array.shape[0]) for array in arrays.values() if array.ndim), 1)
