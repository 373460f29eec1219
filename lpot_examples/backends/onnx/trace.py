"""What each node of a network takes on this host, by ONNX Runtime's own profiler.

Networks are run in turns, so that what else happens on the host meets all of them. Other processes
only ever add time, and where a kernel waits for a thread much of it, so a node counts with the
fastest of its runs.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.backends.onnx.model import is_large, serialized
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.backends.onnx.reading import read_model
from lpot_examples.backends.onnx.runtime import open_session, session_options

# Runs before the first that counts, and runs that count. Networks so slow that these take longer
# than the seconds make do with fewer.
_WARM_UP, _RUNS, _FEWEST = 4, 16, 4
_SECONDS = 6.0

_SUFFIX = "_kernel_time"


@dataclass(frozen=True)
class Executed:
    """A node of the network that ONNX Runtime made of one that was given.

    Attributes:
        node: That node, a ``NodeProto``.
        milliseconds: What it takes in a run. What the profiler does meanwhile is in it, which makes
            up for the executor's work between nodes, which is not.
        size: Values of its first output.
    """

    node: Any
    milliseconds: float
    size: int


def trace(networks: Mapping[str, tuple[Any, Mapping[str, Array]]]) -> dict[str, list[Executed]]:
    """Run networks a few times and return the nodes that were run, in order of execution.

    Nodes inside subgraphs count in the node that holds these.

    Args:
        networks: A name to a ``ModelProto`` and what to feed it.
    """
    with tempfile.TemporaryDirectory() as folder:
        profiled = {
            name: _Profiled(name, proto, feed, Path(folder))
            for name, (proto, feed) in networks.items()
        }
        counted = _in_turns(profiled.values())
        return {name: one.finish(counted) for name, one in profiled.items()}


class _Profiled:
    """A network with the profiler on.

    Args:
        name: For file names.
        proto: The network.
        feed: What to run it on.
        folder: For files of the profiler.
    """

    def __init__(self, name: str, proto: Any, feed: Mapping[str, Array], folder: Path) -> None:
        self._feed = dict(feed)
        self._made = folder / f"{name}.onnx"
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / name)
        options.optimized_model_filepath = str(self._made)
        if is_large(proto):
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{name}.data"
            )
        with serialized(proto) as content:
            self._session = open_session(content, options, source="the network")

    def run(self) -> None:
        """Run it once."""
        self._session.run(None, self._feed)

    def finish(self, runs: int) -> list[Executed]:
        """Turn the profiler off and return what the last runs took."""
        events = json.loads(Path(self._session.end_profiling()).read_text(encoding="utf-8"))
        times, sizes = defaultdict[tuple[str, str], list[float]](list), Counter[tuple[str, str]]()
        for event in _of_last_runs(events, runs):
            key = (event["name"].removesuffix(_SUFFIX), event["args"]["op_name"])
            times[key].append(event["dur"] / 1000)
            sizes[key] = _size(event["args"])
        nodes = read_model(self._made, weights=False).graph.node
        found = []
        for node in nodes:
            key = (node.name, node.op_type)
            spent = times.pop(key, [])
            # A node that did not run every time, or several times, counts for its share.
            share = len(spent) / runs
            one = min(spent) * share if spent else 0.0
            found.append(Executed(node, one, sizes[key]))
        return found


def _in_turns(networks: Any) -> int:
    """Run networks in turns; return how many runs of each count."""
    counted, started = 0, time.perf_counter()
    for turn in range(_WARM_UP + _RUNS):
        if counted >= _FEWEST and time.perf_counter() - started > _SECONDS:
            break
        for network in networks:
            network.run()
        counted += turn >= _WARM_UP
    return counted


def _of_last_runs(events: list[dict[str, Any]], runs: int) -> list[dict[str, Any]]:
    """Return the events of kernels in the last runs; a run's own event follows those."""
    ends = [index for index, event in enumerate(events) if event["name"] == "model_run"]
    first = ends[-runs - 1] + 1 if len(ends) > runs else 0
    return [
        event
        for event in events[first:]
        if event["cat"] == "Node" and event["name"].endswith(_SUFFIX)
    ]


def _size(arguments: Mapping[str, Any]) -> int:
    shapes = arguments.get("output_type_shape") or [{}]
    return math.prod(next(iter(shapes[0].values()), [0]))
