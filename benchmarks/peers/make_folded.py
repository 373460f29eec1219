"""Makes the fp32 graph that our clean-up passes leave, before anything is quantized."""

from __future__ import annotations

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.backends.tensorflow.passes import clean
from peers.task import Task, run


def make(task: Task) -> None:
    """Write the folded graph."""
    model = load_model(task.fp32, inputs=task.inputs, outputs=task.outputs)
    with task.stage("fold"):
        graph = Graph(model.graph_def, inputs=model.input_names, outputs=model.output_names)
        graph.remove_unreachable()
        task.facts["passes"] = clean(graph).applied
        graph_def = graph.to_graph_def()
    folded = TensorFlowModel(graph_def, inputs=model.input_names, outputs=model.output_names)
    folded.save(task.target)


if __name__ == "__main__":
    run(make)
