"""Context.state: a copy, saved when it changed, refused with a reason."""

from typing import cast

import pytest
import structlog

from nightcrew.agent import Context, StateUnavailable
from nightcrew.agent.base_context import CancelFlag, Memory
from nightcrew.agent.durable import Durable
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import TriggerKind, TriggerRef


def make(memory: Memory, flag: CancelFlag | None = None) -> Context:
    return Context(
        execution_id="e",
        agent_id="a",
        attempt=1,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
        log=structlog.get_logger,
        memory=memory,
        cancellation=flag or CancelFlag(),
        durable=cast("Durable", None),
    )


def test_state_is_a_copy_and_is_saved_only_when_it_changed():
    kept = {"n": [1]}
    memory = Memory(kept)
    assert memory.changed() is None
    ctx = make(memory)
    assert ctx.state == {"n": [1]}
    assert memory.changed() is None
    ctx.state["n"].append(2)
    assert kept == {"n": [1]}
    assert memory.changed() == '{"n":[1,2]}'


def test_state_that_may_not_be_used_says_why():
    with pytest.raises(StateUnavailable, match="max_concurrency 1"):
        _ = make(Memory(None)).state
    with pytest.raises(StateUnavailable, match="is 4"):
        _ = make(Memory(None, "max_concurrency is 4")).state


def test_state_that_is_no_json_is_refused_by_path():
    memory = Memory({})
    make(memory).state["x"] = {"y": object()}
    with pytest.raises(InvalidArgument, match=r"x\.y"):
        memory.changed()


def test_cancelled_follows_the_flag():
    flag = CancelFlag()
    ctx = make(Memory({}), flag)
    assert ctx.cancelled is False
    flag.requested = True
    assert ctx.cancelled is True
