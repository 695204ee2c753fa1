"""Does the model keep the budget of params.yaml and of its task? Exits 0 where all is met: docs/budget.md."""

import argparse

from edge.core import errors
from edge.judge import budget


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.gate", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="a table for a merge request")
    arguments = parser.parse_args()
    judged = budget.rows()
    print(budget.table(judged, arguments.markdown), flush=True)
    budget.refuse([budget.describe(row) for row in judged if not row.met])


if __name__ == "__main__":
    errors.run(main)
