"""Webhooks as a use case: one execution a delivery, states, rotation while it runs, secrets that are lost."""
# ruff: noqa: S106, S107 - the secrets of a test are its data

import asyncio
import hmac
import json

import pytest
import standardwebhooks

from nightcrew.agent import Context, agent
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    SecretUnavailable,
    Unauthenticated,
    Unavailable,
)
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.webhook.headers import Headers
from nightcrew.services.once import Request
from nightcrew.services.webhooks import HookCall
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


@agent(start=False)
async def echo(ctx: Context, webhook: dict, **rest):
    return {"webhook": webhook, "rest": rest, "trigger": ctx.trigger.trigger_id}


@agent(start=False)
async def slow(ctx: Context, webhook: dict):
    await asyncio.get_running_loop().create_future()


def hook(scheme="GITHUB", *secrets, **more):
    if scheme != "NONE" and not secrets:
        secrets = ("s",)
    return {"id": "hook", "webhook": {"scheme": f"SCHEME_{scheme}", "secrets": list(secrets)}, **more}


async def put(box, agent_id="echo", *triggers, start=True, **spec):
    """The agent with these triggers."""
    update = box.services.agents.update
    changes = {"triggers": list(triggers), **spec}
    paths = [f"spec.{name}" for name in changes]
    made = await update(agent_id, {"spec": changes}, paths=paths, etag="", request=BY_TEST)
    if start:
        made = await move(box, AgentEvent.START, agent_id)
    return made


async def move(box, event, agent_id="echo"):
    return await box.services.agents.command(event, agent_id, reason="", request=BY_TEST)


def call(body=b"{}", *, secret="s", delivery="", agent_id="echo", trigger_id="hook", **headers):
    named = {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}
    if delivery:
        named["x-github-delivery"] = delivery
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return HookCall(agent_id=agent_id, trigger_id=trigger_id, headers=Headers(pairs), body=body)


async def receive(box, *args, **kwargs):
    found = await box.services.webhooks.receive(call(*args, **kwargs))
    await box.settle()
    return found.execution_id


