"""What every program is given of its run: who it is, what made it run, its log, and the agent's kept state."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from structlog.typing import FilteringBoundLogger

from nightcrew.agent.durable import Durable
from nightcrew.agent.errors import StateUnavailable
from nightcrew.agent.leaving import Continued
from nightcrew.domain.execution import TriggerRef
from nightcrew.domain.values import checked, decode


class Cancellation(Protocol):
    """Whether an end was asked for."""

    @property
    def requested(self) -> bool:
        """True from the moment the execution's cancel was asked for."""


class CancelFlag:
    """A Cancellation that a host sets; one plain attribute, so that any thread may read it."""

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False


class Memory:
    """The agent's kept dictionary during one attempt: parsed when first used, written back if it changed.

    Args:
        kept: What the store holds, or None where the agent may not use it.
        refusal: Why not.
    """

    __slots__ = ("_before", "_kept", "_refusal", "_value")

    def __init__(self, kept: Mapping[str, Any] | None, refusal: str = "") -> None:
        self._kept = kept
        self._refusal = refusal
        self._value: dict[str, Any] | None = None
        self._before = ""

    def value(self) -> dict[str, Any]:
        """The dictionary itself, a copy that belongs to this attempt.

        Raises:
            StateUnavailable: The agent may not use it; says why.
        """
        if self._value is None:
            if self._kept is None:
                raise StateUnavailable(
                    self._refusal
                    or "ctx.state needs max_concurrency 1: two executions at once would overwrite each other"
                )
            self._before = checked(dict(self._kept), field="state")
            self._value = decode(self._before)
        return self._value

    def changed(self) -> str | None:
        """The JSON text to save, or None if it was not used or is as it was.

        Raises:
            InvalidArgument: What it holds is no JSON or over 1 MiB.
        """
        if self._value is None:
            return None
        text = checked(self._value, field="state")
        return text if text != self._before else None


class BaseContext:
    """One attempt of one execution, as its program sees it: what sync and async programs share.

    Attributes:
        execution_id: The execution's id, the same in every attempt.
        agent_id: The agent's id.
        attempt: 1 for the first.
        labels: The execution's labels.
        trigger: What made it: `kind`, `trigger_id`, `nominal_time` (schedules), `event_id`,
            `cause_execution_id`.
    """

    __slots__ = (
        "_cancellation",
        "_durable",
        "_log",
        "_make_log",
        "_memory",
        "agent_id",
        "attempt",
        "execution_id",
        "labels",
        "trigger",
    )

    def __init__(
        self,
        *,
        execution_id: str,
        agent_id: str,
        attempt: int,
        trigger: TriggerRef,
        log: Callable[[], FilteringBoundLogger],
        memory: Memory,
        cancellation: Cancellation,
        durable: Durable,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.execution_id = execution_id
        self.agent_id = agent_id
        self.attempt = attempt
        self.labels = dict(labels or {})
        self.trigger = trigger
        self._make_log = log
        self._log: FilteringBoundLogger | None = None
        self._memory = memory
        self._cancellation = cancellation
        self._durable = durable

    @property
    def log(self) -> FilteringBoundLogger:
        """A structlog logger: `ctx.log.info("sent", orders=3)` is kept with its fields."""
        if self._log is None:  # made when it is first used: most short runs never log
            self._log = self._make_log()
        return self._log

    @property
    def state(self) -> dict[str, Any]:
        """The agent's dictionary: loaded at the start, saved when the attempt succeeds, dropped when it fails.

        Raises:
            StateUnavailable: The agent's max_concurrency is not 1.
        """
        return self._memory.value()

    @property
    def cancelled(self) -> bool:
        """Whether the execution was asked to end: long sync loops look at it and return."""
        return self._cancellation.requested

    @property
    def step_key(self) -> str:
        """A key that is the same in every attempt: of the step that runs now, else of the execution.

        For calls to others that must happen once: give it as their idempotency key.
        """
        return self._durable.step_key

    def heartbeat(self, details: Any = None) -> None:
        """Gives a sign of life: with `heartbeat_timeout` an attempt that gives none is ended. It is not kept."""
        self._durable.heartbeat(details)

    def progress(self, done: float, total: float = 0, message: str = "") -> None:
        """Says how far it has got, for people; the last one said is kept. It is a sign of life, as a heartbeat is.

        Say it as often as you like: about once a second it is written down, and watchers are told.

        Args:
            done: How much is done, in whatever unit; from 0 on.
            total: Of how much; 0 where that is not known.
            message: What is being done; over 1,000 characters it is cut.

        Raises:
            InvalidArgument: One of them is no number from 0 on, or no text.
        """
        self._durable.progress(done, total, message)

    def continue_as_new(self, input: Mapping[str, Any] | None = None) -> NoReturn:  # noqa: A002 - the contract's word; a method as its siblings
        """Ends this execution and starts the next one of the agent, with an empty journal and this input."""
        raise Continued(dict(input or {}))
