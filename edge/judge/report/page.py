"""A page of sections, tables and pictures, as one HTML file that needs nothing from outside, and as Markdown.

Whatever a page is given as a plain string or as Data is escaped; only Markup is taken as HTML.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("report.html.jinja")
NONE = "–"
GOOD, BAD, OPEN = "good", "bad", "open"
TONES = dict.fromkeys(("better", "faster", "fewer", "smaller", "met"), GOOD)
TONES |= dict.fromkeys(("worse", "slower", "more", "larger", "missed"), BAD)
TONES |= dict.fromkeys(("undecided", "same"), OPEN)
ROWS, COLUMNS, LETTERS = 30, 20, 160  # what Markdown shows of a table, and of a cell
NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?( %| [a-z]+)?|–")


class Data(str):
    """Text out of data or git: labels, file names, commit subjects. It is shown letter by letter."""


class Share(NamedTuple):
    """A cell with a background that is the stronger the larger ``share``, 0 to 1, is."""

    text: str
    share: float


class Table(NamedTuple):
    """Rows of cells (str, Data, Share) below ``head``; the first cell of a row names it."""

    caption: str
    head: list
    rows: list[list]


class Figure(NamedTuple):
    """HTML that shows something, and cells that are joined to what it is called."""

    content: Markup
    caption: list


@dataclass
class Section:
    """A heading and what follows it; ``warnings`` say what is not to be trusted."""

    title: str
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    level: int = 2


@dataclass
class Page:
    """A title, the answer in a sentence, and sections."""

    title: str
    answer: str
    sections: list[Section]


def html(page: Page) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"cell": html_cell, "number": is_number}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(page=page) + "\n"


def html_cell(cell) -> Markup:
    """A cell as HTML."""
    if isinstance(cell, Data):
        return Markup("<code>{}</code>").format(cell)
    text = cell.text if isinstance(cell, Share) else cell
    return Markup('<strong class="{}">{}</strong>').format(TONES[text], text) if text in TONES else Markup.escape(text)


def is_number(cell) -> bool:
    """Whether a cell is to be aligned as a number."""
    return isinstance(cell, Share) or (not isinstance(cell, Data) and bool(NUMBER.fullmatch(cell)))


def markdown(page: Page) -> str:
    """The page as GitLab's Markdown, without pictures; long tables are cut, and say so."""
    lines = [f"# {escaped(page.title)}", "", f"**{escaped(page.answer)}**", ""]
    for section in page.sections:
        lines += [f"{'#' * section.level} {escaped(section.title)}", ""]
        lines += [f"- ⚠ {escaped(warning)}" for warning in section.warnings]
        lines += [""] if section.warnings else []
        lines += [line for note in section.notes for line in (escaped(note), "")]
        for table in section.tables:
            lines += markdown_table(table)
        if section.figures:
            lines += [f"Figures in report.html: {len(section.figures)}.", ""]
    return "\n".join(lines)


def markdown_table(table: Table) -> list[str]:
    """A table as lines of Markdown."""
    lines = [f"{escaped(table.caption)}:", ""]
    if len(table.head) > COLUMNS:
        return [*lines, f"{len(table.head)} columns are in report.html.", ""]
    lines += ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in (table.head, *table.rows[:ROWS])]
    lines.insert(3, "|" + " --- |" * len(table.head))
    if len(table.rows) > ROWS:
        lines += ["", f"{len(table.rows) - ROWS} more rows are in report.html."]
    return [*lines, ""]


def markdown_cell(cell) -> str:
    """A cell of a table: Data as code, which GitLab searches for no mention, link, HTML or command."""
    if not isinstance(cell, Data):
        text = cell.text if isinstance(cell, Share) else cell
        return f"**{text}**" if TONES.get(text) in (GOOD, BAD) else escaped(text)
    text = shortened(cell)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", r"\|")


def escaped(text: str) -> str:
    """Text as Markdown shows it; @ names nobody."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", shortened(text, 10 * LETTERS)).replace("@", "@\u200b")


def shortened(text: str, most: int = LETTERS) -> str:
    """Text on one line, and not longer than ``most``."""
    text = " ".join(text.split()) or "–"
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value: float | None) -> str:
    """A figure for a person: whole numbers with all digits, others with four."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def percent(share: float) -> str:
    """A share of 1 in percent."""
    return f"{100 * share:.1f} %"


def interval(change: float, low: float, high: float) -> str:
    """A change and its interval, shares, in percent."""
    return f"{100 * change:+.1f} % ({100 * low:+.1f} to {100 * high:+.1f})"