async def counts(box):
    """Rows of everything that a request may leave behind."""
    tables = ("executions", "events", "webhook_deliveries", "requests", "logs", "fires")

    def unit(tx):
        return {name: tx._execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608

    return await box.engine.store.write(unit)


@pytest.fixture
async def box(tmp_path):
    async with Box(echo, slow, folder=tmp_path) as box:
        yield box


async def test_a_request_becomes_an_execution_with_its_input(box):
    await put(box, "echo", hook(input={"b": 2, "webhook": "mine"}), input={"a": 1, "b": 1})
    body = b'{"ref": "main"}'
    execution_id = await receive(box, body, delivery="d1", content_type="application/json", authorization="x")
    done = await box.ended(execution_id)
    assert done.state is ExecutionState.SUCCEEDED
    assert (done.trigger.kind, done.trigger.trigger_id) == (TriggerKind.WEBHOOK, "hook")
    found = json.loads(done.result)
    assert found["rest"] == {"a": 1, "b": 2}
    assert found["webhook"] == {
        "body": {"ref": "main"},
        "headers": {"x-github-delivery": "d1", "content-type": "application/json"},
        "query": {},
        "method": "POST",
    }


async def test_a_delivery_makes_one_execution_for_a_week(box):
    await put(box, "echo", hook())
    first = await receive(box, b"1", delivery="d1")
    before = await counts(box)
    assert await receive(box, b"1", delivery="d1") == first
    assert await receive(box, b"1", delivery="d2") == first, "an equal body: the header is not signed"
    assert await receive(box, b"2", delivery="d1") == first
    assert await counts(box) == before
    assert await receive(box, b"3", delivery="d3") != first
    await box.advance(days=7)
    assert await receive(box, b"1", delivery="d1") == first
    await box.advance(seconds=1)
    assert await receive(box, b"1", delivery="d1") != first


async def test_what_is_too_old_is_pruned(box):
    await put(box, "echo", hook())
    await receive(box, b"1", delivery="d1")
    await box.advance(days=3)
    await receive(box, b"2", delivery="d2")
    assert (await counts(box))["webhook_deliveries"] == 4
    await box.advance(days=5)
    assert (await counts(box))["webhook_deliveries"] == 2


async def test_the_same_delivery_to_two_triggers_is_two(box):
    await put(box, "echo", hook(), {**hook(), "id": "other"})
    assert await receive(box, b"1") != await receive(box, b"1", trigger_id="other")


async def test_repetitions_at_once_are_one(box):
    await put(box, "echo", hook("NONE"))
    calls = [call(b"x", idempotency_key="k") for _ in range(50)]
    found = await asyncio.gather(*map(box.services.webhooks.receive, calls))
    assert len({one.execution_id for one in found}) == 1
    assert len(await box.executions("echo")) == 1


async def test_without_a_name_each_request_is_its_own(box):
    await put(box, "echo", hook("NONE"))
    assert len({await receive(box, b"x") for _ in range(5)}) == 5


async def test_a_bad_signature_leaves_nothing(box):
    await put(box, "echo", hook())
    before = await counts(box)
    for wrong in (call(secret="t"), call(x_hub_signature_256="sha256="), call(x_hub_signature_256="")):
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await box.services.webhooks.receive(wrong)
    assert await counts(box) == before


@pytest.mark.parametrize(
    "path", [("gone", "hook"), ("echo", "gone"), ("echo", "cron"), ("echo", "off"), ("é" * 99, "?")]
)
async def test_what_is_no_hook_is_not_told_apart(box, path):
    cron = {"id": "cron", "schedule": {"cron": {"expression": "0 0 1 1 *"}}}
    await put(box, "echo", hook(), cron, {**hook("NONE"), "id": "off", "disabled": True})
    before = await counts(box)
    with pytest.raises(NotFound) as caught:
        await box.services.webhooks.receive(call(agent_id=path[0], trigger_id=path[1]))
    assert caught.value.message == f"webhook {'/'.join(path)!r} does not exist"
    assert await counts(box) == before


async def test_in_each_state_what_the_table_says(box):
    await put(box, "echo", hook(), start=False)

    async def refused(state):
        before = await counts(box)
        with pytest.raises(FailedPrecondition) as caught:
            await receive(box, b"x", delivery="new")
        assert (caught.value.state, caught.value.allowed_states) == (
            state,
            ("STATE_ACTIVE", "STATE_PAUSED", "STATE_ERROR"),
        )
        assert await counts(box) == before
        with pytest.raises(Unauthenticated):
            await receive(box, b"x", secret="t")

    await refused("STATE_STOPPED")
    await move(box, AgentEvent.START)
    await move(box, AgentEvent.PAUSE)
    held = await receive(box, b"held")
    assert (await box.execution(held)).state is ExecutionState.QUEUED
    await move(box, AgentEvent.RESUME)
    await box.settle()
    assert (await box.execution(held)).state is ExecutionState.SUCCEEDED
    await move(box, AgentEvent.STOP)
    await refused("STATE_STOPPED")
    assert await receive(box, b"held") == held, "a repetition gets its answer in any state"


async def test_one_that_stops_refuses(box):
    await put(box, "slow", hook(), execution={"cancel_grace": "60s"})
    await receive(box, b"1", agent_id="slow")
    stopping = await move(box, AgentEvent.STOP, "slow")
    assert stopping.state == "STATE_STOPPING"
    with pytest.raises(FailedPrecondition) as caught:
        await box.services.webhooks.receive(call(b"2", agent_id="slow"))
    assert caught.value.state == "STATE_STOPPING"


async def test_an_agent_in_error_keeps_them(box):
    await put(box, "echo", hook())
    now = box.clock.now()
    await box.engine.commits.run(lambda tx, after: fail_agent(tx, after, "echo", reason="test", now=now))
    held = await receive(box, b"1")
    assert (await box.execution(held)).state is ExecutionState.QUEUED
    await move(box, AgentEvent.RESUME)
    assert (await box.ended(held)).state is ExecutionState.SUCCEEDED


async def test_a_full_backlog_and_a_policy_that_skips(box):
    await put(box, "slow", hook("NONE"), execution={"max_backlog": 1})
    for _ in range(2):
        await receive(box, agent_id="slow")
    before = await counts(box)
    with pytest.raises(ResourceExhausted) as full:
        await receive(box, agent_id="slow", idempotency_key="k")
    assert full.value.code == "backlog_full"
    assert await counts(box) == before
    await put(box, "slow", hook("NONE", overlap="OVERLAP_POLICY_SKIP"))
    before = await counts(box)
    with pytest.raises(FailedPrecondition, match="skips") as skipped:
        await receive(box, agent_id="slow", idempotency_key="k")
    assert skipped.value.code == "overlap_skipped"
    assert await counts(box) == before


async def test_a_drain_takes_none(box):
    await put(box, "echo", hook())
    box.engine.guard.close("draining")
    with pytest.raises(Unavailable) as caught:
        await receive(box)
    assert caught.value.code == "draining"


async def test_bad_bodies_leave_nothing(box):
    await put(box, "echo", hook("NONE"))
    before = await counts(box)
    for body in (b"{", b'"\xff"', b"NaN", b'"\\ud800"', b"1e999"):
        with pytest.raises(InvalidArgument):
            await receive(box, body, content_type="application/json", idempotency_key="k")
    assert await counts(box) == before


@pytest.mark.parametrize(
    "body", [b"\x01" * 1024 * 1024, b"\xff" * 1024 * 1024, b'"' + b"x" * (1024 * 1024 - 2) + b'"']
)
async def test_a_body_of_a_whole_mebibyte_is_taken(box, body):
    await put(box, "echo", hook("NONE"))
    done = await box.execution(await receive(box, body))
    assert len(json.loads(done.input)["webhook"]["body"]) >= 1024 * 1024 - 2


async def test_a_rotation_counts_from_its_answer_on(box):
    made = await put(box, "echo", hook("GITHUB", "old"))
    await receive(box, b"1", secret="old")
    both = await put(box, "echo", hook("GITHUB", "old", "new"))
    assert (both.generation, both.revision) == (made.generation, made.revision + 1)
    await receive(box, b"2", secret="old")
    await receive(box, b"3", secret="new")
    await put(box, "echo", hook("GITHUB", "new"))
    with pytest.raises(Unauthenticated):
        await receive(box, b"4", secret="old")
    await receive(box, b"4", secret="new")
    assert len(await box.executions("echo")) == 4


async def test_an_agent_made_again_has_its_own_secrets_and_deliveries(box):
    program = (await put(box, "echo", hook("GITHUB", "old"))).spec.program
    first = await receive(box, b"1", secret="old")
    await move(box, AgentEvent.STOP)
    await box.services.agents.delete("echo", etag="", force=False, request=BY_TEST)
    with pytest.raises(NotFound):
        await receive(box, b"1", secret="old")
    spec = {"program": program.to_json(), "triggers": [hook("GITHUB", "new")]}
    again = Manifest.parse({"id": "echo", "spec": spec})
    await box.services.agents.create(again, request=BY_TEST)
    await move(box, AgentEvent.START)
    with pytest.raises(Unauthenticated):
        await receive(box, b"1", secret="old")
    assert await receive(box, b"1", secret="new") != first


async def test_references_are_looked_up_when_a_request_comes(box, tmp_path):
    await put(box, "echo", hook("GITHUB", "${secret:GITHUB}"))
    with pytest.raises(SecretUnavailable) as caught:
        await receive(box, b"1", secret="one")
    assert "GITHUB" not in caught.value.message, "a sender learns nothing of where secrets are"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "GITHUB").write_text("one\n")
    await receive(box, b"1", secret="one")
    (tmp_path / "secrets" / "GITHUB").write_text("two\n")
    await receive(box, b"2", secret="two")
    with pytest.raises(Unauthenticated):
        await receive(box, b"3", secret="one")
    (tmp_path / "secrets" / "GITHUB").write_text("\n")
    with pytest.raises(SecretUnavailable):
        await receive(box, b"3", secret="")


