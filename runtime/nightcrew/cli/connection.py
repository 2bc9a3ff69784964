"""How a control command runs: where the server is, how the answer is written, and the exit code at the end."""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from nightcrew.cli.output import Format, Printer
from nightcrew.cli.refusal import DONE, INTERRUPTED, WRONG_USE, WrongUse, exit_code, lines
from nightcrew.client.client import DEFAULT_ADDRESS, Client
from nightcrew.client.errors import NightcrewClientError
from nightcrew.client.retry import RetryPolicy

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help=f"The runtime's gRPC address (default {DEFAULT_ADDRESS})."
    ),
]
OutputOption = Annotated[
    Format | None, typer.Option("--output", help="table for people, json or yaml for programs.")
]

# A person waits for the answer: a runtime that restarts is waited for, one that is not there is soon told.
_RETRY = RetryPolicy(attempts=4, initial=0.1, maximum=0.5)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What was said before the command's name, or by the environment."""

    address: str | None = None
    output: Format | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    client: Client
    printer: Printer


Command = Callable[..., Coroutine[Any, Any, int | None]]


def control(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Registers an async function as a command: its first argument is the Session, the rest are its own options.

    It may return an exit code; None is 0. `--address` and `--output` are added to each.
    """

    def register(command: Command) -> Command:
        app.command(name)(_entry(command))
        return command

    return register


def _entry(command: Command) -> Callable[..., None]:
    """What Typer calls, with the signature that Typer reads."""

    def entry(**given: Any) -> None:
        context: typer.Context = given.pop("context")
        before = context.obj if isinstance(context.obj, Defaults) else Defaults()
        address = given.pop("address") or before.address or DEFAULT_ADDRESS
        output = given.pop("output") or before.output or Format.TABLE
        raise typer.Exit(_run(command, address, output, given))

    first, *own = inspect.signature(command, eval_str=True).parameters.values()
    added = {"context": typer.Context, "address": AddressOption, "output": OutputOption}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [one.replace(kind=keyword) for one in own]
    for name, annotation in added.items():
        default = inspect.Parameter.empty if name == "context" else None
        parameters.append(inspect.Parameter(name, keyword, annotation=annotation, default=default))
    entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    entry.__annotations__ = {one.name: one.annotation for one in parameters}
    entry.__doc__ = command.__doc__
    entry.__name__ = command.__name__
    del first
    return entry


def _run(command: Command, address: str, output: Format, given: dict[str, Any]) -> int:
    # Read by gRPC when the first channel is made: its notes on lost connections are none of a command's output.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - written for gRPC, not read as a setting
    try:
        return asyncio.run(_connected(command, address, output, given)) or DONE
    except NightcrewClientError as error:
        for line in lines(error, address):
            print(line, file=sys.stderr)
        return exit_code(error)
    except WrongUse as error:
        print(f"nightcrew: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has had enough. What is still buffered goes nowhere, without a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


async def _connected(command: Command, address: str, output: Format, given: dict[str, Any]) -> int | None:
    async with Client(address, retry=_RETRY) as client:
        return await command(Session(client, Printer(output)), **given)
