"""The process in which Neural Compressor runs.

``python -m lpot_examples.backends.neural_compressor.worker`` speaks JSON, one object a line. Each
line on standard input is a `Request`; the answer is ``{"seconds": s}`` once the network is written,
or ``{"error": reason}``. The end of standard input ends the process.

Neural Compressor turns eager execution off, writes into the current directory, logs a lot, and
reads calibration values from what TensorFlow prints on standard error, which must therefore be a
file. Here that disturbs nobody; nor does a crash.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

_LONGEST = 300


@dataclass(frozen=True, kw_only=True)
class Request:
    """One network to make.

    Attributes:
        graph: File of the fp32 ``GraphDef``.
        inputs: Its input names.
        outputs: Its output names.
        batches: Folder of calibration batches; see `batches.read_batches`.
        recipe: See `recipe.Recipe.to_dict`.
        target: Where the int8 ``GraphDef`` goes.
    """

    graph: str
    inputs: list[str]
    outputs: list[str]
    batches: str
    recipe: dict[str, Any]
    target: str

    def to_json(self) -> str:
        """Return the request as one line."""
        return json.dumps(asdict(self))


class Batches:
    """Calibration batches as Neural Compressor reads them: pairs of inputs by name and no label.

    Args:
        folder: Where they are.
        limit: How many samples to give.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        from lpot_examples.calibration.feed import samples

        self._folder, self._limit = folder, limit
        sizes = [samples(batch) for batch, _ in self]
        self.count = len(sizes)
        self.batch_size = max(sizes, default=1)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], None]]:
        from lpot_examples.backends.neural_compressor.batches import read_batches

        for batch in read_batches(self._folder, self._limit):
            yield batch, None

    def __len__(self) -> int:
        return self.count


def main() -> None:
    """Serve requests until standard input ends."""
    replies = _private_stdout()
    for line in iter(sys.stdin.readline, ""):
        started = time.monotonic()
        complaints = _Complaints()
        try:
            quantize(Request(**json.loads(line)))
            answer: dict[str, Any] = {"seconds": time.monotonic() - started}
        except Exception as error:
            logging.getLogger("neural_compressor").exception("failed")
            answer = {"error": complaints.reason(error)}
        finally:
            complaints.close()
        print(json.dumps(answer), file=replies, flush=True)


def quantize(request: Request) -> None:
    """Let Neural Compressor make a network; see that it runs, and write it."""
    import tensorflow as tf
    from neural_compressor.tensorflow import Model, quantize_model

    tf.compat.v1.reset_default_graph()
    graph_def = tf.compat.v1.GraphDef.FromString(Path(request.graph).read_bytes())
    model = Model(graph_def)
    model.input_tensor_names, model.output_tensor_names = request.inputs, request.outputs
    feed = Batches(Path(request.batches), request.recipe["samples"])
    made = quantize_model(model, _configuration(request.recipe), feed, calib_iteration=len(feed))
    result = made.graph_def
    _try_out(tf, result, request.outputs, next(iter(feed))[0])
    target = Path(request.target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.write_bytes(result.SerializeToString(deterministic=True))
    temporary.replace(target)


def _configuration(recipe: dict[str, Any]) -> Any:
    from neural_compressor.tensorflow import StaticQuantConfig

    def int8(name: str = "") -> Any:
        per_tensor = name in recipe["per_tensor"]
        return StaticQuantConfig(
            weight_granularity="per_tensor" if per_tensor else "per_channel",
            act_algorithm=recipe["overrides"].get(name, recipe["algorithm"]),
        )

    config = int8()
    for name in sorted({*recipe["per_tensor"], *recipe["overrides"]}):
        config.set_local(_exactly(name), int8(name))
    fp32 = StaticQuantConfig(weight_dtype="fp32", act_dtype="fp32")
    for name in recipe["fp32"]:
        config.set_local(_exactly(name), fp32)
    return config


def _exactly(name: str) -> str:
    """Return the regular expression, as Neural Compressor takes names for, of one name."""
    return f"{re.escape(name)}$"


def _try_out(tf: Any, graph_def: Any, outputs: list[str], batch: dict[str, Any]) -> None:
    """Run the network once: what does not run, or kills its process, had better do so here."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        feed = {f"{name}:0": array for name, array in batch.items()}
        with tf.compat.v1.Session(graph=graph) as session:
            names = [name if ":" in name else f"{name}:0" for name in outputs]
            try:
                session.run(names, feed)
            except tf.errors.OpError as error:
                raise RuntimeError(f"the network it made does not run: {error.message}") from error


class _Complaints(logging.Handler):
    """Collects what Neural Compressor logs as errors: it goes on where it had better stop."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._messages: list[str] = []
        self._logger = logging.getLogger("neural_compressor")
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self._messages.append(record.getMessage())

    def close(self) -> None:
        """Listen no more."""
        self._logger.removeHandler(self)
        super().close()

    def reason(self, error: Exception) -> str:
        """Return the first complaint, which the exception may only be a consequence of."""
        text = f"{type(error).__name__}: {error}"
        said = [message for message in self._messages if message != "failed"]
        line = " ".join((said[0] if said else text).split())
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _private_stdout() -> TextIO:
    """Keep standard output for answers; whatever else is printed goes to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
