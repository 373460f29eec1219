"""The frameworks, one row each, and which of them a network belongs to.

Everything that differs between them is behind `Framework`: the folder's module ``framework.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework.

    Attributes:
        name: The folder of ``lpot_examples.backends``.
        title: For messages.
        suffixes: How the names of its files end, where nothing else is needed to know them.
        objects: Modules whose objects are its networks, besides those of its folder.
    """

    name: str
    title: str
    suffixes: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    @property
    def approaches(self) -> tuple[str, ...]:
        """The spec's ``quantization.approach`` that it has."""
        return cast("tuple[str, ...]", self._module.APPROACHES)

    @property
    def calibration(self) -> str:
        """What changes with what its calibration pass collects."""
        return str(self._module.CALIBRATION)

    @property
    def form(self) -> str:
        """What its files are called on the command line."""
        return str(self._module.FORM)

    @property
    def transfers(self) -> tuple[str, ...]:
        """The other forms that its tuned networks can be given."""
        return cast("tuple[str, ...]", self._module.TRANSFERS)

    @property
    def stored_weights(self) -> Callable[[Path], Iterator[tuple[str, Any]]]:
        """Yields name and values of the weights in a file."""
        return cast("Callable[[Path], Iterator[tuple[str, Any]]]", self._module.stored_weights)

    def open(self, model: Any, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Any:
        """Open a network in any form in which users have it.

        Raises:
            ModelError: If it cannot be read, or lacks the names.
        """
        return self._module.open_network(model, inputs=inputs, outputs=outputs)

    def load(self, path: str | Path, **options: Any) -> Any:
        """Read a file to run it; see `load_model`."""
        return self._module.load_model(path, **options)

    def backend(self, network: Any, isa: Any, *, approach: str) -> Any:
        """Return the backend (`backends.base.Backend`) of an opened network."""
        return self._module.backend(network, isa, approach=approach)

    def transfer(self, backend: Any, isa: Any, form: str) -> Any:
        """Return the way (`backends.base.Transfer`) from a backend's networks to another form.

        Raises:
            ModelError: If the network has no such form.
        """
        return self._module.transfer(backend, isa, form)

    def content(self, network: Any) -> tuple[str, int]:
        """Return a hash of a network with its weights, and its size in bytes."""
        return cast("tuple[str, int]", self._module.content(network))

    def portable(self, network: Any) -> Any:
        """Return what `open` takes in another process."""
        return self._module.portable(network)

    def runnable_file(self, model: Any, network: Any, path: Path) -> Path:
        """Return a file of the fp32 model that `load` takes; written to ``path`` if none is."""
        return cast("Path", self._module.runnable_file(model, network, path))

    def files(self, path: Path) -> tuple[Path, ...]:
        """Return the files that belong to a network, beside the path itself."""
        return cast("tuple[Path, ...]", self._module.files(path))

    def owns(self, model: Any) -> bool:
        """Tell whether a network is surely of this framework, by its file's name or its type."""
        if isinstance(model, (str, Path)):
            return Path(model).suffix.lower() in self.suffixes
        home = type(model).__module__
        own = (f"lpot_examples.backends.{self.name}", *self.objects)
        return any(home == one or home.startswith(f"{one}.") for one in own)

    @property
    def _module(self) -> Any:
        return importlib.import_module(f"lpot_examples.backends.{self.name}.framework")


FRAMEWORKS = (
    Framework(name="onnx", title="ONNX", suffixes=(".onnx",), objects=("onnx",)),
    # The last row takes what no other one owns.
    Framework(name="tensorflow", title="TensorFlow"),
)


def framework_of(model: Any) -> Framework:
    """Return the framework that a network belongs to, whatever a spec says."""
    return next((one for one in FRAMEWORKS if one.owns(model)), FRAMEWORKS[-1])


def load_model(
    path: str | Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
) -> Any:
    """Read a network of any framework to run it.

    Args:
        path: An ``.onnx`` file, or any format of TensorFlow (docs/formats.md).
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads inside one op; None uses every core.

    Returns:
        A `TensorFlowModel` or an `OnnxModel`.

    Raises:
        ModelError: If there is no network that can be read, or it lacks the names.
    """
    return framework_of(path).load(path, inputs=inputs, outputs=outputs, threads=threads)
