"""`nightcrew backup` and `nightcrew restore`: the store's file copied while it is in use, and put back."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from nightcrew.app.upkeep import Upkeep
from nightcrew.cli.connection import Defaults, OutputOption
from nightcrew.cli.output import Format, Printer
from nightcrew.cli.refusal import REFUSED, WRONG_USE
from nightcrew.config.settings import FILE, load_settings
from nightcrew.domain.errors import InvalidArgument, StoreError
from nightcrew.system.clock import SystemClock

T = TypeVar("T")

MIB: Final = 1024 * 1024
DataOption = Annotated[
    Path | None, typer.Option(help="The data folder (default: .nightcrew, as `nightcrew up` has it).")
]


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup to be written.")],
    *,
    data: DataOption = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Copy the key of secrets, too, as FILE.key: keep it apart.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a FILE that is there.")] = False,
    output: OutputOption = None,
) -> None:
    """Back up the store into one file, whether or not a runtime uses it: nobody waits for it.

    Run it on the runtime's machine, as its user. FILE appears when it is whole, checked and on disk, never before.
    Secrets of webhooks are in it encrypted: without the key (secret.key in the data folder) they can't be used.

    Examples:
      nightcrew backup /backups/crew.db --data /var/lib/nightcrew
      nightcrew backup "/backups/crew-$(date +%F).db" --with-key
    """
    printer = printer_of(context, output)
    upkeep = upkeep_of("backup", data)
    done = refusing(
        "backup", lambda: upkeep.backup(file, with_key=with_key, force=force, progress=shown("copied"))
    )
    facts = {
        "backup": str(done.path),
        "size": done.size,
        "sequence": done.sequence,
        "copied_seconds": round(done.copied, 3),
        "checked_seconds": round(done.checked, 3),
        "key": str(done.key) if done.key else None,
    }
    printer.one(
        {name: value for name, value in facts.items() if value is not None},
        {
            "backup": str(done.path),
            "size": f"{done.size / MIB:.1f} MiB, up to event {done.sequence}",
            "time": f"{done.copied:.1f} s to copy, {done.checked:.1f} s to check",
            "key": str(done.key) if done.key else "",
        },
    )
    if done.sealed and done.key is None:
        printer.remark(
            f"it holds secrets of webhooks, which open with the runtime's key alone: keep {upkeep.key_file}, too"
            " (--with-key copies it)"
        )


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup to be put back; it stays as it is.")],
    *,
    data: DataOption = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put FILE.key in the place of secret.key, too.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Put a backup in the place of the store; the runtime must be stopped.

    FILE is checked first. The file that was there is kept beside it, and can be restored in its turn. Watchers
    that come back are told of a gap: what was seen after the backup is not there any more.

    Examples:
      nightcrew restore /backups/crew.db --data /var/lib/nightcrew
    """
    printer = printer_of(context, output)
    upkeep = upkeep_of("restore", data)
    done = refusing("restore", lambda: upkeep.restore(file, with_key=with_key, progress=shown("copied")))
    facts = {
        "restored": str(done.path),
        "size": done.size,
        "sequence": done.sequence,
        "aside": str(done.aside) if done.aside else None,
        "key_aside": str(done.key_aside) if done.key_aside else None,
    }
    printer.one(
        {name: value for name, value in facts.items() if value is not None},
        {
            "restored": str(done.path),
            "size": f"{done.size / MIB:.1f} MiB, up to event {done.sequence}",
            "kept aside": str(done.aside) if done.aside else "",
            "key aside": str(done.key_aside) if done.key_aside else "",
        },
    )
    if done.aside:
        printer.remark(f"to undo it: nightcrew restore {done.aside} --data {done.path.parent}")
    if done.key_missing:
        printer.remark(
            f"it holds secrets of webhooks, and {upkeep.key_file} is not there: put the key there, or give the"
            " secrets anew"
        )


def upkeep_of(command: str, data: Path | None) -> Upkeep:
    """The folder that is meant, by the flag, the environment or nightcrew.toml; exits 2 if they are wrong."""
    try:
        return Upkeep(load_settings(data=data), SystemClock())
    except InvalidArgument as error:
        for violation in error.violations:
            print(
                f"nightcrew {command}: {violation.field} ({FILE}): {violation.description}", file=sys.stderr
            )
        raise typer.Exit(WRONG_USE) from None


def refusing(command: str, do: Callable[[], T]) -> T:
    """Does it; a refusal is one line, and exit code 1."""
    try:
        return do()
    except StoreError as error:
        print(f"nightcrew {command}: {error.message}", file=sys.stderr)
        raise typer.Exit(REFUSED) from None


def printer_of(context: typer.Context, output: Format | None) -> Printer:
    """What writes the answer."""
    before = context.find_root().obj
    return Printer(output or (before.output if isinstance(before, Defaults) else None) or Format.TABLE)


def shown(what: str) -> Callable[[int, int], None] | None:
    """Progress for a person who looks on."""
    if not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        end: Any = "\n" if done >= total else ""
        print(f"\r{done / MIB:.0f} of {total / MIB:.0f} MiB {what}", end=end, file=sys.stderr, flush=True)

    return tell
