"""`nightcrew top`: the runtime as it works, drawn anew every second."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from nightcrew.cli import views
from nightcrew.cli.connection import Session, control
from nightcrew.cli.durations import duration
from nightcrew.cli.inputs import any_of
from nightcrew.cli.output import Column, Format, Printer
from nightcrew.cli.status import counts
from nightcrew.client.client import Client
from nightcrew.client.errors import Unavailable
from nightcrew.client.models.agent import Agent, AgentState
from nightcrew.client.models.execution import Execution, ExecutionState
from nightcrew.client.models.runtime import Runtime

_LIVE: Final = (
    ExecutionState.RUNNING,
    ExecutionState.WAITING,
    ExecutionState.RETRYING,
    ExecutionState.QUEUED,
)
_MARGIN: Final = 9
"""Lines of a frame that are no rows."""

_TROUBLED: Final = (
    Column("AGENT IN ERROR", lambda one: one.id),
    Column("SINCE", lambda one: one.state_time),
    Column("REASON", lambda one: one.state_reason),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What one drawing shows."""

    runtime: Runtime
    live: Sequence[Execution]
    ended: Sequence[Execution]
    troubled: Sequence[Agent]


def register(app: typer.Typer) -> None:
    """Adds the command to the app."""
    control(app, "top")(top)


async def top(
    session: Session,
    *,
    interval: Annotated[
        str, typer.Option("--interval", metavar="DURATION", help="How often it is drawn.")
    ] = "1s",
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, help="Draw so often, then end; 0: until Ctrl-C.")
    ] = 0,
) -> None:
    """Show what runs, what waits and what failed, live; Ctrl-C ends it. Without a terminal it is drawn once.

    Examples:
      nightcrew top
      nightcrew top --interval 5s
      nightcrew top --count 1 --output json
    """
    pause = duration(interval, "--interval").total_seconds()
    printer = session.printer
    if printer.format is not Format.TABLE or not printer.console.is_terminal:
        for number in range(count or 1):
            if number:
                await asyncio.sleep(pause)
            frame = await _frame(session.client, rows=20)
            if printer.format is Format.TABLE:
                printer.draw(drawn(frame, printer))
            else:
                printer.stream(_plain(frame), None)
        return
    await _live(session, pause, count)


async def _live(session: Session, pause: float, count: int) -> None:
    printer = session.printer
    frame = await _frame(session.client, rows=_rows(printer))
    drawings = 0
    with Live(drawn(frame, printer), console=printer.console, screen=True, auto_refresh=False) as live:
        while not count or drawings < count:
            drawings += 1
            live.refresh()
            await asyncio.sleep(pause)
            try:
                frame = await _frame(session.client, rows=_rows(printer))
            except Unavailable as error:
                # It may be restarting: the last frame stays, with a word on top.
                told = Text(f"not reachable: {error.message}", style="red", overflow="ellipsis", no_wrap=True)
                live.update(Group(told, drawn(frame, printer)))
            else:
                live.update(drawn(frame, printer))


def drawn(frame: Frame, printer: Printer) -> RenderableType:
    """A frame as it is shown."""
    runtime = frame.runtime
    head = Text.assemble(
        ("nightcrew ", "bold"),
        runtime.version,
        ("  draining" if runtime.draining else "", "red"),
        f"   agents: {counts(runtime) or 'none'}   ",
        (f"{runtime.running} running", "cyan"),
        ", ",
        (f"{runtime.queued} queued", "blue"),
        f"   events: {runtime.sequence}",
    )
    parts: list[RenderableType] = [head, Text()]
    if frame.troubled:
        parts += [printer.table(frame.troubled, _TROUBLED), Text()]
    parts.append(printer.table((*frame.live, *frame.ended), views.EXECUTIONS))
    return Group(*parts)


async def _frame(client: Client, *, rows: int) -> Frame:
    """What there is to show in about so many rows: what lives first, then what ended last."""
    live = client.executions.list(filter=any_of("state", _LIVE))
    ended = client.executions.list(filter=f"NOT ({any_of('state', _LIVE)})", order_by="end_time desc")
    troubled = client.agents.list(filter=any_of("state", [AgentState.ERROR]))
    runtime, (living, _), (over, _), (errors, _) = await asyncio.gather(
        client.runtime.get(), live.take(rows), ended.take(rows), troubled.take(5)
    )
    return Frame(runtime, living, over[: max(rows - len(living) - len(errors), 0)], errors)


def _rows(printer: Printer) -> int:
    return max(printer.console.height - _MARGIN, 5)


def _plain(frame: Frame) -> dict[str, Any]:
    return {
        "runtime": frame.runtime,
        "live": frame.live,
        "ended": frame.ended,
        "troubled": frame.troubled,
    }
