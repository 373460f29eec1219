"""LPOT's Python interface to data: registries by framework, base classes, and ``DataLoader``.

The names and calls are those of ``lpot.data`` and ``lpot.experimental.data`` of LPOT 1.6, so that
code written for them runs after its import is changed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from lpot_examples.data.batches import DataLoader as Batches
from lpot_examples.data.pipeline import registry
from lpot_examples.data.pipeline.arguments import Arguments, named
from lpot_examples.data.pipeline.dataset import DatasetArguments
from lpot_examples.data.pipeline.places import Places
from lpot_examples.data.pipeline.transformed import Transformed
from lpot_examples.errors import DataError, nearest
from lpot_examples.spec.names import FRAMEWORK_ALIASES, FRAMEWORKS, OTHER_FRAMEWORKS

_Class = TypeVar("_Class", bound=type)
_KNOWN = (*FRAMEWORKS, *FRAMEWORK_ALIASES)
_PROCESSES = ("preprocess", "postprocess", "general")

_datasets: dict[tuple[str, str], Any] = {}
_transforms: dict[tuple[str, str, str], Any] = {}
_filters: dict[tuple[str, str], Any] = {}


class Dataset:
    """Base of users' data sets whose samples have numbers."""

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Return ``(input, label)``, or an input."""
        raise NotImplementedError


class IterableDataset:
    """Base of users' data sets that yield their samples; each ``iter()`` starts again."""

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Yield ``(input, label)``, or inputs."""
        raise NotImplementedError


class BaseTransform:
    """Base of users' transforms."""

    @abstractmethod
    def __call__(self, sample: Any) -> Any:
        """Return the transformed ``(image, label)``."""
        raise NotImplementedError


class Filter:
    """Base of users' filters."""

    @abstractmethod
    def __call__(self, image: Any, label: Any) -> Any:
        """Tell whether a sample is taken; the image is None where labels are known without it."""
        raise NotImplementedError


class Compose(BaseTransform):
    """Several transforms, one after the other.

    Args:
        transform_list: Functions of ``(image, label)``.
    """

    def __init__(self, transform_list: Sequence[Callable[[Any], Any]]) -> None:
        self.transform_list = list(transform_list)

    def __call__(self, sample: Any) -> Any:
        """Return what the last one returns."""
        for transform in self.transform_list:
            sample = transform(sample)
        return sample


class _Registry:
    """What a framework offers by name.

    Args:
        framework: LPOT's name of it.
    """

    def __init__(self, framework: str) -> None:
        self.framework = _checked(framework)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return what makes the named thing of its arguments.

        Raises:
            DataError: If there is no such name, or it is not served.
        """
        raise NotImplementedError


class DATASETS(_Registry):
    """Data sets: ``DATASETS("tensorflow")["dummy"](shape=(8, 224, 224, 3))[0]``."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return what opens a data set; it takes ``transform`` and ``filter`` too."""
        own = _datasets.get((self.framework, name))
        if own is not None:
            return own  # type: ignore[no-any-return]
        return partial(_opened, registry.find(registry.DATASETS, name, where="DATASETS"))


class TRANSFORMS(_Registry):
    """Transforms: ``TRANSFORMS("tensorflow", "preprocess")["Resize"](size=224)((image, label))``.

    Args:
        framework: LPOT's name of it.
        process: ``preprocess``, ``postprocess`` or ``general``.
    """

    def __init__(self, framework: str, process: str) -> None:
        super().__init__(framework)
        self.process = _one_of(process, _PROCESSES, "process")

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return what makes a transform."""
        for process in (self.process, "general"):
            own = _transforms.get((self.framework, process, name))
            if own is not None:
                return own  # type: ignore[no-any-return]
        if name == "Compose":
            return Compose
        post = self.process == "postprocess" and name in registry.POSTPROCESS_TRANSFORMS
        tables: Any = registry.POSTPROCESS_TRANSFORMS if post else registry.TRANSFORMS
        return partial(_made, registry.find(tables, name, where="TRANSFORMS"))


class FILTERS(_Registry):
    """Filters: ``FILTERS("tensorflow")["LabelBalance"](size=1)``."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return what makes a filter; LPOT puts the data set's name behind LabelBalance."""
        own = _filters.get((self.framework, name))
        if own is not None:
            return own  # type: ignore[no-any-return]
        if name in ("LabelBalanceCOCORecord", "LabelBalanceCOCORaw"):
            name = "LabelBalance"
        return partial(_made, registry.find(registry.FILTERS, name, where="FILTERS"))


