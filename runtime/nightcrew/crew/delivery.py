"""Giving an event to a trigger: its execution is admitted, or the ledger tells why there is none, or it must wait."""

from datetime import datetime
from functools import cached_property
from typing import Final

from nightcrew.crew.admission import admit
from nightcrew.crew.commits import After
from nightcrew.crew.intake import Work
from nightcrew.crew.tally import tally
from nightcrew.domain.agent import Agent
from nightcrew.domain.cloudevent import event_text
from nightcrew.domain.errors import AlreadyExists
from nightcrew.domain.event import Event
from nightcrew.domain.event_filter import Facts, FilterError
from nightcrew.domain.event_match import fits
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.spec.trigger import EventMatch
from nightcrew.ports.events import Chain
from nightcrew.ports.store import Transaction

MAX_DEPTH: Final = 32
"""Executions in a row that lead from one to the next (semantics.md, Events)."""
MAX_CAUSED: Final = 10_000
"""Executions that one root cause starts."""

LOOKED_AT: Final = 1
ADMITTED: Final = 20
"""What an execution costs, where a look at a trigger costs one: some 5 µs."""


class Delivery:
    """One event on its way to triggers; what is the same for all of them is worked out once, and only if asked for."""

    def __init__(self, tx: Transaction, event: Event) -> None:
        self.event = event
        self._tx = tx
        self._started = 0

    @cached_property
    def facts(self) -> Facts:
        """The event as filters see it."""
        return Facts(self.event)

    @cached_property
    def text(self) -> str:
        """The event as an input holds it."""
        return event_text(self.event)

    @cached_property
    def chain(self) -> Chain:
        """Where the executions that it causes stand."""
        event = self.event
        cause = self._tx.chains.of(event.execution_id) if event.execution_id else None
        if cause is not None:
            return Chain(cause.root_sequence, cause.depth + 1)
        # An execution that no event has caused is the first of its chain.
        return Chain(event.sequence, 2 if event.execution_id else 1)

    @cached_property
    def _caused(self) -> int:
        return self._tx.chains.count(self.chain.root_sequence)

    @property
    def excess(self) -> str:
        """Why it may cause no further execution; empty if it may."""
        if self.chain.depth > MAX_DEPTH:
            return f"the chain is {MAX_DEPTH} executions deep"
        if self._caused + self._started >= MAX_CAUSED:
            return f"its root cause has started {MAX_CAUSED} executions"
        return ""

    def started(self) -> None:
        """It has caused an execution."""
        self._started += 1

    def close(self) -> None:
        """Writes how many executions it has caused."""
        if self._started:
            self._tx.chains.add(self.chain.root_sequence, self._started)


def is_for(after: After, delivery: Delivery, match: EventMatch, agent_id: str, trigger_id: str) -> bool:
    """Whether a trigger matches; a filter that can't be evaluated is no match, and counted."""
    after.effort += LOOKED_AT
    try:
        return fits(match, delivery.event, delivery.facts, agent_id=agent_id)
    except FilterError as error:
        after.filter_errors.append((agent_id, trigger_id, str(error)))
        return False


def deliver(
    tx: Transaction, after: After, delivery: Delivery, agent: Agent, trigger_id: str, *, now: datetime
) -> bool:
    """Gives an event that matches to a trigger; False if the agent's backlog is full: then nothing is written."""
    event, chain = delivery.event, delivery.chain
    if excess := delivery.excess:
        tally(tx, agent.id, trigger_id, FireOutcome.DEPTH_LIMIT, reason=excess, now=now)
        return True
    trigger = TriggerRef(
        kind=TriggerKind.EVENT,
        trigger_id=trigger_id,
        event_id=event.id,
        cause_execution_id=event.execution_id,
        event_sequence=event.sequence,
        root_sequence=chain.root_sequence,
        depth=chain.depth,
    )
    work = Work(execution_id=after.new_id(), trigger=trigger, event=delivery.text)
    try:
        admission = admit(tx, after, agent, (work,), now=now)
    except AlreadyExists:
        return True  # the trigger has had this event
    if admission.started or admission.buffered:
        delivery.started()
        after.effort += ADMITTED
    elif admission.skipped:
        reason = "its overlap policy skips events while the agent is busy"
        tally(tx, agent.id, trigger_id, FireOutcome.SKIPPED_OVERLAP, reason=reason, now=now)
    return not admission.dropped
