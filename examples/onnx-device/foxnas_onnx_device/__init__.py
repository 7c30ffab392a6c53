"""A device kind for foxnas: int8 models on ONNX Runtime."""
