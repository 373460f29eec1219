"""From whatever a calibration dataloader yields to arrays by input name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError, LpotError

Array = NDArray[Any]
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
    try:
        iterator = iter(dataloader)
    except TypeError:
        raise DataError(
            "q_dataloader must be iterable, yielding inputs or (inputs, label); got "
            f"{type(dataloader).__name__}."
        ) from None
    index = 0
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except LpotError:
            raise
        except Exception as error:
            raise DataError(
                f"the calibration dataloader raised {type(error).__name__} at batch {index}: "
                f"{error} ({place(error)})."
            ) from error
        yield item
        index += 1


def place(error: BaseException) -> str:
    """Return 'file:line' of where an exception was raised."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown place"
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


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
    array = np.asarray(value)
    fits = shape is None or (
        len(shape) == array.ndim
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    same_kind = array.dtype.kind == dtype.kind or {array.dtype.kind, dtype.kind} <= set("iu")
    if not fits or not same_kind:
        text = "any shape" if shape is None else [("?" if d is None else d) for d in shape]
        raise DataError(
            f"batch {index} of the calibration dataloader is {array.dtype.name} "
            f"{list(array.shape)}; the model's input '{name}' takes {dtype.name} {text}. "
            f"Yield arrays of that shape{'' if same_kind else f' with .astype({dtype.name!r})'}."
        )
    return array.astype(dtype, copy=False)


def samples(arrays: Mapping[str, Array]) -> int:
    """Return how many samples a batch holds: the first dimension of its first non-scalar input."""
    return next((int(array.shape[0]) for array in arrays.values() if array.ndim), 1)
