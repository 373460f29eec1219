"""Numerics: encodings, weight quantization, and the NumPy oracle that int8 kernels must match."""