async def test_a_key_that_is_lost_stops_the_hook_and_nothing_else(tmp_path, capfd):
    async with Box(echo, folder=tmp_path) as box:
        await put(box, "echo", hook(), {**hook("NONE"), "id": "open"})
    (tmp_path / "secret.key").unlink()
    async with Box(echo, folder=tmp_path) as box:
        assert "hooks can't verify their senders" in capfd.readouterr().out, "said at the start"
        before = await counts(box)
        for _ in range(3):
            with pytest.raises(SecretUnavailable):
                await receive(box, b"1")
        assert await counts(box) == before
        assert capfd.readouterr().out.count("a hook can't verify its senders") == 1, "it is logged once"
        await receive(box, b"1", trigger_id="open")
        await put(box, "echo", hook(), start=False)
        await receive(box, b"1")


async def test_slacks_challenge_is_answered_in_any_state(box):
    await put(box, "echo", hook("SLACK"), start=False)
    body = b'{"type": "url_verification", "challenge": "3eZ"}'
    moment = str(int(box.clock.now().timestamp()))
    signature = hmac.digest(b"s", b"v0:" + moment.encode() + b":" + body, "sha256").hex()
    signed = call(body, x_slack_request_timestamp=moment, x_slack_signature=f"v0={signature}")
    assert (await box.services.webhooks.receive(signed)).challenge == "3eZ"
    assert await box.executions("echo") == []
    await box.advance(minutes=6)
    with pytest.raises(Unauthenticated, match="300 s"):
        await box.services.webhooks.receive(signed)


async def test_a_new_secret_verifies(box):
    secret = box.services.webhooks.new_secret()
    await put(box, "echo", hook("STANDARD", secret))
    moment = box.clock.now()
    signature = standardwebhooks.Webhook(secret).sign("msg_1", moment, "{}")
    stamped = {
        "webhook_id": "msg_1",
        "webhook_timestamp": str(int(moment.timestamp())),
        "webhook_signature": signature,
    }
    assert await receive(box, b"{}", **stamped) == await receive(box, b"{}", **stamped)
