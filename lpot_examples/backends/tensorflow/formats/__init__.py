"""Every format in which a network may arrive, one file for each; all become a frozen graph.

.pb ─────────────────────────────────────────────► frozen.py ──┐
.meta + .index + .data ─► checkpoint.py ──┐                    │
SavedModel of TF1 ──────► saved_model.py ─┴─► meta_graph.py ───┼─► TensorFlowModel
SavedModel of TF2 ──────► saved_model.py ───► functions.py ────┤
.keras, .h5 ────────────► keras_file.py ────► functions.py ────┘
"""

from lpot_examples.backends.tensorflow.formats.detect import Format, detect_format
from lpot_examples.backends.tensorflow.formats.opening import open_model, open_object

__all__ = ["Format", "detect_format", "open_model", "open_object"]
