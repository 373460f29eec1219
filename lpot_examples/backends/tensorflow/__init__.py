"""The TensorFlow backend: frozen graphs in, int8 frozen graphs out."""
