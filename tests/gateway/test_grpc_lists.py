"""Lists over gRPC: pages that stay stable, orders, filters, and faults named with their positions."""

import asyncio

import pytest
from tests.gateway.support.gateway_box import as_json, refused, until

LISTS = {
    "ListAgents": "agents",
    "ListExecutions": "executions",
    "ListFires": "fires",
    "ListComponents": "components",
}


async def pages(box, method, size, **fields):
    token = ""
    while True:
        answer = await box.call(method, page_size=size, page_token=token, **fields)
        yield [*getattr(answer, LISTS[method])]
        token = answer.next_page_token
        if not token:
            return


async def test_pages_are_stable_while_agents_are_added(box):
    for number in range(7):
        await box.create(f"a-{number}")
    seen = []
    late = 0
    async for page in pages(box, "ListAgents", 3):
        seen += [agent.id for agent in page if agent.id.startswith("a-")]
        await box.create(f"late-{late}")
        late += 1
    assert late >= 3
    assert seen == [f"a-{number}" for number in reversed(range(7))]


async def test_pages_are_stable_while_executions_are_added(box):
    await box.active("a")
    wanted = [(await box.trigger("a")).id for _ in range(9)]
    for order, expected in (("create_time desc", wanted[::-1]), ("create_time", wanted)):
        seen = []
        async for page in pages(box, "ListExecutions", 4, order_by=order, filter='agent_id = "a"'):
            seen += [one.id for one in page]
            if order != "create_time":
                await box.trigger("a")
            assert len(page) <= 4
        assert [one for one in seen if one in wanted] == expected
        assert len(seen) == len(set(seen))


async def test_the_size_of_a_page(box):
    await asyncio.gather(*(box.create(f"a-{number:03}") for number in range(60)))
    assert len((await box.call("ListAgents")).agents) == 50
    assert len((await box.call("ListAgents", page_size=5000)).agents) > 60
    for method in LISTS:
        async with refused("INVALID_ARGUMENT") as said:
            await box.call(method, page_size=-1)
        assert said[0].fields == ["page_size"]


@pytest.mark.parametrize("method", LISTS)
async def test_a_token_that_is_none_is_refused(box, method):
    for token in ("nonsense", "!!!", "eyJ4IjoxfQ"):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call(method, page_token=token)
        assert said[0].fields == ["page_token"]


async def test_a_token_belongs_to_its_filter_and_its_order(box):
    for number in range(3):
        await box.create(f"a-{number}")
    token = (await box.call("ListAgents", page_size=1)).next_page_token
    for fields in ({"filter": 'id = "a-1"'}, {"order_by": "id"}):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call("ListAgents", page_size=1, page_token=token, **fields)
        assert said[0].fields == ["page_token"]


async def test_filters_and_orders_of_agents(box):
    await box.create("a", labels={"team": "ops", "tier": "1"})
    await box.create("b", labels={"team": "ops"})
    await box.create("c", "fail", labels={"team": "dev"})
    await box.call("StartAgent", id="b")

    async def ids(text, **fields):
        answer = await box.call("ListAgents", filter=text, order_by="id", **fields)
        return [agent.id for agent in answer.agents if len(agent.id) == 1]

    assert await ids('labels.team = "ops"') == ["a", "b"]
    assert await ids('labels.team = "ops" AND state = "STATE_ACTIVE"') == ["b"]
    assert await ids('labels.team = "dev" OR labels.tier = "1"') == ["a", "c"]
    assert await ids("labels:tier") == ["a"]
    assert await ids('NOT labels.team = "ops" AND id < "d"') == ["c"]
    assert await ids('create_time > "2020-01-01T00:00:00Z" AND generation = 1') == ["a", "b", "c"]
    assert await ids('program = "gateway_programs:fail"') == ["c"]
    names = [
        agent.id for agent in (await box.call("ListAgents", order_by="id desc")).agents if len(agent.id) == 1
    ]
    assert names == ["c", "b", "a"]


