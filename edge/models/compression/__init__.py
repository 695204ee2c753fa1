"""Quantization: a scheme a function."""
