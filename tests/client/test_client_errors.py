"""Errors off the wire, retries of calls, and what closing does."""

import asyncio
import socket
from datetime import timedelta

import grpc
import pytest
from peer_script import refusal
from peer_server import Peer

from nightcrew.client import (
    Aborted,
    AlreadyExists,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NightcrewClientError,
    NotFound,
    NotReachable,
    ResourceExhausted,
    RetryPolicy,
    TriggerRequest,
    Unavailable,
    Unimplemented,
)
from nightcrew.client.errors import BY_CODE, Closed

FAST = RetryPolicy(attempts=4, initial=0.01, maximum=0.05)


async def test_a_refused_state_tells_the_state_and_the_allowed_ones(crew, peer):
    peer.world.add_agent("a", state=1)
    with pytest.raises(FailedPrecondition) as caught:
        await crew.agents.trigger("a")
    error = caught.value
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "failed_precondition")
    assert (error.state, error.allowed_states) == ("STATE_STOPPED", ("STATE_ACTIVE", "STATE_PAUSED"))
    assert error.message == str(error) == "agent 'a' is STATE_STOPPED: cannot trigger it"
    assert len(peer.script.calls["TriggerAgent"]) == 1


async def test_not_found_and_already_exists_name_the_resource(crew, peer):
    with pytest.raises(NotFound) as caught:
        await crew.agents.get("nobody")
    assert caught.value.resource == "agent nobody"
    spec = {"program": {"python": {"entrypoint": "a:b"}}}
    await crew.agents.create("a", spec)
    with pytest.raises(AlreadyExists):
        await crew.agents.create("a", spec)


async def test_field_violations_come_one_by_one(crew):
    with pytest.raises(InvalidArgument) as caught:
        await crew.schedules.preview({"cron": {"expression": "bad"}})
    assert caught.value.field_violations == (
        FieldViolation("schedule.cron.expression", "is no cron expression"),
        FieldViolation("schedule.time_zone", "is no IANA time zone"),
    )


async def test_a_full_backlog_tells_how_long_to_wait_and_is_not_tried_again(crew, peer):
    peer.script.before["TriggerAgent"] = [
        refusal("RESOURCE_EXHAUSTED", "full", reason="backlog_full", retry_seconds=2.5)
    ]
    with pytest.raises(ResourceExhausted) as caught:
        await crew.agents.trigger("a")
    assert caught.value.retry_delay == timedelta(seconds=2.5)
    assert len(peer.script.calls["TriggerAgent"]) == 1


async def test_an_etag_that_does_not_match_is_aborted(crew, peer):
    peer.world.add_agent("a")
    with pytest.raises(Aborted) as caught:
        await crew.agents.update("a", {"description": "x"}, etag="r77")
    assert caught.value.reason == "etag_mismatch"


async def test_a_call_that_is_not_built_is_unimplemented(crew):
    with pytest.raises(Unimplemented):
        await crew.schedules.get_backfill("x")


@pytest.mark.parametrize("code", [one for one in grpc.StatusCode if one is not grpc.StatusCode.OK])
async def test_every_code_has_its_class(crew, peer, code):
    peer.script.before["GetAgent"] = [code] * 4
    with pytest.raises(NightcrewClientError) as caught:
        await crew.agents.get("a")
    assert caught.value.code == code.name
    expected = (
        NotReachable if code is grpc.StatusCode.UNAVAILABLE else BY_CODE.get(code.name, NightcrewClientError)
    )
    assert type(caught.value) is expected


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_a_mutation_is_tried_again_under_its_request_id(crew, peer, code):
    """The answer is lost twice after the work was done: one execution is made, and it is the one answered.

    CANCELLED is what a server gives to calls that arrive just as it stops.
    """
    peer.world.add_agent("a")
    peer.script.after["TriggerAgent"] = [code, code]
    run = await crew.agents.trigger("a", {"n": 1})
    calls = peer.script.calls["TriggerAgent"]
    assert len(calls) == 3
    assert len({one.request_id for one in calls}) == 1
    assert list(peer.world.executions) == [run.id]


async def test_a_batch_is_tried_again_as_it_was(crew, peer):
    peer.world.add_agent("a")
    peer.script.after["BatchTriggerAgents"] = [grpc.StatusCode.UNAVAILABLE]
    results = await crew.agents.trigger_many([TriggerRequest(agent_id="a")] * 5)
    assert len(peer.world.executions) == 5
    assert [one.execution.id for one in results] == list(peer.world.executions)