async def test_filters_of_executions(box):
    await box.active("a")
    await box.active("b", "fail")
    good = await box.trigger("a", labels={"k": "v"}, priority=3, wait="20s")
    bad = await box.trigger("b", wait="20s")

    async def ids(text):
        return {one.id for one in (await box.call("ListExecutions", filter=text)).executions}

    assert await ids('agent_id = "a"') == {good.id}
    assert await ids(
        'agent_id = "b" AND state = "STATE_FAILED" AND create_time > "2026-01-01T00:00:00Z"'
    ) == {bad.id}
    assert await ids('labels.k = "v"') == {good.id}
    assert await ids('trigger.kind = "KIND_MANUAL"') == {good.id, bad.id}
    assert await ids("priority >= 3 AND attempt = 1") == {good.id}
    assert await ids('error.type = "ValueError"') == {bad.id}
    assert await ids('trigger.kind = "KIND_SCHEDULE"') == set()


async def test_the_ledger_of_fires(timed):
    await timed.active(
        "a",
        triggers=[
            {"id": "every", "schedule": {"interval": {"every": "60s"}}},
            {"id": "off", "disabled": True, "schedule": {"interval": {"every": "1s"}}},
        ],
    )

    async def fired():
        await timed.clock.advance(30)
        found = (await timed.call("ListFires", filter='agent_id = "a" AND outcome = "OUTCOME_STARTED"')).fires
        return found if len(found) >= 3 else None

    fires = await until(fired, what="three fires")
    shown = [as_json(fire) for fire in fires]
    assert {one["trigger_id"] for one in shown} == {"every"}
    times = [one["nominal_time"] for one in shown]
    assert times == sorted(times, reverse=True)
    assert all(one["execution_id"] and one["count"] == "1" for one in shown)
    oldest = (await timed.call("ListFires", order_by="nominal_time", page_size=1)).fires[0]
    assert as_json(oldest)["nominal_time"] == "2026-01-01T00:01:00Z"
    got = await timed.execution(oldest.execution_id)
    assert as_json(got)["trigger"] == {
        "kind": "KIND_SCHEDULE",
        "trigger_id": "every",
        "nominal_time": "2026-01-01T00:01:00Z",
    }


FAULTS = [
    ("ListAgents", 'agent = "x"', 0, "there is no field 'agent'"),
    ("ListAgents", "id", 2, "an operator"),
    ("ListAgents", 'id = "a" AND state = "STATE_RUNNING"', 21, "STATE_STOPPED"),
    ("ListAgents", "generation = many", 13, "whole number"),
    ("ListExecutions", 'state = "STATE_ACTIVE"', 8, "STATE_QUEUED"),
    ("ListExecutions", 'create_time > "yesterday"', 14, "RFC 3339"),
    ("ListExecutions", '(id = "a"', 9, "`)` is expected"),
    ("ListFires", 'outcome = "OUTCOME_LOST"', 10, "OUTCOME_STARTED"),
    ("ListFires", 'state = "x"', 0, "there is no field 'state'"),
]


@pytest.mark.parametrize(
    ("method", "text", "position", "what"), FAULTS, ids=[f"{m}-{t}" for m, t, _, _ in FAULTS]
)
async def test_a_fault_in_a_filter_is_named_with_its_position(box, method, text, position, what):
    async with refused("INVALID_ARGUMENT") as said:
        await box.call(method, filter=text)
    (description,) = said[0].violations.values()
    assert said[0].fields == ["filter"]
    assert f"at position {position}:" in description
    assert what in description


@pytest.mark.parametrize("method", ["ListAgents", "ListExecutions", "ListFires"])
async def test_an_order_that_does_not_exist_is_refused(box, method):
    for order in ("state", "create_time down", "nominal_time desc, nominal_time"):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call(method, order_by=order)
        assert said[0].fields == ["order_by"]


async def test_the_supervision_tree_in_pages(box):
    everything = (await box.call("ListComponents", page_size=1000)).components
    ids = [one.id for one in everything]
    assert {"nightcrew", "nightcrew/store", "nightcrew/agents", "nightcrew/gateways/grpc"} <= set(ids)
    for one in everything:
        if one.parent_id:
            assert ids.index(one.parent_id) < ids.index(one.id)
    assert as_json(everything[ids.index("nightcrew/gateways/grpc")])["kind"] == "KIND_WORKER"
    assert as_json(everything[0])["state"] == "STATE_RUNNING"
    seen = []
    async for page in pages(box, "ListComponents", 4):
        assert 0 < len(page) <= 4
        seen += [one.id for one in page]
    assert seen == ids