def DataLoader(*given: Any, framework: str | None = None, **by_name: Any) -> Batches:  # noqa: N802
    """Return a `batches.DataLoader`; a framework's name may come first, as in ``lpot.data``."""
    if given and isinstance(given[0], str):
        framework, *rest = given
        given = tuple(rest)
    if framework is not None:
        _checked(framework)
    return Batches(*given, **by_name)


def dataset_registry(
    dataset_type: str, framework: str, dataset_format: str = ""
) -> Callable[[_Class], _Class]:
    """Return a class decorator that adds a data set to `DATASETS`.

    Args:
        dataset_type: Its name.
        framework: LPOT's names of frameworks, separated by commas.
        dataset_format: Put behind the name.

    Raises:
        DataError: When decorating, if the name is taken.
    """
    name = dataset_type + dataset_format
    return partial(_register, _datasets, [(one, name) for one in _frameworks(framework)])


def transform_registry(
    transform_type: str, process: str, framework: str
) -> Callable[[_Class], _Class]:
    """Return a class decorator that adds a transform to `TRANSFORMS`; see `dataset_registry`."""
    process = _one_of(process, _PROCESSES, "process")
    keys = [(one, process, transform_type) for one in _frameworks(framework)]
    return partial(_register, _transforms, keys)


def filter_registry(filter_type: str, framework: str) -> Callable[[_Class], _Class]:
    """Return a class decorator that adds a filter to `FILTERS`; see `dataset_registry`."""
    return partial(_register, _filters, [(one, filter_type) for one in _frameworks(framework)])


def _register(table: dict[Any, Any], keys: Iterable[tuple[str, ...]], made: _Class) -> _Class:
    for key in keys:
        if key in table:
            raise DataError(f"The name {key[-1]} is registered already. Choose another one.")
        table[key] = made
    return made


def _opened(
    arguments: type[DatasetArguments],
    *given: Any,
    transform: Any = None,
    filter: Any = None,  # noqa: A002 - LPOT's name
    **by_name: Any,
) -> Transformed:
    """Open a data set by a call, its paths relative to the current directory."""
    values: Mapping[str, Any] = named((given, by_name), arguments)
    opened = arguments.read(values, where=arguments.__name__)
    parts = transform.transform_list if isinstance(transform, Compose) else [transform]
    return Transformed(
        opened.open(Places(where=arguments.__name__)),
        [one for one in parts if one is not None],
        filters=[] if filter is None else [filter],
        where=arguments.__name__,
    )


def _made(arguments: type[Arguments], *given: Any, **by_name: Any) -> Any:
    return arguments.read(named((given, by_name), arguments), where=arguments.__name__)


def _frameworks(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    # Code that serves several frameworks at once names those that this tool does not serve too.
    return [_checked(name) for name in names if name not in OTHER_FRAMEWORKS and name != "mxnet"]


def _checked(framework: str) -> str:
    name = _one_of(framework, _KNOWN, "framework")
    return FRAMEWORK_ALIASES.get(name, name)


def _one_of(value: str, known: Sequence[str], what: str) -> str:
    if value not in known:
        hint = nearest(str(value), known)
        raise DataError(f"The {what} must be one of {', '.join(known)}; it is {value!r}.{hint}")
    return value
