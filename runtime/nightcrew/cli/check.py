"""`nightcrew check`: replays the journals of what waits against new code, before that goes live."""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from nightcrew.app.checking import Check
from nightcrew.cli.backup import DataOption, printer_of
from nightcrew.cli.connection import OutputOption
from nightcrew.cli.output import Column
from nightcrew.cli.refusal import REFUSED, WRONG_USE
from nightcrew.config.settings import load_settings
from nightcrew.domain.errors import InvalidArgument, StoreError
from nightcrew.ports.replays import Fit, Replayed
from nightcrew.system.capture import install
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds

_EVERY: Final = 100
_STYLES: Final = {Fit.FITS: "green", Fit.PARKS: "yellow"}
_COLUMNS: Final = (
    Column("EXECUTION", lambda one: one.execution_id),
    Column("AGENT", lambda one: one.agent_id),
    Column("STEPS", lambda one: str(one.steps)),
    Column("", lambda one: Text(one.fit.value, style=_STYLES.get(one.fit, "red"))),
    Column("WHY", lambda one: one.message),
)


def check(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="The new code, as `nightcrew up` is given it.")
    ],
    *,
    data: DataOption = None,
    output: OutputOption = None,
) -> None:
    """See whether new code fits what waits, before it goes live: its journals are replayed, nothing is changed.

    Each execution that has a journal and has not ended is run up to where its journal ends: no step is run, nothing
    is written, whether or not a runtime uses the folder. What a program does between its durable calls does happen.
    Shows those that do not fit, all of them with --output json. Exit code 1 if there are any.

    Examples:
      nightcrew check agents/
      nightcrew check agents/ --data /var/lib/nightcrew --output json
    """
    printer = printer_of(context, output)
    missing = [path for path in paths if not path.exists()]
    if missing:
        print(f"nightcrew check: {missing[0]} does not exist", file=sys.stderr)
        raise typer.Exit(WRONG_USE)
    try:
        checking = Check(load_settings(data=data), paths, SystemClock(), SystemIds())
        found = asyncio.run(_all(checking))
    except InvalidArgument as error:
        print(f"nightcrew check: {error.message}", file=sys.stderr)
        raise typer.Exit(WRONG_USE) from None
    except StoreError as error:
        print(f"nightcrew check: {error.message}", file=sys.stderr)
        raise typer.Exit(REFUSED) from None
    for fault in checking.faults:
        print(f"nightcrew check: not loaded: {fault}", file=sys.stderr)
    wrong = [one for one in found if one.fit is not Fit.FITS]
    if output is None or output.value == "table":
        printer.many(wrong, _COLUMNS)
    else:
        printer.value(found)
    counts = Counter(one.fit.value for one in found)
    printer.remark(
        f"{len(found)} replayed: " + (", ".join(f"{n} {fit}" for fit, n in sorted(counts.items())) or "0")
    )
    if wrong or checking.faults:
        raise typer.Exit(REFUSED)


async def _all(checking: Check) -> list[Replayed]:
    install()  # what the programs print is none of the answer
    found = []
    async for one in checking.run():
        found.append(one)
        if sys.stderr.isatty() and len(found) % _EVERY == 0:
            print(f"\r{len(found)} replayed", end="", file=sys.stderr, flush=True)
    return found
