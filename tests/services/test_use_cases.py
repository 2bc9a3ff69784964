"""Agents, executions, applying and statuses as callers in this process use them: what is refused leaves nothing."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from nightcrew.agent import agent
from nightcrew.crew.commits import After
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


def asked(method="m", digest="d"):
    return Request(method=method, request_id=str(uuid.uuid4()), digest=digest)


@agent(start=False)
async def echo(input: dict):  # noqa: A002 - the contract's word
    return input


@agent(start=False)
async def stays(ctx):
    await ctx.state.get("gate", asyncio.Event()).wait()


@pytest.fixture
async def box(tmp_path):
    async with Box(echo, stays, folder=tmp_path) as box:
        yield box


def manifest(box, agent_id="", *, program="echo", **more):
    spec = {"program": {"python": {"entrypoint": box.engine.registry.names("python")[program != "echo"]}}}
    labels = more.pop("labels", {})
    return Manifest.parse({"id": agent_id, "labels": labels, "spec": {**spec, **more}}, field="agent")


async def make(box, agent_id="a", *, state=AgentState.ACTIVE, **more):
    await box.services.agents.create(manifest(box, agent_id, **more), request=BY_TEST)
    if state is AgentState.ERROR:
        await command(box, AgentEvent.START, agent_id)
        await box.engine.store.write(lambda tx: fail(tx, box, agent_id))
    elif state is AgentState.STOPPING:
        # As a crash would leave it, or a run that takes its time to end.
        await box.engine.store.write(lambda tx: stopping(tx, agent_id))
    elif state is not AgentState.STOPPED:
        await command(box, AgentEvent.START, agent_id)
        if state is AgentState.PAUSED:
            await command(box, AgentEvent.PAUSE, agent_id)
    return await box.agent(agent_id)


def stopping(tx, agent_id):
    found = tx.agents.get(agent_id)
    following = replace(found, state=AgentState.STOPPING, revision=found.revision + 1)
    assert tx.agents.save(following, revision=found.revision)


def fail(tx, box, agent_id):
    fail_agent(tx, After(str), agent_id, reason="too_many_failures", now=box.clock.now())


async def command(box, event, agent_id="a"):
    return await box.services.agents.command(event, agent_id, reason="", request=BY_TEST)


async def newest(box):
    return (await box.engine.store.reads.event_bounds())[1]


# ---- agents ---------------------------------------------------------------------------------------------------


async def apply(box, *manifests, prune=None, validate=False, request=BY_TEST):
    changes = await box.services.apply.apply(
        manifests, prune_selector=prune or {}, validate_only=validate, request=request
    )
    return {one.agent_id: one for one in changes}


async def test_agents_made_by_callers_begin_stopped_with_an_id_of_their_choice_or_ours(box):
    found = await box.services.agents.create(manifest(box, "mine"), request=BY_TEST)
    assert (found.id, found.state, found.generation, found.etag) == ("mine", AgentState.STOPPED, 1, "r1")
    made = await box.services.agents.create(manifest(box), request=BY_TEST)
    assert made.id.startswith("agent-0")
    with pytest.raises(AlreadyExists):
        await box.services.agents.create(manifest(box, "mine"), request=BY_TEST)
    with pytest.raises(InvalidArgument) as caught:
        await box.services.agents.create(manifest(box, "Not A Slug"), request=BY_TEST)
    assert caught.value.violations[0].field == "agent.id"


async def test_what_may_run_is_what_up_was_given(box):
    spec = {"program": {"python": {"entrypoint": "os:system"}}}
    with pytest.raises(InvalidArgument) as caught:
        await box.services.agents.create(Manifest.parse({"spec": spec}), request=BY_TEST)
    assert caught.value.code == "program_not_allowed"
    assert caught.value.violations[0].field == "agent.spec.program.python"


async def test_every_fault_of_an_agent_is_named_at_once(box):
    bad = manifest(
        box,
        "bad",
        labels={"": "x"},
        triggers=[
            {"schedule": {"cron": {"expression": "99 * * * *"}}},
            {"webhook": {"scheme": "SCHEME_NONE", "secrets": ["s"]}},
            {"schedule": {"interval": {"every": "0s"}}},
        ],
        execution={"retry": {"initial_backoff": "-1s"}},
    )
    with pytest.raises(InvalidArgument) as caught:
        await box.services.agents.create(bad, request=BY_TEST)
    fields = {one.field for one in caught.value.violations}
    assert {
        "agent.labels",
        "agent.spec.triggers[0].schedule.cron.expression",
        "agent.spec.triggers[1].webhook.secrets",
        "agent.spec.triggers[2].schedule.interval.every",
        "agent.spec.execution.retry.initial_backoff",
    } <= fields


async def test_a_date_that_has_passed_is_refused_when_it_is_new_and_kept_when_it_is_old(box):
    soon = (box.clock.now() + timedelta(minutes=1)).isoformat()
    triggers = [{"schedule": {"date": {"time": soon}}}]
    await make(box, triggers=triggers)
    await box.advance(minutes=2)
    update = box.services.agents.update
    changed = await update("a", {"description": "x"}, paths=["description"], etag="", request=BY_TEST)
    assert changed.description == "x"
    await update("a", {"spec": {"input": {"a": 1}}}, paths=["spec.input"], etag="", request=BY_TEST)
    with pytest.raises(InvalidArgument) as caught:
        await make(box, "b", triggers=triggers)
    assert caught.value.violations[0].field == "agent.spec.triggers[0].schedule.date.time"
    with pytest.raises(InvalidArgument) as caught:
        await box.services.apply.apply(
            [manifest(box, "c", triggers=triggers)], prune_selector={}, validate_only=True, request=BY_TEST
        )
    assert caught.value.violations[0].field == "agents[0].spec.triggers[0].schedule.date.time"


async def test_an_update_changes_what_its_mask_names_and_the_generation_with_the_spec_only(box):
    first = await make(box)
    update = box.services.agents.update
    second = await update(
        "a", {"description": "x", "spec": {}}, paths=["description"], etag=first.etag, request=BY_TEST
    )
    assert (second.generation, second.revision) == (1, first.revision + 1)
    third = await update("a", {"spec": {"input": {"n": 1}}}, paths=["spec.input"], etag="", request=BY_TEST)
    assert (third.generation, third.state) == (2, AgentState.ACTIVE)
    with pytest.raises(Aborted):
        await update("a", {"description": "y"}, paths=["description"], etag=first.etag, request=BY_TEST)
    before = await newest(box)
    same = await update("a", {"description": "x"}, paths=["description"], etag="", request=BY_TEST)
    assert (same, await newest(box)) == (third, before)
    with pytest.raises(NotFound):
        await update("nobody", {}, paths=["description"], etag="", request=BY_TEST)


async def test_deleting_needs_a_stop_or_force(box):
    await make(box, program="stays")
    await box.trigger("a")
    before = await newest(box)
    with pytest.raises(FailedPrecondition) as caught:
        await box.services.agents.delete("a", etag="", force=False, request=BY_TEST)
    assert caught.value.allowed_states == ("STATE_STOPPED",)
    assert await newest(box) == before
    stopping = await box.services.agents.delete("a", etag="", force=True, request=BY_TEST)
    assert stopping.state is AgentState.STOPPING
    with pytest.raises(FailedPrecondition):
        await box.trigger("a")
    await box.settle()
    with pytest.raises(NotFound):
        await box.agent("a")
    assert await box.executions("a") == []


async def test_a_command_for_many_answers_each_on_its_own_and_again_the_same(box):
    for name, state in (
        ("one", AgentState.ACTIVE),
        ("two", AgentState.STOPPED),
        ("three", AgentState.PAUSED),
    ):
        await make(box, name, state=state, labels={"team": "ops"})
    await make(box, "other", labels={"team": "dev"})
    request = asked()

    async def pause():
        found = await box.services.agents.command_all(
            AgentEvent.PAUSE, {"team": "ops"}, reason="", request=request
        )
        return {
            one.agent_id: one.error.code if one.error else one.agent.state.removeprefix("STATE_")
            for one in found
        }

    expected = {"one": "PAUSED", "three": "PAUSED", "two": "agent_state"}
    assert await pause() == expected
    before = await newest(box)
    assert await pause() == expected
    assert await newest(box) == before
    assert (await box.agent("other")).state is AgentState.ACTIVE
    with pytest.raises(InvalidArgument):
        await box.services.agents.command_all(AgentEvent.PAUSE, {}, reason="", request=BY_TEST)


# ---- executions -----------------------------------------------------------------------------------------------
