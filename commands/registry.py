"""Which version of a task's model is the champion? Promote the candidate, roll back, or show; docs/registry.md."""

import argparse

import tasks
from edge.core import errors
from edge.core.errors import UserError
from edge.judge import budget
from edge.records import mlflow_store, registry


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.registry", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for action in (registry.promote, registry.rollback, registry.show):
        command = commands.add_parser(action.__name__, help=action.__doc__.splitlines()[0])
        command.add_argument("--task", help="the registered model (default: task in params.yaml)")
    commands.choices["promote"].add_argument("--reason", default="the gate passed")
    commands.choices["rollback"].add_argument("--reason", required=True)
    arguments = parser.parse_args()
    task = arguments.task or tasks.selected().params.task
    try:
        match arguments.command:
            case "promote":
                print(registry.promote(task, arguments.reason, budget.check_committed))
            case "rollback":
                print(registry.rollback(task, arguments.reason))
            case "show":
                print(registry.show(task))
    except registry.FAILURES as error:
        raise UserError(f"{task} at {mlflow_store.place()}: {mlflow_store.hidden(str(error))}") from None


if __name__ == "__main__":
    errors.run(main)
