"""Settings of data that a person brings: where they are, who is in them, and what they may have unpacked."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from edge.core.settings import Section
from edge.data import archive


def _place(path: str) -> str:
    """An empty path would be the folder of the pipeline itself."""
    if not path.strip() or "\0" in path:
        raise ValueError("name a folder or an archive, or write null")
    return path


Place = Annotated[str, AfterValidator(_place)] | None


def named(group: str) -> object:
    """The type of a setting: a regular expression with the group ``(?P<group>…)``, or null.

    Example: ``speaker: named("speaker")`` takes "^(?P<speaker>[a-z]+)_".
    """

    def finds(pattern: str) -> str:
        try:
            if group in re.compile(pattern).groupindex:
                return pattern
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        raise ValueError(f"the group (?P<{group}>…) is missing")

    return Annotated[str, AfterValidator(finds)] | None


class Limits(Section):
    """What files may have unpacked: one of them, and all of a folder or archive."""

    file_mb: float = Field(gt=0, le=2000)
    archive_gb: float = Field(gt=0)

    @property
    def unpacked(self) -> archive.Limits:
        """The limits in bytes."""
        return archive.Limits(round(self.file_mb * 10**6), round(self.archive_gb * 10**9))
