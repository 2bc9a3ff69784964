"""What must be true of durable work, events, webhooks and commands, whatever was killed when."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.harness.history import FINAL, ExecutionRow, History
from tests.harness.history_rules import Rule

CHAIN: Final = {"order": "soak.order", "shipped": "soak.shipped"}
"""Agents and the type of the events that each is to be woken by, once an event."""
AUDITED: Final = "shipped"
"""The agent whose successes wake the agent `audit`."""


def a_journaled_step_never_runs_again(history: History) -> Iterator[str]:
    """The mark in the journal is the last one that the step's function wrote: none was entered after it."""
    marks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in history.entered:
        marks[one.execution_id, one.step].append(one.mark)
    for step in history.steps:
        if step.kind != "step" or step.state != "STATE_SUCCEEDED":
            continue
        written = marks[step.execution_id, step.name]
        if step.result not in written:
            yield f"{step.name} of {step.execution_id} has the result {step.result!r}, it wrote {written}"
        elif written[-1] != step.result:
            yield f"{step.name} of {step.execution_id} ran again after it was journaled: {step.result!r} in {written}"


def results_are_the_journals(history: History) -> Iterator[str]:
    """What a success gives as the results of its steps is what the journal has."""
    journal: dict[str, set[object]] = defaultdict(set)
    for step in history.steps:
        if step.kind == "step":
            journal[step.execution_id].add(step.result)
    for one in history.executions:
        told = _of(one, "marks")
        if one.state == "STATE_SUCCEEDED" and isinstance(told, Sequence):
            if unknown := [mark for mark in told if mark not in journal[one.id]]:
                yield f"{one.agent_id} {one.id} tells of {unknown}, its journal has {journal[one.id]}"
            if len(set(told)) != len(told):
                yield f"{one.agent_id} {one.id} tells of a step twice: {told}"


def signals_arrive_once_in_order(history: History) -> Iterator[str]:
    """Each execution got what was acknowledged for it, in that order, once."""
    known = {one.id: one for one in history.executions}
    for one in history.signalled:
        found = known.get(one.execution_id)
        got = None if found is None else _of(found, "got")
        if found is not None and found.error_type == "crash_loop":
            continue  # every_execution_ends sees to it that it was one
        if found is None or found.state != "STATE_SUCCEEDED" or got != list(one.payloads):
            state = found.state if found else "nothing"
            yield f"{one.execution_id} was sent {list(one.payloads)}, it is {state} and got {got}"


def a_call_makes_one_child(history: History) -> Iterator[str]:
    """Each journaled call has the one execution that it names, and no execution was called by nobody."""
    called = Counter(step.awaited for step in history.steps if step.kind == "call" and step.awaited)
    for child, count in called.items():
        if count > 1:
            yield f"{child} is the child of {count} calls"
    children = {one.id: one for one in history.executions if one.kind == "KIND_CALL"}
    for one in children.values():
        if one.id not in called:
            yield f"{one.agent_id} {one.id} was called by {one.cause}, whose journal does not tell so"
    for step in history.steps:
        if step.kind == "call" and step.awaited:
            found = children.get(step.awaited)
            if found is None:
                yield f"{step.execution_id} has called {step.awaited}, which does not exist"
            elif found.cause != step.execution_id:
                yield f"{step.execution_id} has called {found.id}, which is {found.cause}'s"


def an_event_wakes_each_once(history: History) -> Iterator[str]:
    """Each event of a chain has one execution of its agent, and each success its audit."""
    sequences = {type_: [one for one in history.events if one.type == type_] for type_ in CHAIN.values()}
    for agent_id, type_ in CHAIN.items():
        yield from _woken(history, agent_id, [one.sequence for one in sequences[type_]])
    ended = [
        one.sequence
        for one in history.events
        if one.type == "nightcrew.execution.succeeded" and one.agent_id == AUDITED
    ]
    yield from _woken(history, "audit", ended)
    shipped = [
        one for one in history.executions if one.agent_id == "order" and one.state == "STATE_SUCCEEDED"
    ]
    published = Counter(one.execution_id for one in sequences["soak.shipped"])
    for one in shipped:
        if published[one.id] != 1:
            yield f"order {one.id} has published {published[one.id]} times"


