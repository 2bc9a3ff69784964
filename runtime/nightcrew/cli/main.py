"""The command line as a whole: its groups, what is said before them, and the entry point."""

from importlib import import_module, metadata
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from nightcrew.cli import (
    agent_files,
    agent_lifecycle,
    agents,
    events,
    execution_logs,
    executions,
    schedules,
    status,
    top,
)
from nightcrew.cli.connection import Defaults, OutputOption

LOCAL: Final = {
    "up": "up",
    "backup": "backup",
    "restore": "backup",
    "doctor": "doctor",
    "vacuum": "vacuum",
    "check": "check",
}
"""Commands that work on this machine, and the modules they are in: loaded when they are asked for."""
GROUPS: Final[dict[str, tuple[ModuleType, ...]]] = {
    "agents": (agents, agent_lifecycle, agent_files),
    "executions": (executions, execution_logs),
    "schedules": (schedules,),
    "events": (events,),
}
"""The modules of each group: the first makes its app, all of them put their commands on it when they load."""


class Lazy(TyperGroup):
    """The commands; those that need the runtime's code load it when they are asked for: control needs none."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, `up` first."""
        return [*LOCAL, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None when there is none."""
        return _local(cmd_name) if cmd_name in LOCAL else super().get_command(ctx, cmd_name)


def _local(name: str) -> Any:
    module = f"nightcrew.cli.{LOCAL[name]}"
    if find_spec(module) is None:
        return None
    alone = typer.Typer(add_completion=False)
    alone.command(name)(getattr(import_module(module), name))
    return get_command(alone)


def _version(*, asked: bool) -> None:
    if asked:
        print(f"nightcrew {metadata.version('nightcrew')}")
        raise typer.Exit


app = typer.Typer(cls=Lazy, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root(
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            envvar="NIGHTCREW_ADDRESS",
            help="The runtime to control; also after a command.",
        ),
    ] = None,
    output: OutputOption = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda value: _version(asked=value), help="Show it."
        ),
    ] = False,
) -> None:
    """Run agents in the background, and control them: systemd for AI agents.

    `nightcrew up` serves; `backup`, `restore`, `doctor`, `vacuum` and `check` look after its data folder on
    this machine; every other command asks a runtime that serves, over gRPC.

    Exit codes: 0 done, 1 the runtime refused, 2 wrong use, 3 no runtime answers.

    Examples:
      nightcrew up agents.py
      nightcrew agents list
      nightcrew agents trigger digest --input '{"day": "monday"}' --wait 10s
      nightcrew executions logs -f 0198c0de-0000-7000-8000-000000000001
    """
    del version
    context.obj = Defaults(address, output)


for _name, _modules in GROUPS.items():
    app.add_typer(_modules[0].app, name=_name)
status.register(app)
top.register(app)


def main() -> None:
    """The entry point of `nightcrew`."""
    app(prog_name="nightcrew")


if __name__ == "__main__":
    main()
