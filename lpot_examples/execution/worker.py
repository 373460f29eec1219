"""The process that evaluates models: ``python -m lpot_examples.execution.worker FD PARENT CORES``.

It talks over the connection whose file descriptor it is given, in `messages`: a `Setup` is answered
with `Ready` once the evaluation is built, each job after that with any number of `Progressed` and
one `Done`. Where something fails, `Failed` is the answer.

It pins itself to its cores before NumPy or TensorFlow start threads, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from lpot_examples import child
from lpot_examples.errors import EvaluationError, LpotError

if TYPE_CHECKING:
    from lpot_examples.evaluation.evaluator import Evaluator, Progress
    from lpot_examples.execution.base import Job

# Seconds between two reports of progress.
_PAUSE = 0.1


def main(arguments: list[str]) -> None:
    """Serve one driver until it closes the connection."""
    descriptor, parent, cores = arguments
    child.end_with(int(parent))
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    os.set_inheritable(int(descriptor), False)  # what an eval_func starts must not keep it open
    with contextlib.suppress(EOFError, OSError):
        serve(Connection(int(descriptor)))


def serve(connection: Connection) -> None:
    """Build the evaluation and carry out one job after the other.

    Raises:
        EOFError: When the other side closes the connection.
        OSError: If it does so while it should be answered.
    """
    from lpot_examples.execution.messages import Failed, Ready, receive, send

    try:
        evaluator = _build(connection)
    except EOFError:
        raise
    except Exception as error:
        send(connection, Failed(error=_presentable(error)))
        return
    send(connection, Ready())
    while True:
        _answer(receive(connection), evaluator, connection)


def _build(connection: Connection) -> Evaluator:
    import cloudpickle

    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.execution.messages import Setup, receive

    setup: Setup = receive(connection)
    sys.path[:] = setup.search_path
    build: Callable[[], Any] = cloudpickle.loads(setup.build)
    return Evaluator(build())


def _answer(job: Job, evaluator: Evaluator, connection: Connection) -> None:
    from lpot_examples.execution.base import carry_out
    from lpot_examples.execution.messages import Done, Failed, send

    try:
        result = carry_out(job, evaluator, _reporter(connection))
    except Exception as error:
        send(connection, Failed(error=_presentable(error), monitor=job.monitor))
        return
    try:
        send(connection, Done(result=result, monitor=job.monitor))
    except OSError:
        raise
    except Exception as error:  # what cannot be pickled raises whatever it likes
        reason = f"what eval_func returned cannot be sent to another process: {error}."
        send(connection, Failed(error=EvaluationError(reason), monitor=job.monitor))


def _reporter(connection: Connection) -> Progress:
    """Return what reports progress, now and then and at the end."""
    from lpot_examples.execution.messages import Progressed, send

    last = -_PAUSE

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PAUSE or done >= total:
            last = now
            send(connection, Progressed(done=int(done), total=int(total)))

    return report


def _presentable(error: Exception) -> Exception:
    """Return an error that the driver can raise; a defect of this project with its traceback."""
    if isinstance(error, LpotError):
        return error.with_traceback(None)
    return RuntimeError("in a worker process:\n" + "".join(traceback.format_exception(error)))


if __name__ == "__main__":
    main(sys.argv[1:])
