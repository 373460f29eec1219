"""A network of ``keras.applications`` with its weights, as a frozen graph.

Run as ``python -m lpot_examples.backends.tensorflow.keras_application APPLICATION WEIGHTS INPUT
OUTPUT TARGET PARENT``: building takes memory that the process which wants the network should not
keep. PARENT is that process's id. Errors end it with a message on standard error.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from lpot_examples.child import end_with
from lpot_examples.errors import LpotError, ModelError


def freeze_application(
    application: str, weights: Path, *, input_name: str, output_name: str, target: Path
) -> Path:
    """Write a network of ``keras.applications`` as a frozen graph.

    The weights go where Keras looks for what it has downloaded, because some applications are
    built otherwise when weights are given by path: EfficientNet then lacks a scaling. So this must
    be the first use of Keras in the process.

    Args:
        application: The function that builds it, such as ``ResNet50``.
        weights: The file of its ImageNet weights, under the name that it is published by.
        input_name: For the placeholder.
        output_name: For the output.
        target: The ``.pb`` file.

    Returns:
        ``target``.

    Raises:
        ModelError: If the weights do not fit.
        OutputError: If the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="keras-") as home:
        cache = Path(home) / "models"
        cache.mkdir()
        (cache / weights.name).symlink_to(weights.resolve())
        os.environ["KERAS_HOME"] = home
        from lpot_examples.backends.tensorflow.keras_export import freeze_keras
        from lpot_examples.backends.tensorflow.runtime import import_tensorflow

        tf = import_tensorflow()
        try:
            model = getattr(tf.keras.applications, application)(weights="imagenet")
        except (ValueError, OSError) as error:
            raise ModelError(
                f"the weights {weights.name} do not fit keras.applications.{application}: "
                f"{(str(error).splitlines() or [''])[0]}"
            ) from error
        frozen = freeze_keras(model, input_name=input_name, output_names=(output_name,))
    return frozen.save(target)


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    application, weights, input_name, output_name, target, parent = arguments
    end_with(int(parent))
    try:
        freeze_application(
            application,
            Path(weights),
            input_name=input_name,
            output_name=output_name,
            target=Path(target),
        )
    except LpotError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
