"""`nightcrew vacuum`: gives the space that deleted rows have left in the store's file back to the disk."""

import typer

from nightcrew.cli.backup import MIB, DataOption, printer_of, refusing, upkeep_of
from nightcrew.cli.connection import OutputOption


def vacuum(context: typer.Context, *, data: DataOption = None, output: OutputOption = None) -> None:
    """Make the store's file as small as what is in it; the runtime must be stopped.

    Seldom needed: space of deleted rows is used again by new ones. `nightcrew doctor` says how much there is. While
    it is rewritten twice the file's size must be free; a kill leaves it as it was.

    Examples:
      nightcrew vacuum --data /var/lib/nightcrew
    """
    printer = printer_of(context, output)
    before, after = refusing("vacuum", upkeep_of("vacuum", data).vacuum)
    printer.one(
        {"before": before, "after": after},
        {"before": f"{before / MIB:.1f} MiB", "after": f"{after / MIB:.1f} MiB"},
    )
