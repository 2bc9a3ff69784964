"""What watches and logs print: one line for each thing that happens, tokens in their place."""

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from nightcrew.cli import views
from nightcrew.cli.output import Format, Printer, moment, state_text
from nightcrew.client.models.agent import AgentSnapshot
from nightcrew.client.models.event import Event, Gap
from nightcrew.client.models.execution import ExecutionSnapshot
from nightcrew.client.models.log import LogEntry, LogStream
from nightcrew.client.models.step import Progress, Step


class Happenings:
    """Prints the items of a watch as they come; a token of a language model goes on where the last one ended."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._amid_tokens = False

    def show(self, item: Any) -> None:
        """Prints one item."""
        tokens = isinstance(item, LogEntry) and item.stream is LogStream.TOKEN
        if tokens and self._printer.format is Format.TABLE:
            print(item.message, end="", flush=True)
            self._amid_tokens = True
            return
        self.end()
        self._printer.stream(item, line(item))

    def end(self) -> None:
        """Ends a line of tokens, if one is open."""
        if self._amid_tokens:
            print(flush=True)
            self._amid_tokens = False


def line(item: Any) -> Text | None:
    """One item as a line of text; None for what has none."""
    match item:
        case Event():
            return _event(item)
        case LogEntry():
            return log_line(item)
        case AgentSnapshot():
            if item.agent is None:
                return None
            return Text.assemble("agent ", (item.agent.id, "bold"), " is ", state_text(item.agent.state))
        case ExecutionSnapshot():
            execution = item.execution
            return Text.assemble("execution ", (execution.id, "bold"), " is ", state_text(execution.state))
        case Step():
            return Text.assemble(
                _time(item.end_time or item.start_time), f"step {item.name} ", state_text(item.state)
            )
        case Progress():
            return Text.assemble(_time(item.time), f"progress {views.progress_text(item)}")
        case Gap():
            text = f"events {item.from_sequence} to {item.to_sequence} are no longer kept"
            return Text(text, style="yellow")
        case _:
            raise TypeError(f"{type(item).__name__} is no item of a watch")


def log_line(entry: LogEntry) -> Text:
    """A log entry: what was printed as it was, what was logged with its time and level."""
    match entry.stream:
        case LogStream.LOG:
            fields = "".join(f" {key}={_short_json(value)}" for key, value in entry.fields.items())
            return Text.assemble(
                _time(entry.time), state_text(entry.severity), f" {entry.message}", (fields, "dim")
            )
        case LogStream.STDERR:
            return Text(entry.message, style="red")
        case _:
            return Text(entry.message)


def _event(event: Event) -> Text:
    about = event.execution_id or event.agent_id or event.subject
    data = event.data if isinstance(event.data, Mapping) else {}
    told = " ".join(_told(data)) if event.type.startswith("nightcrew.") else _short_json(event.data)
    return Text.assemble(
        _time(event.time),
        (f"#{event.sequence} ", "dim"),
        (event.type, "bold"),
        f" {event.source}",
        f" {about}" if about and not event.source.endswith(about) else "",
        (f" {told}" if told else "", "dim"),
    )


def _told(data: Mapping[str, Any]) -> list[str]:
    """What is worth a word in the data of the runtime's own events."""
    error = data.get("error")
    told = [str(data[key]) for key in ("state", "reason") if data.get(key)]
    if isinstance(error, Mapping):
        told.append(f"{error.get('type')}: {error.get('message')}")
    return told


def _time(value: Any) -> tuple[str, str]:
    return (f"{moment(value)} " if value is not None else "", "dim")


def _short_json(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
