"""The Neural Compressor engine as the tuner sees it.

Reading, fusion groups and running are the TensorFlow backend's; the int8 networks, their
calibration included, are Neural Compressor's, made of the network as the user gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Model, OpDecision, Progress, Reference, exactness_of
from lpot_examples.backends.neural_compressor.batches import BatchStore
from lpot_examples.backends.neural_compressor.process import WorkerProcess
from lpot_examples.backends.neural_compressor.recipe import Recipe, RecipeBook, as_given
from lpot_examples.backends.neural_compressor.worker import Request
from lpot_examples.backends.neural_compressor.written import WrittenGraph
from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.calibration.feed import Array, InputSpec, batches
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EmitError, LpotError, ModelError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import InstructionSet

# Networks kept on disk: a search comes back to what it has just compared.
_KEPT = 8

# Failures after which, without one success, the network itself is taken to be the cause.
_HOPELESS = 10


class NeuralCompressorBackend:
    """An fp32 frozen graph whose int8 forms Neural Compressor makes.

    `start` must be called before anything is calibrated or emitted, and `close` at the end.

    Args:
        model: The network as given; never changed.
        isa: This machine's instruction set, for the description of the network.
        version: The version of Neural Compressor.

    Raises:
        ModelError: If the network holds nothing that an int8 kernel could run.
    """

    suffix = ".pb"
    notes: tuple[str, ...] = ()

    def __init__(self, model: TensorFlowModel, isa: InstructionSet, *, version: str) -> None:
        self._model = model
        self._base = TensorFlowBackend(model, isa)
        self.op_graph = as_given(self._base.op_graph, self._base.op_types)
        if not self.op_graph.quantizable:
            raise ModelError(
                f"{model.source} has, as it was given, no convolution or matrix product that "
                "Neural Compressor could be asked to quantize; use --engine=lpot."
            )
        self._recipes = RecipeBook(self.op_graph, model.graph_def.node)
        self._dataloader: Iterable[Any] = ()
        self._folder = Path()
        self._store = BatchStore(self._folder)
        self._worker = WorkerProcess(self._folder)
        self._made: list[str] = []
        self._failed: dict[str, str] = {}
        self.engine = f"neural_compressor {version}"

    def start(
        self, folder: Path, dataloader: Iterable[Any], *, worker: WorkerProcess | None = None
    ) -> None:
        """Say where files may go and where calibration data comes from.

        Args:
            folder: For the calibration batches and for networks until they are loaded; removed by
                `close`.
            dataloader: Read again where statistics were in the cache, so that `calibrate` saw
                none of it.
            worker: The process that makes the networks; another one in tests.
        """
        self._folder = folder.absolute()
        self._store = BatchStore(self._folder / "batches")
        self._dataloader = dataloader
        self._worker = worker or WorkerProcess(self._folder)

    def close(self) -> None:
        """End the process and remove the files; safe to call at any time after `start`."""
        import shutil

        self._worker.stop()
        self._made.clear()
        self._store.clear()
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def op_types(self) -> Mapping[str, str]:
        """Type by name of every op of the network as given."""
        return self._base.op_types

    @property
    def input_spec(self) -> InputSpec:
        """Shape and dtype by input name."""
        return self._base.input_spec

    def baseline(self) -> Model:
        """Return the network as given."""
        return self._base.baseline()

    def calibrate(
        self,
        batches: Iterable[dict[str, Array]],
        *,
        sizes: Sequence[int],
        progress: Progress | None = None,
    ) -> dict[int, Statistics]:
        """Keep the batches on disk for Neural Compressor, which takes its own statistics of them.

        The statistics returned hold no tensors, only how many samples there were.
        """
        self._store.clear()
        for batch in batches:
            self._store.add(batch)
            if progress is not None:
                progress(self._store.samples)
        return {size: Statistics({}, min(size, self._store.samples)) for size in sizes}

    def emit(self, config: TuningConfig, statistics: Statistics) -> Model:
        """Return the network that Neural Compressor makes of a configuration.

        Raises:
            EmitError: If Neural Compressor fails at it, now or before.
            LpotError: If it has failed at every one of many configurations.
        """
        return self.load(self._make(config, statistics))

    def load(self, path: Path) -> Model:
        """Read a network with the inputs and outputs of this one."""
        return self._base.load(path)

    def reader(self, *, given: bool = False) -> Callable[[Path], Model]:
        """Return a function that reads such networks and can be pickled."""
        return self._base.reader(given=given)

    def explain(
        self, config: TuningConfig, statistics: Statistics, reverted: Mapping[str, str]
    ) -> list[OpDecision]:
        """Return every op's precision, as found in the network written, and reason."""
        model = self.load(self._make(config, statistics))
        assert isinstance(model, TensorFlowModel)
        # What follows may be a measurement of latency, with which the process would interfere.
        self._worker.stop()
        return WrittenGraph(model.graph_def.node).decisions(self.op_graph, reverted)

    def exactness(self, config: TuningConfig, statistics: Statistics) -> dict[str, list[str]]:
        """Return by instruction set the groups whose kernels could saturate there."""
        return exactness_of(self.explain(config, statistics, {}))

    def latencies(
        self, config: TuningConfig, statistics: Statistics, batch: dict[str, Array]
    ) -> None:
        """Return None: its networks are not timed op by op."""

    def references(self, batches: Sequence[dict[str, Array]]) -> list[Reference]:
        """Return the fp32 network's outputs on each batch."""
        return [Reference(_outputs(self.baseline(), batch)) for batch in batches]

    def raw_outputs(
        self, model: Model, batch: dict[str, Array], reference: Reference
    ) -> list[Array]:
        """Return a model's outputs on a batch, in order: its other tensors have new names."""
        return _outputs(model, batch)

    def _make(self, config: TuningConfig, statistics: Statistics) -> Path:
        """Return the file of a configuration's network; made unless it is still there."""
        recipe = self._recipes.write(config, statistics.samples)
        digest = recipe.digest()
        target = self._folder / f"{digest}.pb"
        if digest in self._failed:
            raise EmitError(self._failed[digest])
        if digest not in self._made:
            try:
                self._worker.run(self._request(recipe, target))
            except EmitError as error:
                self._note_failure(digest, str(error))
                raise
        self._keep(digest)
        return target

    def _request(self, recipe: Recipe, target: Path) -> Request:
        fp32 = self._folder / "fp32.pb"
        if not fp32.exists():
            self._model.save(fp32)
        if self._store.samples < recipe.samples:
            self._store.clear()
            for batch in batches(self._dataloader, self.input_spec, limit=recipe.samples):
                self._store.add(batch)
        return Request(
            graph=str(fp32),
            inputs=list(self._model.input_names),
            outputs=list(self._model.output_names),
            batches=str(self._store.folder),
            recipe=recipe.to_dict(),
            target=str(target),
        )

    def _keep(self, digest: str) -> None:
        """Remember a network as the last one used, and drop the one that was not for longest."""
        self._made = [*(other for other in self._made if other != digest), digest]
        while len(self._made) > _KEPT:
            (self._folder / f"{self._made.pop(0)}.pb").unlink(missing_ok=True)

    def _note_failure(self, digest: str, reason: str) -> None:
        self._failed[digest] = reason
        if not self._made and len(self._failed) >= _HOPELESS:
            raise LpotError(
                f"Neural Compressor made no network of any of {_HOPELESS} configurations. The last "
                f"time: {reason.rstrip('.')}. Use --engine=lpot."
            )


def _outputs(model: Model, batch: dict[str, Array]) -> list[Array]:
    assert isinstance(model, TensorFlowModel)
    return model.run(model.output_names, batch)
