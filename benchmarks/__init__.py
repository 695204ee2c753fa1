"""Scripts that print what docs/results.md holds: each figure as asked and as measured, ratios from one run."""
