"""A durable step: one entry of an execution's journal, and what an execution waits for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from nightcrew.domain.errors import NightcrewError


class StepKind(StrEnum):
    """What a program did at that point; the journal answers only for the same kind again."""

    STEP = "step"
    SLEEP = "sleep"
    SIGNAL = "signal"
    EVENT = "event"
    CALL = "call"
    PUBLISH = "publish"
    SPEND = "spend"
    SIGNAL_URL = "signal_url"
    NOW = "now"
    RANDOM = "random"


class StepState(StrEnum):
    """Where a step stands (contract.md, Step.State)."""

    RUNNING = "STATE_RUNNING"
    """It failed and is tried again."""
    WAITING = "STATE_WAITING"
    SUCCEEDED = "STATE_SUCCEEDED"
    FAILED = "STATE_FAILED"

    @property
    def ended(self) -> bool:
        """Whether the journal has its answer."""
        return self in {StepState.SUCCEEDED, StepState.FAILED}


WAITS: Final = frozenset({StepKind.SLEEP, StepKind.SIGNAL, StepKind.EVENT, StepKind.CALL})
"""Kinds that end by something that happens outside of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """Why a step failed, so that the program meets the same exception when the journal answers.

    Attributes:
        type: The exception's class name.
        message: What it said.
        module: Where the class was found; empty where it can't be made again.
        arguments: The JSON text of the exception's arguments; empty where they are no JSON.
        retryable: Whether a retry of the execution may help.
    """

    type: str
    message: str
    module: str = ""
    arguments: str = ""
    retryable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An entry of a journal.

    Attributes:
        key: What it is found by, unique in its execution.
        branch: The task that did it: empty for the program itself, `0` for its first child, `0.2` below that.
        name: What the program called it.
        ordinal: Which of that name in its branch, from 0.
        kind: What was done.
        digest: Of its arguments; another one is another step.
        attempts: How often it was tried.
        result: JSON text, when it SUCCEEDED.
        error: When it FAILED, or is tried again.
        until: When a wait ends by itself.
        awaited: What a wait waits for: the signal, the type of the event, the execution called.
        detail: JSON text of what the runtime needs besides: the call's input, the event to publish.
    """

    key: str
    branch: str
    name: str
    ordinal: int
    kind: StepKind
    state: StepState
    start_time: datetime
    digest: str = ""
    attempts: int = 1
    result: str | None = None
    error: StepError | None = None
    until: datetime | None = None
    awaited: str = ""
    detail: str = ""
    end_time: datetime | None = None


class WaitKind(StrEnum):
    """What a WAITING execution waits for."""

    SLEEP = "KIND_SLEEP"
    SIGNAL = "KIND_SIGNAL"
    EVENT = "KIND_EVENT"
    CALL = "KIND_CALL"
    CODE = "KIND_CODE"


WAIT_KINDS: Final = {
    StepKind.STEP: WaitKind.SLEEP,
    StepKind.SLEEP: WaitKind.SLEEP,
    StepKind.SIGNAL: WaitKind.SIGNAL,
    StepKind.EVENT: WaitKind.EVENT,
    StepKind.CALL: WaitKind.CALL,
}
"""A step that is tried again later sleeps until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What an execution waits for, as it is shown.

    Attributes:
        kind: What kind of thing.
        until: When it ends by itself, the earliest of several.
        signal: The signal's name, for SIGNAL.
        message: In words.
    """

    kind: WaitKind
    until: datetime | None = None
    signal: str = ""
    message: str = ""


class LeaseLost(NightcrewError):  # noqa: N818 - it reads as what is the matter, as its siblings do
    """A run wrote for an execution that is no longer its own: it was interrupted, or has ended."""

    code = "lease_lost"


class JournalFull(NightcrewError):  # noqa: N818 - the same
    """A journal holds so many entries and no more; `continue_as_new` begins another."""

    code = "journal_full"


MAX_NAME: Final = 256
"""Characters of a step's or a signal's name."""
MAX_STEPS: Final = 10_000
"""Entries of one journal (semantics.md, Durable steps)."""


def wait_of(steps: "list[Step]") -> Wait | None:
    """What is shown of an execution's open waits: the first for people or others, else the earliest sleep."""
    if not steps:
        return None
    until = min((one.until for one in steps if one.until is not None), default=None)
    first = next((one for one in steps if one.kind in WAITS and one.kind is not StepKind.SLEEP), steps[0])
    words = [_words(one) for one in steps[:5]] + (["…"] if len(steps) > 5 else [])  # noqa: PLR2004 - enough to see what it is about
    return Wait(
        kind=WAIT_KINDS[first.kind],
        until=until,
        signal=first.awaited if first.kind is StepKind.SIGNAL else "",
        message="; ".join(words),
    )


def _words(step: Step) -> str:
    match step.kind:
        case StepKind.SIGNAL:
            return step.detail or f"the signal {step.awaited!r}"
        case StepKind.EVENT:
            return f"an event {step.awaited!r}"
        case StepKind.CALL:
            return f"agent {step.name!r}, execution {step.awaited}"
        case StepKind.STEP:
            return f"the step {step.name!r} to be tried again"
        case _:
            return "time to pass"
