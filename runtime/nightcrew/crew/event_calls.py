"""Events that many wait for, before each has been told: which event it is, and whether it is already a wait's own."""

from nightcrew.crew.commits import After
from nightcrew.domain.event import Event
from nightcrew.domain.event_filter import Facts, FilterError, compile_filter
from nightcrew.domain.step import Step
from nightcrew.ports.store import Transaction

_ANY = ("*",)


def event_of(tx: Transaction, sequence: int) -> Event | None:
    """The event of a sequence; None if it is kept no more."""
    found = tx.events.matching(_ANY, after=sequence - 1, until=sequence, limit=1)
    return found[0] if found else None


def fits(tx: Transaction, after: After | None, execution_id: str, wanted: str, facts: Facts) -> bool:
    """Whether an event is what a wait's filter asks for; one that can't be evaluated is no match, and counted."""
    try:
        return not wanted or compile_filter(wanted).holds(facts)
    except FilterError as error:
        execution = tx.executions.get(execution_id)
        if after is not None:
            after.filter_errors.append((execution.agent_id if execution else "", "wait_event", str(error)))
        return False


def on_its_way(tx: Transaction, execution_id: str, step: Step) -> Event | None:
    """The event that came in time for a wait whose turn to be told of it has not come yet."""
    calls = tx.event_calls.of(step.awaited)
    if not calls:
        return None
    number = tx.steps.number(execution_id, step.key)
    for call in calls:
        late = step.until is not None and step.until <= call.time
        if late or step.start_time > call.time or not call.covers(number):
            continue
        event = event_of(tx, call.sequence)
        if event is not None and fits(tx, None, execution_id, step.detail, Facts(event)):
            return event
    return None
