"""Opens the network that is tuned; the framework it is of is chosen here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpot_examples.spec import Spec


def open_network(model: Any, spec: Spec) -> Any:
    """Open a network given in any form that `quantization.tune` takes.

    Args:
        model: The network.
        spec: Names its inputs and outputs, where they are not to be found.

    Returns:
        A `TensorFlowModel` or an `OnnxModel`.

    Raises:
        ModelError: If it cannot be read, or lacks them.
    """
    from lpot_examples.backends.registry import framework_of

    return framework_of(model).open(model, inputs=spec.model.inputs, outputs=spec.model.outputs)
