"""From TensorFlow to ONNX: networks, and the decisions and scales of tuned ones."""