def _woken(history: History, agent_id: str, sequences: Sequence[int]) -> Iterator[str]:
    woken = Counter(
        one.event_sequence
        for one in history.executions
        if one.agent_id == agent_id and one.kind == "KIND_EVENT"
    )
    for sequence in sequences:
        if woken[sequence] != 1:
            yield f"the event {sequence} has {woken[sequence]} executions of {agent_id}"
    if strange := set(woken) - set(sequences):
        yield f"{agent_id} was woken by events that are not for it: {sorted(strange)[:5]}"


def what_was_published_is_there_once(history: History) -> Iterator[str]:
    """An event that was acknowledged has the sequence it was told, and no id is there twice."""
    by_id: dict[str, list[int]] = defaultdict(list)
    for one in history.events:
        if one.type.startswith("soak."):
            by_id[one.id].append(one.sequence)
    for wanted in history.published:
        found = {str(one) for one in by_id[wanted.id]}
        if len(by_id[wanted.id]) > 1 or not wanted.answers <= found or len(wanted.answers) > 1:
            yield f"the event {wanted.id} was told {sorted(wanted.answers)}, the log has {sorted(found)}"


def a_delivery_has_one_execution(history: History) -> Iterator[str]:
    """A webhook that was answered has the execution it was told, and every delivery one at most."""
    made: dict[str, list[str]] = defaultdict(list)
    for one in history.executions:
        if one.kind == "KIND_WEBHOOK":
            made[str(one.result)].append(one.id)
    for wanted in history.delivered:
        found = made[wanted.id]
        if len(found) > 1 or not wanted.answers <= set(found) or len(wanted.answers) > 1:
            yield f"the delivery {wanted.id} was told {sorted(wanted.answers)}, there are {found}"


def a_retry_is_one_execution(history: History) -> Iterator[str]:
    """RetryExecution with one request id makes one execution, however often it is sent."""
    made: dict[str, set[str]] = defaultdict(set)
    for one in history.executions:
        if one.kind == "KIND_RETRY":
            made[one.cause].add(one.id)
    for wanted in history.retried:
        found = made.pop(wanted.id, set())
        if len(found) > 1 or not wanted.answers <= found:
            yield f"the retry of {wanted.id} was told {sorted(wanted.answers)}, there are {sorted(found)}"
    for unknown in made:
        yield f"nobody asked for the retry of {unknown}"


def commands_are_kept(history: History) -> Iterator[str]:
    """Each agent is in the state that its last command left it in."""
    for agent_id, state in history.commanded.items():
        if history.agents.get(agent_id) != state:
            yield f"{agent_id} was told {state}, it is {history.agents.get(agent_id)}"


def what_is_final_waits_for_nothing(history: History) -> Iterator[str]:
    """No journal of an execution that has succeeded has a step without an end."""
    states = {one.id: one.state for one in history.executions}
    for step in history.steps:
        if step.state not in {"STATE_SUCCEEDED", "STATE_FAILED"}:
            state = states[step.execution_id]
            if state == "STATE_SUCCEEDED" or (state not in FINAL and step.execution_id not in history.open):
                yield f"{step.name} of {step.execution_id}, which is {state}, is {step.state}"


def _of(one: ExecutionRow, name: str) -> object:
    return one.result.get(name) if isinstance(one.result, Mapping) else None


DURABLE: Final[Sequence[Rule]] = (
    a_journaled_step_never_runs_again,
    results_are_the_journals,
    signals_arrive_once_in_order,
    a_call_makes_one_child,
    an_event_wakes_each_once,
    what_was_published_is_there_once,
    a_delivery_has_one_execution,
    a_retry_is_one_execution,
    commands_are_kept,
    what_is_final_waits_for_nothing,
)
