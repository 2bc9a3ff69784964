"""Lists in any store: filters, orders, pages that stay stable, and what the statuses count."""

import pytest

from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.filter import And, Comparison, Not, Or, Order, parse
from nightcrew.domain.filter_fields import INTEGER, STRING, TIME, enum_of
from nightcrew.domain.fire import FireOutcome, ScheduleCursor
from nightcrew.domain.page import ListQuery
from nightcrew.ports.reads import LastExecution

S = ExecutionState
FIELDS = {
    "id": STRING,
    "agent_id": STRING,
    "state": enum_of(ExecutionState),
    "trigger.kind": enum_of(TriggerKind),
    "trigger.trigger_id": STRING,
    "attempt": INTEGER,
    "priority": INTEGER,
    "create_time": TIME,
    "start_time": TIME,
    "end_time": TIME,
    "error.type": STRING,
    "labels.*": STRING,
}


async def every_page(read, **query):
    """All items, page by page, and how many pages there were."""
    items, pages, token = [], 0, ""
    while True:
        page = await read(ListQuery(page_token=token, **query))
        items += page.items
        pages += 1
        token = page.next_page_token
        if not token:
            return items, pages
        assert len(page.items) == query["page_size"]


@pytest.fixture
async def rows(store, make):
    """Executions that differ in all that can be asked for; ties in create_time and priority."""
    rows = []
    for n in range(40):
        state = list(S)[n % len(S)]
        rows.append(
            make.execution(
                f"agent-{n % 3}",
                state=state,
                create_time=make.at(n // 4 * 10),
                start_time=None if state is S.QUEUED else make.at(n * 10),
                end_time=make.at(1000 - n // 2) if state.final else None,
                attempt=n % 4,
                priority=n % 5 - 2,
                error=ExecutionError(type="Boom", message="!") if n % 6 == 0 else None,
                trigger=TriggerRef(kind=list(TriggerKind)[n % 7], trigger_id="cron" if n % 2 else ""),
                labels={} if n % 3 else {"team": "ops" if n % 2 else "web", 'od"d\\': str(n)},
            )
        )
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows])
    return rows


def label(row, key):
    return row.labels.get(key)


CASES = {
    'agent_id = "agent-1"': lambda r: r.agent_id == "agent-1",
    'agent_id != "agent-1"': lambda r: r.agent_id != "agent-1",
    'agent_id : "T-2"': lambda r: "t-2" in r.agent_id,
    "state = STATE_FAILED": lambda r: r.state is S.FAILED,
    "NOT state = STATE_FAILED": lambda r: r.state is not S.FAILED,
    "trigger.kind = KIND_EVENT OR trigger.kind = KIND_MANUAL": lambda r: (
        r.trigger.kind in {TriggerKind.EVENT, TriggerKind.MANUAL}
    ),
    "trigger.trigger_id : *": lambda r: r.trigger.trigger_id != "",
    "attempt >= 2 AND priority < 0": lambda r: r.attempt >= 2 and r.priority < 0,
    'create_time > "2026-03-01T12:00:30Z"': lambda r: r.create_time.timestamp() > 1772366430,
    'create_time = "2026-03-01T13:00:30+01:00"': lambda r: r.create_time.timestamp() == 1772366430,
    'end_time < "2026-03-01T12:16:30Z"': lambda r: r.end_time and r.end_time.timestamp() < 1772367390,
    'NOT end_time < "2026-03-01T12:16:30Z"': lambda r: (
        not (r.end_time and r.end_time.timestamp() < 1772367390)
    ),
    "end_time : *": lambda r: r.end_time is not None,
    "NOT start_time : *": lambda r: r.start_time is None,
    'error.type = "Boom"': lambda r: r.error is not None,
    'error.type != "Boom"': lambda r: r.error is None,
    'NOT error.type = "Boom"': lambda r: r.error is None,
    'error.type : "oo"': lambda r: r.error is not None,
    'labels.team = "ops"': lambda r: label(r, "team") == "ops",
    'labels.team != "ops"': lambda r: label(r, "team") != "ops",
    'NOT labels.team = "ops"': lambda r: label(r, "team") != "ops",
    'labels.team > "ops"': lambda r: (label(r, "team") or "") > "ops",
    "labels : team": lambda r: "team" in r.labels,
    "NOT labels : team": lambda r: "team" not in r.labels,
    'labels."od\\"d\\\\" = "9"': lambda r: label(r, 'od"d\\') == "9",
    'labels.x = "\' OR 1=1 --"': lambda r: False,
    '(agent_id = "agent-1" OR priority = 2) AND NOT (state = STATE_QUEUED OR attempt = 0)': lambda r: (
        (r.agent_id == "agent-1" or r.priority == 2) and not (r.state is S.QUEUED or r.attempt == 0)
    ),
}


@pytest.mark.parametrize("text", CASES)
async def test_a_filter_finds_what_it_says(store, rows, text):
    found, _ = await every_page(store.reads.executions, where=parse(text, FIELDS), page_size=7)
    assert {one.id for one in found} == {one.id for one in rows if CASES[text](one)}
    assert len(found) == len({one.id for one in found})


