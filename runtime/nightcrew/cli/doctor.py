"""`nightcrew doctor`: looks through a data folder, says what is wrong and what to do, and changes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from nightcrew.cli.backup import DataOption, printer_of, refusing, upkeep_of
from nightcrew.cli.connection import OutputOption
from nightcrew.cli.output import Column, Format
from nightcrew.cli.refusal import REFUSED
from nightcrew.ports.upkeep import Finding, Severity

_STYLES: Final = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}
_COLUMNS: Final = (
    Column("", lambda one: Text(one.severity.value, style=_STYLES[one.severity])),
    Column("CHECK", lambda one: one.check),
    Column("FOUND", lambda one: one.message),
)


def doctor(
    context: typer.Context,
    *,
    data: DataOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Compare every index with its table, too: some seconds a GB.")
    ] = False,
    salvage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Copy what can be read of a damaged store into FILE, to be restored from."
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Look through the data folder, whether or not a runtime uses it, and say what is wrong and what to do.

    Exit code 1 if something is broken; warnings alone are 0.

    Examples:
      nightcrew doctor --data /var/lib/nightcrew
      nightcrew doctor --full --output json
      nightcrew doctor --salvage saved.db && nightcrew restore saved.db
    """
    printer = printer_of(context, output)
    upkeep = upkeep_of("doctor", data)
    if salvage is not None:
        rows = refusing("doctor", lambda: upkeep.salvage(salvage))
        printer.one(
            {"salvaged": str(salvage), "rows": rows},
            {"salvaged": str(salvage), **{table: f"{count} rows" for table, count in rows.items() if count}},
        )
        printer.remark(f"what was damaged is not in it. To use it: nightcrew restore {salvage}")
        return
    findings = refusing("doctor", lambda: upkeep.examine(full=full))
    if printer.format is Format.TABLE:
        printer.many(findings, _COLUMNS)
        for one in findings:
            if one.advice:
                printer.remark(f"{one.check}: {one.advice}")
    else:
        printer.value(findings)
    if worst(findings) is Severity.ERROR:
        raise typer.Exit(REFUSED)


def worst(findings: Sequence[Finding]) -> Severity:
    """The gravest of all."""
    return max((one.severity for one in findings), key=list(Severity).index, default=Severity.OK)
