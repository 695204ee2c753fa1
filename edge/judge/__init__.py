"""Is a model good enough: budget, verdicts, report."""
