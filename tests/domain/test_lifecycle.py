"""Both lifecycle tables over their whole grids: what each event does in each state, and that a refusal does nothing."""

import copy

import pytest

from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition
from nightcrew.domain.execution import FINAL, ExecutionState
from nightcrew.domain.lifecycle import agent, diagram, execution
from nightcrew.domain.lifecycle.agent import AgentEffect, AgentEvent
from nightcrew.domain.lifecycle.execution import ExecutionEffect, ExecutionEvent

REFUSED = "refused"
STAYS = "stays"

# Written out by hand from semantics.md, so that a slip in the table shows.
AGENTS = """
           start   pause   resume  stop      ended    fail
STOPPED    ACTIVE  refused refused stays     refused  refused
ACTIVE     stays   PAUSED  stays   STOPPING  refused  ERROR
PAUSED     refused stays   ACTIVE  STOPPING  refused  ERROR
STOPPING   refused refused refused stays     STOPPED  refused
ERROR      ACTIVE  refused ACTIVE  STOPPING  refused  refused
"""

EXECUTIONS = """
          claim   succeed   fail    retry_later time_out  interrupt wait    wake    cancel    cancel_journaled cancelled crash_loop retry   signal
QUEUED    RUNNING refused   refused refused     TIMED_OUT refused   refused refused CANCELLED stays            refused   FAILED     refused stays
RUNNING   refused SUCCEEDED FAILED  RETRYING    TIMED_OUT QUEUED    WAITING refused stays     stays            CANCELLED refused    refused stays
WAITING   refused refused   refused refused     TIMED_OUT refused   refused QUEUED  CANCELLED QUEUED           refused   refused    refused stays
RETRYING  refused refused   refused refused     TIMED_OUT refused   refused QUEUED  CANCELLED QUEUED           refused   refused    refused stays
SUCCEEDED refused refused   refused refused     refused   refused   refused refused stays     stays            refused   refused    stays   refused
FAILED    refused refused   refused refused     refused   refused   refused refused stays     stays            refused   refused    stays   refused
CANCELLED refused refused   refused refused     refused   refused   refused refused stays     stays            refused   refused    stays   refused
TIMED_OUT refused refused   refused refused     refused   refused   refused refused stays     stays            refused   refused    stays   refused
"""


def cells(text, states, events):
    head, *rows = text.strip().split("\n")
    names = head.split()
    assert [events(name) for name in names] == list(events), "a column is missing"
    grid = [(states(f"STATE_{state}"), row) for state, *row in map(str.split, rows)]
    assert [state for state, _ in grid] == list(states), "a row is missing"
    for state, row in grid:
        for name, cell in zip(names, row, strict=True):
            yield pytest.param(state, events(name), cell, id=f"{state.removeprefix('STATE_')}-{name}")


@pytest.mark.parametrize(("state", "event", "cell"), list(cells(AGENTS, AgentState, AgentEvent)))
def test_every_event_in_every_state_of_an_agent(state, event, cell):
    before = copy.deepcopy(agent.TABLE)
    if cell == REFUSED:
        with pytest.raises(FailedPrecondition) as caught:
            agent.step(state, event, agent_id="digest")
        error = caught.value
        assert error.code == "agent_state"
        assert error.state == state
        assert error.allowed_states == tuple(one for one in AgentState if event in agent.TABLE[one])
        assert error.metadata == {"state": state, "allowed_states": ",".join(error.allowed_states)}
        assert error.subject == "agents/digest"
        assert "digest" in error.message
    else:
        step = agent.step(state, event)
        assert step.changed is (cell != STAYS)
        assert step.state == (state if cell == STAYS else f"STATE_{cell}")
        if cell == STAYS:
            assert step.effects == ()
    assert before == agent.TABLE


@pytest.mark.parametrize(("state", "event", "cell"), list(cells(EXECUTIONS, ExecutionState, ExecutionEvent)))
def test_every_event_in_every_state_of_an_execution(state, event, cell):
    before = copy.deepcopy(execution.TABLE)
    if cell == REFUSED:
        with pytest.raises(FailedPrecondition) as caught:
            execution.step(state, event, execution_id="e1")
        error = caught.value
        assert error.code == "execution_state"
        assert error.state == state
        assert error.allowed_states == tuple(one for one in ExecutionState if event in execution.TABLE[one])
        assert error.subject == "executions/e1"
    else:
        step = execution.step(state, event)
        assert step.changed is (cell != STAYS)
        assert step.state == (state if cell == STAYS else f"STATE_{cell}")
    assert before == execution.TABLE


def test_leaving_error_and_stopped_clears_the_counters_and_becoming_active_forgets_the_times_between():
    for state, row in agent.TABLE.items():
        for event, step in row.items():
            if step is None:
                continue
            active = step.state is AgentState.ACTIVE
            assert (AgentEffect.RESUME_SCHEDULES in step.effects) is active, (state, event)
            assert (AgentEffect.RESET_COUNTERS in step.effects) is (active and state is not AgentState.PAUSED)
            assert (AgentEffect.CANCEL_EXECUTIONS in step.effects) is (step.state is AgentState.STOPPING)


def test_manual_work_is_taken_where_the_table_of_semantics_says_so():
    for state in AgentState:
        if state in {AgentState.ACTIVE, AgentState.PAUSED}:
            agent.check_manual(state, agent_id="digest")
            continue
        with pytest.raises(FailedPrecondition, match="needs ACTIVE or PAUSED") as caught:
            agent.check_manual(state, agent_id="digest")
        assert caught.value.allowed_states == ("STATE_ACTIVE", "STATE_PAUSED")


def test_a_final_state_never_changes():
    for state in ExecutionState:
        assert state.final is (state in FINAL)
        for event in execution.TABLE[state]:
            if state.final:
                assert not execution.step(state, event).changed


def test_what_follows_an_executions_events():
    step = execution.step
    running, queued = ExecutionState.RUNNING, ExecutionState.QUEUED
    assert step(running, ExecutionEvent.CANCEL).effects == (
        ExecutionEffect.MARK_CANCEL,
        ExecutionEffect.RAISE_INTO,
    )
    assert ExecutionEffect.MARK_CANCEL in step(queued, ExecutionEvent.CANCEL).effects
    for state in ExecutionState:
        for event, (target, effects) in execution.TABLE[state].items():
            frees = target is not None and target.final
            assert (ExecutionEffect.FREE_PLACE in effects) is frees, (state, event)
        if state.final:
            assert step(state, ExecutionEvent.RETRY).effects == (ExecutionEffect.NEW_EXECUTION,)
        else:
            assert step(state, ExecutionEvent.SIGNAL).effects == (ExecutionEffect.KEEP_SIGNAL,)


def test_the_diagrams_name_every_move_and_nothing_else():
    for text, table, target in (
        (diagram.agent_diagram(), agent.TABLE, lambda step: step and step.state),
        (diagram.execution_diagram(), execution.TABLE, lambda step: step[0]),
    ):
        arrows = {line.strip() for line in text.split("\n")[1:] if "-->" in line and "[*]" not in line}
        moves = {
            f"{state.removeprefix('STATE_')} --> {to.removeprefix('STATE_')}: {event}"
            for state, row in table.items()
            for event, step in row.items()
            if (to := target(step))
        }
        assert arrows == moves
