"""What a driver and its worker processes tell each other, pickled."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from lpot_examples.evaluation.result import EvaluationResult


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a worker is for.

    Attributes:
        search_path: The driver's ``sys.path``, so that what it imports is found.
        build: Pickled function without arguments that returns an ``eval_func``.
    """

    search_path: list[str]
    build: bytes


@dataclass(frozen=True)
class Ready:
    """The evaluation is built."""


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """How far an evaluation is, in samples."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an evaluation gave, and the monitor in the state it was left in."""

    result: EvaluationResult
    monitor: Any


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why there is no result: an error for the user, or a defect with its traceback."""

    error: Exception
    monitor: Any = None


Answer = Ready | Progressed | Done | Failed


def send(connection: Connection, message: object) -> None:
    """Send a message; functions that were defined anywhere may be part of it.

    Raises:
        OSError: If there is no one at the other end.
    """
    import cloudpickle

    connection.send_bytes(cloudpickle.dumps(message))


def receive(connection: Connection) -> Any:
    """Wait for a message and return it.

    Raises:
        EOFError: If there is no one at the other end.
    """
    import cloudpickle

    return cloudpickle.loads(connection.recv_bytes())
