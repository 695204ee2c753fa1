"""dvc.lock of any commit: which stage made a file, from what, and with which parameters."""

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from edge.records import git


def content(commit: str, file: str) -> dict:
    """A YAML file as a commit has it; empty where it is not there or cannot be read."""
    try:
        return YAML(typ="safe", pure=True).load(git.output("show", f"{commit}:{file}")) or {}
    except YAMLError:
        return {}


def upstream(stages: dict, *names: str) -> list[str]:
    """The stages of a dvc.lock that made what ``names`` read, and these, each after those that it reads from."""
    found: dict[str, None] = {}
    made_by = {out["path"]: name for name, stage in stages.items() for out in stage.get("outs", ())}

    def visit(name: str, above: tuple[str, ...]) -> None:
        for dep in stages[name].get("deps", ()):
            source = made_by.get(dep["path"])
            if source and source not in (*above, name):
                visit(source, (*above, name))
        found.setdefault(name)

    for name in names:
        visit(name, ())
    return list(found)


def parameters(stages: dict, names: list[str]) -> dict:
    """The parameters that the stages ``names`` of a dvc.lock read, by file. Where two disagree, the first is right.

    A run of some stages only leaves later ones in dvc.lock as they were.
    """
    merged: dict = {}
    for name in names:
        for file, values in stages[name].get("params", {}).items():
            merged[file] = values | merged.get(file, {})
    return merged
