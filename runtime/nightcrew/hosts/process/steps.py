"""A journal over a worker's pipe: steps as JSON, and the questions that a run asks its desk."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import structlog

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.step import LeaseLost, Step, StepError, StepKind, StepState
from nightcrew.hosts.reports import PipeReports
from nightcrew.ports.host import Desk

_MOMENTS: Final = ("start_time", "until", "end_time")

_log = structlog.get_logger(__name__)

WRITE: Final = "write"
SETTLE: Final = "settle"
SAVE: Final = "save"


def step_to_json(step: Step) -> dict[str, Any]:
    """A step's JSON form; what is unset is left out."""
    plain = {name: value for name, value in asdict(step).items() if value is not None and value != ""}
    for name in _MOMENTS:
        if isinstance(plain.get(name), datetime):
            plain[name] = to_micros(plain[name])
    return plain


def step_from_json(data: dict[str, Any]) -> Step:
    """The step of its JSON form."""
    fields: dict[str, Any] = {
        "branch": "",
        **data,
        **{name: from_micros(data[name]) for name in _MOMENTS if name in data},
        "kind": StepKind(data["kind"]),
        "state": StepState(data["state"]),
        "error": StepError(**data["error"]) if "error" in data else None,
    }
    return Step(**fields)


async def answer(desk: Desk, op: str, content: Any) -> dict[str, Any]:
    """The runtime's side: what the desk says, as the content of an answer."""
    try:
        if op == WRITE:
            return {"step": step_to_json(await desk.write(step_from_json(content)))}
        if op == SETTLE:
            return {"step": step_to_json(await desk.settle(content))}
        await desk.save_memory(content)
    except LeaseLost as error:
        return {"lost": error.message}
    except Exception as error:  # noqa: BLE001 - it is logged, and told
        # Whoever waits for it must not wait for ever; an inline program would meet the error itself.
        _log.exception("a journal could not be written")
        return {"fault": f"{type(error).__name__}: {error}"}
    return {}


class PipeAsks:
    """The worker's side (hosts.desks.Asks): each question has a number, by which its answer finds it.

    Args:
        ask: Sends (number of the question, what is asked, content).
        beat: Sends a sign of life.
        reports: Takes how far it has got.
    """

    def __init__(
        self, ask: Callable[[int, str, Any], None], beat: Callable[[], None], reports: PipeReports
    ) -> None:
        self._ask = ask
        self._open: dict[int, Future[Any]] = {}
        self._numbers = 0
        self.beat = beat
        self.report = reports.tell
        self.flush = reports.flush

    def write(self, step: Step) -> Future[Step]:
        """As Desk.write."""
        return self._asked(WRITE, step_to_json(step))

    def settle(self, key: str) -> Future[Step]:
        """As Desk.settle."""
        return self._asked(SETTLE, key)

    def save_memory(self, memory: str) -> Future[None]:
        """As Desk.save_memory."""
        return self._asked(SAVE, memory)

    def answered(self, number: int, content: dict[str, Any]) -> None:
        """An answer has come; called from the reader's thread."""
        future = self._open.pop(number, None)
        if future is None or not future.set_running_or_notify_cancel():
            return  # whoever asked was cancelled
        if "lost" in content:
            future.set_exception(LeaseLost(content["lost"]))
        elif "fault" in content:
            future.set_exception(RuntimeError(f"the journal could not be written: {content['fault']}"))
        else:
            future.set_result(step_from_json(content["step"]) if "step" in content else None)

    def _asked(self, op: str, content: Any) -> Future[Any]:
        self._numbers += 1
        future: Future[Any] = Future()
        self._open[self._numbers] = future
        self._ask(self._numbers, op, content)
        return future
