"""What commands print: tables for people; JSON and YAML for programs, with protobuf's names in snake_case."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Final

import yaml
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nightcrew.client.models.json_form import as_json

PIPED_WIDTH: Final = 10_000
"""No terminal, no limit: what is piped is never cut or folded."""
WIDE: Final = 110
"""From so many columns on, tables show their wide columns too."""

_COLOURS: Final = {
    "ACTIVE": "green",
    "SUCCEEDED": "green",
    "STARTED": "green",
    "RUNNING": "cyan",
    "QUEUED": "blue",
    "BUFFERED": "blue",
    "WAITING": "yellow",
    "RETRYING": "yellow",
    "RESTARTING": "yellow",
    "PAUSED": "yellow",
    "STOPPING": "yellow",
    "ERROR": "red",
    "CRITICAL": "red",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "WARNING": "yellow",
}


class Format(StrEnum):
    """How the answer is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, what stands in it, and whether it needs a wide terminal."""

    title: str
    value: Callable[[Any], Any]
    wide: bool = False
    right: bool = False


class Printer:
    """Writes answers to stdout, and remarks about them to stderr."""

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.console = _console(stderr=False)
        self.remarks = _console(stderr=True)

    @property
    def wide(self) -> bool:
        """Whether there is room for more than the needful."""
        return self.console.width >= WIDE

    def many(self, items: Sequence[Any], columns: Sequence[Column]) -> None:
        """A list: a table, or an array."""
        if self.format is not Format.TABLE:
            self.value(items)
        else:
            self.draw(self.table(items, columns))

    def one(self, item: Any, rows: Mapping[str, Any]) -> None:
        """A single thing: its facts line by line, or an object. Facts that are empty are left out."""
        if self.format is not Format.TABLE:
            self.value(item)
            return
        shown = {name: value for name, value in rows.items() if value not in (None, "", (), [], {})}
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="bold")
        grid.add_column(overflow="fold")
        for name, value in shown.items():
            grid.add_row(name, self.cell(value, full=True))
        self.draw(grid)

    def draw(self, drawing: RenderableType) -> None:
        """Prints a table or a tree; without the blanks at the ends of lines when it is piped."""
        if self.console.is_terminal:
            self.console.print(drawing)
            return
        with self.console.capture() as captured:
            self.console.print(drawing)
        for line in captured.get().splitlines():
            print(line.rstrip())

    def value(self, value: Any) -> None:
        """Anything, as JSON or YAML."""
        plain = as_json(value)
        if self.format is Format.YAML:
            print(to_yaml(plain), end="")
        else:
            print(json.dumps(plain, ensure_ascii=False, indent=2))

    def stream(self, item: Any, line: Text | None) -> None:
        """One of a stream without an end: a line of text, a line of JSON, a document of YAML."""
        match self.format:
            case Format.TABLE:
                if line is not None:
                    self.console.print(line, soft_wrap=True)
            case Format.JSON:
                print(json.dumps(as_json(item), ensure_ascii=False), flush=True)
            case Format.YAML:
                print(f"---\n{to_yaml(as_json(item))}", end="", flush=True)

    def remark(self, text: str) -> None:
        """Something about the answer that is not a part of it."""
        self.remarks.print(Text(text), soft_wrap=True)

    def table(self, items: Sequence[Any], columns: Sequence[Column]) -> Table:
        """The table itself; columns for wide terminals only where there is room."""
        shown = [one for one in columns if self.wide or not one.wide]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in shown:
            table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
        for item in items:
            table.add_row(*(self.cell(column.value(item)) for column in shown))
        return table

    def cell(self, value: Any, *, full: bool = False) -> Text:
        """A value as it stands in a table: states by their short names, times as this place reads them."""
        match value:
            case Text():
                return value
            case None | "":
                return Text("–" if not full else "")
            case Enum():
                return state_text(value)
            case datetime():
                return Text(moment(value, year=full or self.wide))
            case bool():
                return Text("yes" if value else "no")
            case str() | int() | float():
                return Text(str(value))
            case Mapping() if all(isinstance(one, str | int) for one in value.values()) and not full:
                return Text(",".join(f"{key}={one}" for key, one in value.items()) or "–")
            case Mapping() | list() | tuple():
                return Text(to_yaml(as_json(value)).rstrip("\n"))
            case _:
                return Text(str(value))


def short(value: Enum) -> str:
    """An enumeration's value without its type's prefix: `ACTIVE` for `STATE_ACTIVE`."""
    return value.name


def state_text(value: Enum) -> Text:
    """The same, in the colour of what it means."""
    return Text(short(value), style=_COLOURS.get(short(value), ""))


def moment(value: datetime, *, year: bool = True) -> str:
    """An instant as this place's clocks read it."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S" if year else "%m-%d %H:%M:%S")


def to_yaml(value: Any) -> str:
    """A JSON value as YAML; texts of many lines as blocks."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """YAML as people write it."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
    return Console(stderr=stderr, highlight=False, width=width)