async def test_a_filter_as_long_as_the_language_lets_it_be(store, rows):
    text = " ".join(["attempt>0"] * 800)
    found, _ = await every_page(store.reads.executions, where=parse(text, FIELDS), page_size=1000)
    assert {one.id for one in found} == {one.id for one in rows if one.attempt > 0}


async def test_a_fault_in_a_tree_is_named_with_its_position(store):
    for where in (
        Comparison("nonsense", "=", "1", 17),
        Comparison("labels", "=", "1", 17),
        Comparison("state", "~", "1", 17),
        And((Comparison("id", "=", "1", 0), Or((Not(Comparison("result", "=", "1", 17)),)))),
    ):
        with pytest.raises(InvalidArgument, match="position 17") as caught:
            await store.reads.executions(ListQuery(where=where))
        assert caught.value.violations[0].field == "filter"


FAR = float("-inf")
ORDERS = {
    "create_time desc": lambda r: [-r.create_time.timestamp()],
    "create_time": lambda r: [r.create_time.timestamp()],
    "end_time": lambda r: [r.end_time.timestamp() if r.end_time else FAR],
    "end_time desc": lambda r: [-(r.end_time.timestamp() if r.end_time else FAR)],
    "priority desc, create_time": lambda r: [-r.priority, r.create_time.timestamp()],
    "priority, end_time desc, create_time desc": lambda r: [
        r.priority,
        -(r.end_time.timestamp() if r.end_time else FAR),
        -r.create_time.timestamp(),
    ],
}


def orders(text):
    parts = [part.split() for part in text.split(",")]
    return tuple(Order(part[0], descending=part[1:] == ["desc"]) for part in parts)


