"""The ONNX backend: networks of ONNX Runtime, made int8 as QDQ graphs or dynamically."""
