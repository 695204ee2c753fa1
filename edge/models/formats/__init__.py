"""Model files: ONNX, TFLite, and the metadata inside."""
