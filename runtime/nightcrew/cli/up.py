"""`nightcrew up`: serves agents until it is told to stop."""

import asyncio
import inspect
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvloop

from nightcrew.app.runtime import Runtime
from nightcrew.config.settings import FILE, OFF, LogFormat, Settings, load_settings
from nightcrew.domain.errors import InvalidArgument, NightcrewError
from nightcrew.services.catalog import Report
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.system.logging import configure_logging
from nightcrew.system.tuning import tune_gc

REFUSED = 1
WRONG_USE = 2
LEAVE: Final = 2.0
"""Seconds that are left for the process's own end once everything is on disk and closed."""


def up(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Python files, packages or folders with agents, YAML manifests, Langflow flows (.json)."
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(help="The folder that holds everything (default: .nightcrew).")
    ] = None,
    grpc: Annotated[
        str | None,
        typer.Option(help="HOST:PORT to serve gRPC on (default: 127.0.0.1:7447); port 0 picks a free one."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT to serve HTTP on (default: 127.0.0.1:7448), or off; port 0 picks a free one."
        ),
    ] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="console, or json for machines.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    drain: Annotated[
        float | None, typer.Option(help="Seconds that running work gets at SIGTERM (default: 10).")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Kinds of programs that are off by default: command, http. May be given twice."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete agents whose source is no longer given.")
    ] = False,
) -> None:
    """Serve agents: they run on their schedules until you stop this, and go on where they were when it is back.

    An agent first seen in a PATH is started; from then on it keeps the state that people gave it.

    Examples:
      nightcrew up agents.py
      nightcrew up agents/ flows/digest.json --data /var/lib/nightcrew
    """
    try:
        settings = load_settings(
            data=data,
            grpc=grpc,
            http=http,
            log_format=log_format,
            log_level=log_level,
            drain=drain,
            allow=allow or None,
        )
    except InvalidArgument as error:
        for violation in error.violations:
            print(f"nightcrew up: {_called(violation.field)}: {violation.description}", file=sys.stderr)
        raise typer.Exit(WRONG_USE) from None
    missing = [path for path in paths or () if not path.exists()]
    if missing:
        print(f"nightcrew up: {missing[0]} does not exist", file=sys.stderr)
        raise typer.Exit(WRONG_USE)
    raise typer.Exit(_run(serve(settings, paths or [], prune=prune)))


def _called(field: str) -> str:
    """A setting as people gave it: a flag, or the key in nightcrew.toml of one that has none."""
    name = re.split(r"[.\[]", field, maxsplit=1)[0]
    return f"--{name.replace('_', '-')}" if name in inspect.signature(up).parameters else f"{field} ({FILE})"


def _run(serving: Coroutine[Any, Any, int]) -> int:
    """Runs it, and ends: Python waits for every task and thread, an inline program may have one that never ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(serving)
        leaving = threading.Timer(LEAVE, _leave, (code,))
        leaving.daemon = True
        leaving.start()
    return code


def _leave(code: int) -> None:
    print("nightcrew up: inline programs that heed no cancel are left behind", file=sys.stderr, flush=True)
    os._exit(code)


async def serve(settings: Settings, paths: list[Path], *, prune: bool) -> int:
    """Runs a runtime to its end; returns the exit code."""
    configure_logging(log_format=settings.log_format.value, level=settings.log_level)
    runtime = Runtime(settings, paths, prune=prune, clock=SystemClock(), ids=SystemIds())
    loop = asyncio.get_running_loop()
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        ends.remove(signal.SIGHUP)  # `nohup` asks for it
    for number in ends:
        loop.add_signal_handler(number, runtime.drain)
    try:
        await runtime.run(_announcer(runtime))
    except Exception as error:  # noqa: BLE001 - the last stop: said in one line, exit code 1
        print(f"nightcrew up: {_root_cause(error)}", file=sys.stderr)
        return REFUSED
    return 0


def _announcer(runtime: Runtime) -> Callable[[], None]:
    def ready() -> None:
        tune_gc()
        for line in faults_of(runtime.report):
            print(line, file=sys.stderr)
        web = runtime.web.address if runtime.web is not None else OFF
        print(f"nightcrew is ready grpc={runtime.gateway.address} http={web}", flush=True)

    return ready


def faults_of(report: Report) -> list[str]:
    """What a person must know of the files that were given."""
    lines = [f"nightcrew up: not loaded: {fault}" for fault in report.faults]
    lines += [f"nightcrew up: agent {name!r} is in ERROR: its source is gone" for name in report.missing]
    return lines


def _root_cause(error: BaseException) -> str:
    """What people can act on: our own error where there is one, it names what was wrong; else the first cause."""
    while error.__cause__ is not None and not isinstance(error, NightcrewError):
        error = error.__cause__
    return str(error) or repr(error)
