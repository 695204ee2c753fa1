"""Measures a model on a board."""