@pytest.mark.parametrize("text", ORDERS)
@pytest.mark.parametrize("size", [1, 7, 40, 41])
async def test_pages_follow_the_order(store, rows, text, size):
    found, pages = await every_page(store.reads.executions, order=orders(text), page_size=size)
    assert {one.id for one in found} == {one.id for one in rows}
    assert len(found) == len(rows)
    keys = [ORDERS[text](one) for one in found]
    assert keys == sorted(keys)
    assert pages == -(-len(rows) // size)
    again, _ = await every_page(store.reads.executions, order=orders(text), page_size=13)
    assert again == found


async def test_the_default_order_is_newest_first(store, rows):
    found = (await store.reads.executions(ListQuery(page_size=100))).items
    assert [one.create_time for one in found] == sorted((one.create_time for one in rows), reverse=True)


async def test_a_list_is_stable_while_rows_are_added(store, make, rows):
    first = await store.reads.executions(ListQuery(page_size=15))
    for create_time in (make.at(9999), make.at(95), make.at(-5)):
        await store.write(lambda tx, t=create_time: tx.executions.insert(make.execution(create_time=t)))
    second = await store.reads.executions(ListQuery(page_size=15, page_token=first.next_page_token))
    await store.write(lambda tx: tx.executions.insert(make.execution(create_time=make.at(9999))))
    third = await store.reads.executions(ListQuery(page_size=15, page_token=second.next_page_token))
    seen = [one.id for one in (*first.items, *second.items, *third.items)]
    assert len(seen) == len(set(seen))
    assert {one.id for one in rows} <= set(seen)


async def test_a_token_serves_its_own_list_only(store, make, rows):
    where = parse('agent_id != "agent-1"', FIELDS)
    token = (await store.reads.executions(ListQuery(page_size=3, where=where))).next_page_token
    assert token
    await store.reads.executions(
        ListQuery(page_size=9, where=where, page_token=token)
    )  # another size is fine
    wrong = [
        ListQuery(page_token=token),
        ListQuery(page_token=token, where=parse('agent_id != "agent-2"', FIELDS)),
        ListQuery(page_token=token, where=where, order=(Order("priority"),)),
        *(
            ListQuery(page_token=text)
            for text in ("x", "%%", "bnVsbA", "W10", "WzEsMl0", "é", token[:-5], token + "A")
        ),
    ]
    for query in wrong:
        with pytest.raises(InvalidArgument) as caught:
            await store.reads.executions(query)
        assert caught.value.violations[0].field == "page_token"
    with pytest.raises(InvalidArgument):
        await store.reads.agents(ListQuery(page_token=token, where=where))


async def test_an_order_that_is_not_there(store):
    with pytest.raises(InvalidArgument, match="order_by"):
        await store.reads.executions(ListQuery(order=(Order("state"),)))


async def test_agents_are_listed(store, make):
    agents = [
        make.agent(
            f"agent-{n}",
            display_name=f"Name {n}",
            state=AgentState.ACTIVE if n % 2 else AgentState.STOPPED,
            generation=n,
            create_time=make.at(n % 4),
            update_time=make.at(-n),
            labels={"team": "ops"} if n < 3 else {},
            spec=make.spec(f"jobs:number{n}"),
        )
        for n in range(10)
    ]
    await store.write(lambda tx: [tx.agents.insert(one) for one in agents])
    fields = {
        "id": STRING,
        "display_name": STRING,
        "state": enum_of(AgentState),
        "generation": INTEGER,
        "update_time": TIME,
        "program": STRING,
        "labels.*": STRING,
    }

    async def ids(text, *order):
        found, _ = await every_page(store.reads.agents, where=parse(text, fields), order=order, page_size=3)
        return [one.id for one in found]

    by_id = Order("id")
    assert await ids('program = "jobs:number4"') == ["agent-4"]
    assert await ids('labels.team = "ops" state = STATE_STOPPED', by_id) == ["agent-0", "agent-2"]
    assert await ids('display_name : "name 7"') == ["agent-7"]
    assert await ids("generation >= 8", Order("id", descending=True)) == ["agent-9", "agent-8"]
    assert await ids("", Order("update_time")) == [f"agent-{n}" for n in reversed(range(10))]
    assert (await ids(""))[:2] == ["agent-7", "agent-3"]
    assert await store.reads.agents_by_id(["agent-3", "nobody"]) == {"agent-3": agents[3]}
    counts = (await store.reads.store_figures()).agent_counts
    assert counts == {s: 5 if s in {AgentState.ACTIVE, AgentState.STOPPED} else 0 for s in AgentState}


async def test_the_ledger_is_listed(store, make):
    fires = [
        make.fire(
            n * 60, outcome=FireOutcome.STARTED if n % 2 else FireOutcome.SKIPPED_OVERLAP, execution_id=str(n)
        )
        for n in range(9)
    ]
    await store.write(lambda tx: [tx.fires.record(one) for one in fires])
    fields = {
        "agent_id": STRING,
        "outcome": enum_of(FireOutcome),
        "nominal_time": TIME,
        "execution_id": STRING,
    }
    found, _ = await every_page(store.reads.fires, page_size=2)
    assert found == fires[::-1]
    text = 'outcome = OUTCOME_STARTED nominal_time >= "2026-03-01T12:03:00Z" agent_id = digest'
    found, _ = await every_page(
        store.reads.fires, where=parse(text, fields), order=(Order("nominal_time"),), page_size=2
    )
    assert found == [fires[3], fires[5], fires[7]]


async def test_what_statuses_count(store, make):
    await store.write(lambda tx: [tx.agents.insert(make.agent(i)) for i in ("digest", "idle")])
    rows = [make.execution(state=s) for s in S] + [make.execution(), make.execution(started=True)]
    last = make.execution(state=S.CANCELLED, start_time=make.at(4000), end_time=make.at(5000))
    await store.write(lambda tx: [tx.executions.insert(one) for one in (last, *rows)])
    figures = await store.reads.figures(["digest", "idle", "nobody"])
    assert set(figures) == {"digest", "idle"}
    digest = figures["digest"]
    assert (digest.running, digest.queued) == (4, 2)
    assert digest.last_execution
    assert digest.last_execution == LastExecution(
        id=last.id, state=S.CANCELLED, end_time=make.at(5000), start_time=make.at(4000)
    )
    assert (figures["idle"].running, figures["idle"].queued, figures["idle"].last_execution) == (0, 0, None)
    total = await store.reads.store_figures()
    assert (total.running, total.queued) == (4, 2)


async def test_an_agents_executions_by_offset(store, make):
    mine = [make.execution("mine", create_time=make.at(n // 3)) for n in range(25)]  # thrice at each moment
    await store.write(lambda tx: [tx.executions.insert(one) for one in (*mine, make.execution("other"))])
    newest_first = [one.id for one in reversed(mine)]
    for limit, offset in ((10, 0), (10, 10), (10, 20), (10, 25), (10, 10**9), (1, 24), (0, 3), (1000, 0)):
        found = await store.reads.execution_ids("mine", limit=limit, offset=offset)
        assert found == (newest_first[offset : offset + limit], 25)
    assert await store.reads.execution_ids("nobody", limit=10, offset=0) == ([], 0)
    some = await store.reads.executions_by_id([mine[3].id, "no", mine[1].id, mine[3].id])
    assert some == {mine[3].id: mine[3], mine[1].id: mine[1]}


async def test_active_agents_with_their_cursors(store, make):
    def fill(tx):
        for n in range(1203):
            agent_id = f"agent-{n:04}"
            tx.agents.insert(make.agent(agent_id, state=AgentState.ACTIVE if n % 3 else AgentState.PAUSED))
            for trigger in ("b", "a")[: n % 4]:
                tx.fires.set_cursor(ScheduleCursor(agent_id=agent_id, trigger_id=trigger, cursor=make.at(n)))

    await store.write(fill)
    batches = [batch async for batch in store.reads.active_cursors()]
    assert len(batches) > 1
    got = {agent.id: [c.trigger_id for c in cursors] for batch in batches for agent, cursors in batch}
    want = {n: sorted(("b", "a")[: n % 4]) for n in range(1203) if n % 3 and n % 4}
    assert got == {f"agent-{n:04}": triggers for n, triggers in want.items()}
    agent, cursors = batches[0][0]
    assert agent == make.agent("agent-0001", state=AgentState.ACTIVE)
    assert cursors == [ScheduleCursor(agent_id="agent-0001", trigger_id="b", cursor=make.at(1))]