async def test_retries_are_bounded(crew, peer):
    peer.script.before["GetAgent"] = [refusal("UNAVAILABLE", "it drains", reason="draining")] * 9
    with pytest.raises(Unavailable) as caught:
        await crew.agents.get("a")
    assert type(caught.value) is Unavailable
    assert caught.value.reason == "draining"
    assert len(peer.script.calls["GetAgent"]) == 4


async def test_the_server_may_ask_for_a_longer_wait(crew, peer):
    peer.world.add_agent("a")
    peer.script.before["GetAgent"] = [refusal("UNAVAILABLE", "busy", reason="x", retry_seconds=0.3)]
    loop = asyncio.get_running_loop()
    start = loop.time()
    await crew.agents.get("a")
    assert loop.time() - start >= 0.3


async def test_a_retry_asks_for_what_is_left_of_the_wait(crew, peer):
    peer.world.add_agent("a")
    peer.script.before["TriggerAgent"] = [refusal("UNAVAILABLE", "busy", reason="x", retry_seconds=0.5)]
    await crew.agents.trigger("a", wait=5)
    first, second = (one.wait.ToTimedelta().total_seconds() for one in peer.script.calls["TriggerAgent"])
    assert first == 5
    assert 3 < second <= 4.5


async def test_no_server_is_not_reachable():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        async with Client(f"127.0.0.1:{reserved.getsockname()[1]}", retry=FAST) as crew:
            with pytest.raises(NotReachable):
                await crew.runtime.get()


async def test_a_server_that_starts_meanwhile_is_found():
    async with Peer() as peer:
        peer.world.add_agent("a")
        await peer.stop()
        async with Client(peer.address, retry=RetryPolicy(attempts=50, initial=0.05, maximum=0.1)) as crew:
            asked = asyncio.ensure_future(crew.agents.trigger("a"))
            await asyncio.sleep(0.2)
            assert not asked.done()
            await peer.start()
            assert (await asked).agent_id == "a"


async def test_the_timeout_covers_the_retries(peer):
    peer.script.hold["GetAgent"] = asyncio.Event()
    async with Client(peer.address, timeout=0.3) as crew:
        with pytest.raises(DeadlineExceeded):
            await crew.agents.get("a")
    peer.script.hold["GetAgent"].set()


async def test_a_closed_client_says_so(peer):
    peer.world.add_agent("a")
    crew = Client(peer.address)
    await crew.agents.get("a")
    await crew.close()
    with pytest.raises(Closed):
        await crew.agents.get("a")
    with pytest.raises(Closed):
        await crew.executions.get("a")
    await crew.close()


async def test_closing_ends_a_call_under_way_with_an_error_and_no_cancellation(peer):
    peer.script.hold["GetAgent"] = asyncio.Event()
    crew = Client(peer.address)
    asked = asyncio.ensure_future(crew.agents.get("a"))
    async with asyncio.timeout(10):
        while not peer.script.calls["GetAgent"]:
            await asyncio.sleep(0.005)
    await crew.close()
    with pytest.raises(Closed):
        await asked
    peer.script.hold["GetAgent"].set()


async def test_a_server_that_dies_amid_a_call_is_unavailable(peer):
    peer.world.add_agent("a")
    peer.script.hold["GetAgent"] = asyncio.Event()
    async with Client(peer.address, retry=RetryPolicy(attempts=1)) as crew:
        asked = asyncio.ensure_future(crew.agents.get("a"))
        async with asyncio.timeout(10):
            while not peer.script.calls["GetAgent"]:
                await asyncio.sleep(0.005)
        await peer.stop()
        with pytest.raises(Unavailable):
            await asked


@pytest.mark.parametrize("bad", [{"attempts": 0}, {"initial": -1}, {"multiplier": 0.5}])
def test_a_retry_policy_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="must"):
        RetryPolicy(**bad)


def test_delays_grow_to_their_cap_and_never_vanish():
    policy = RetryPolicy(initial=0.1, multiplier=2, maximum=1)
    for failures, longest in ((1, 0.1), (2, 0.2), (3, 0.4), (9, 1.0), (10_000, 1.0)):
        assert longest / 2 <= policy.delay(failures) <= longest
