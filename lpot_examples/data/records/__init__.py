"""TFRecord shards: reading, writing and inspecting them without TensorFlow's runtime."""
