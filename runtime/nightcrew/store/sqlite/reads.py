"""Reads beside the writer: each is one SELECT on a reader's connection, decoded on the event loop."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.backfill import Backfill
from nightcrew.domain.delivery import Delivery, HookState
from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution, ExecutionState
from nightcrew.domain.fire import Fire, ScheduleCursor, Skip
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Step
from nightcrew.domain.values import encode
from nightcrew.ports.deliveries import HookFigures
from nightcrew.ports.reads import AgentFigures, LastExecution, StoreFigures
from nightcrew.ports.retention import Ended
from nightcrew.ports.secrets import Secrets
from nightcrew.store.sqlite import (
    agent_rows,
    backfills,
    events,
    execution_rows,
    fires,
    hooks,
    logs,
    outbound,
    skips,
    steps,
    usage,
)
from nightcrew.store.sqlite.agent_rows import agent_of
from nightcrew.store.sqlite.execution_rows import shown_of
from nightcrew.store.sqlite.pages import page_select
from nightcrew.store.sqlite.pool import ReaderPool
from nightcrew.store.sqlite.resources import (
    AGENTS,
    BACKFILLS,
    DELIVERIES,
    EVENTS,
    EXECUTIONS,
    FIRES,
    Resource,
)
from nightcrew.store.sqlite.retention import ENDED, ended_of

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_START_BATCH: Final = 500
_EVENTS_AT_ONCE: Final = 64
_EVENTS_CHARACTERS: Final = 8 * 1024 * 1024
"""An event's data may be 1 MiB: memory for those that are read together stays bounded."""
_NEWEST: Final = 2**63 - 1
"""Past what SQLite can count; a resume token may hold any number."""
_AGENT: Final = f"SELECT {agent_rows.COLUMNS} FROM agents WHERE id = ?"
_AGENTS: Final = f"SELECT {agent_rows.COLUMNS} FROM agents WHERE id IN (SELECT value FROM json_each(?))"
_WITH_POOLS: Final = (
    "SELECT id FROM agents WHERE state <> 'STATE_STOPPED'"
    " AND json_array_length(spec, '$.execution.pools') > 0 ORDER BY id"
)
# A look at each spec's text costs a start less than reading them all.
_WITH_SOURCES: Final = (
    f"SELECT {agent_rows.COLUMNS} FROM agents WHERE state <> 'STATE_STOPPED'"
    " AND instr(spec, '\"source_url\"') > 0"
)
_EXECUTION: Final = f"SELECT {execution_rows.SHOWN} FROM executions WHERE id = ?"
_EXECUTIONS: Final = (
    f"SELECT {execution_rows.SHOWN} FROM executions WHERE id IN (SELECT value FROM json_each(?))"
)
# What the offset passes over is read in the index alone; the count stands in a row of its own where there are none.
_EXECUTION_IDS: Final = """
    SELECT all_of.total, part.id FROM (SELECT count(*) AS total FROM executions WHERE agent_id = ?1) AS all_of
    LEFT JOIN (
        SELECT id, create_time, seq FROM executions WHERE agent_id = ?1
        ORDER BY create_time DESC, seq DESC LIMIT ?2 OFFSET ?3
    ) AS part ORDER BY part.create_time DESC, part.seq DESC
"""
_EVENTS: Final = f"SELECT {events.COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
_EVENT_COUNTS: Final = "SELECT type, count(*) FROM events WHERE sequence > ? AND sequence <= ? GROUP BY type"
_BOUNDS: Final = (
    "SELECT (SELECT min(sequence) FROM events), (SELECT seq FROM sqlite_sequence WHERE name = 'events')"
)
_LOGS: Final = (
    f"SELECT {logs.COLUMNS} FROM logs WHERE execution = (SELECT seq FROM executions WHERE id = ?)"
    " AND sequence > ? ORDER BY sequence LIMIT ?"
)
_STEPS: Final = (
    f"SELECT seq, {steps.COLUMNS} FROM steps WHERE execution = (SELECT seq FROM executions WHERE id = ?)"
    " AND seq > ? ORDER BY seq LIMIT ?"
)
_OPEN: Final = "FROM executions INDEXED BY executions_open WHERE end_time IS NULL"
_FIGURES: Final = f"""
    SELECT a.id,
        (SELECT count(*) {_OPEN} AND agent_id = a.id
            AND state IN ('STATE_RUNNING', 'STATE_WAITING', 'STATE_RETRYING')),
        (SELECT count(*) {_OPEN} AND agent_id = a.id AND state = 'STATE_QUEUED' AND started = 1),
        (SELECT count(*) {_OPEN} AND agent_id = a.id AND state = 'STATE_QUEUED' AND started = 0),
        e.id, e.state, e.end_time, e.start_time
    FROM agents AS a LEFT JOIN executions AS e ON e.seq = (
        SELECT seq FROM executions INDEXED BY executions_ended
        WHERE end_time IS NOT NULL AND agent_id = a.id ORDER BY end_time DESC, seq DESC LIMIT 1)
    WHERE a.id IN (SELECT value FROM json_each(?))
"""
_STORE_FIGURES: Final = f"""
    SELECT 'agents', state, count(*) FROM agents GROUP BY state
    UNION ALL SELECT 'queued', '', count(*) {_OPEN} AND state = 'STATE_QUEUED' AND started = 0
    UNION ALL SELECT 'running', '', count(*) {_OPEN} AND NOT (state = 'STATE_QUEUED' AND started = 0)
    UNION ALL SELECT 'sequence', '', seq FROM sqlite_sequence WHERE name = 'events'
"""
_CURSORS: Final = (
    f"SELECT {fires.CURSOR_COLUMNS} FROM schedule_cursors"
    " WHERE agent_id IN (SELECT value FROM json_each(?)) ORDER BY agent_id, trigger_id"
)
_SKIPS: Final = (
    f"SELECT {skips.COLUMNS} FROM skips WHERE agent_id IN (SELECT value FROM json_each(?))"
    " ORDER BY agent_id, trigger_id, nominal_time"
)
_DUE: Final = (
    f"SELECT {outbound.COLUMNS} FROM outbound_deliveries"
    f" WHERE {outbound.RETRYING} AND hook = ? AND next_attempt_time <= ? ORDER BY next_attempt_time LIMIT ?"
)
_OUTLOOK: Final = f"""
    SELECT {", ".join(f"h.{name}" for name in outbound.HOOK_COLUMNS.split(", "))},
        (SELECT count(*) FROM outbound_deliveries WHERE {outbound.RETRYING} AND hook = h.name),
        (SELECT min(next_attempt_time) FROM outbound_deliveries WHERE {outbound.RETRYING} AND hook = h.name)
    FROM outbound_hooks AS h WHERE h.name = ?
"""
_HOOKS: Final = f"""
    SELECT h.name, h.disabled, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) - h.cursor,
        (SELECT count(*) FROM outbound_deliveries WHERE {outbound.RETRYING} AND hook = h.name),
        (SELECT count(*) FROM outbound_deliveries WHERE {outbound.DEAD} AND hook = h.name)
    FROM outbound_hooks AS h ORDER BY h.name
"""
_BACKFILL: Final = f"SELECT {backfills.COLUMNS} FROM backfills WHERE id = ?"
_ACTIVE: Final = f"""
    SELECT {", ".join(f"a.{name}" for name in agent_rows.NAMES)},
        {", ".join(f"c.{name}" for name in fires.CURSOR_COLUMNS.split(", "))}
    FROM (
        SELECT * FROM agents WHERE state = 'STATE_ACTIVE' AND id > ?
            AND EXISTS (SELECT 1 FROM schedule_cursors WHERE agent_id = agents.id)
        ORDER BY id LIMIT ?
    ) AS a JOIN schedule_cursors AS c ON c.agent_id = a.id
    ORDER BY a.id, c.trigger_id
"""


class SqliteReads:
    """Implements ports.store.Reads."""

    def __init__(self, pool: ReaderPool, vault: Secrets | None = None) -> None:
        self._pool = pool
        self._vault = vault

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, or None."""
        rows = await self._pool.fetch(_AGENT, (agent_id,))
        return agent_of(rows[0]) if rows else None

    async def agents(self, query: ListQuery) -> Page[Agent]:
        """A page of agents."""
        rows, token = await self._page(AGENTS, query)
        return Page([agent_of(row) for row in rows], token)

    async def usage(self, agent_ids: Sequence[str]) -> dict[str, dict[str, tuple[datetime, int]]]:
        """Of these agents' counters: since when they count, and the sum."""
        found: dict[str, dict[str, tuple[datetime, int]]] = {}
        for agent_id, name, window, used in await self._pool.fetch(usage.OF, (encode(list(agent_ids)),)):
            found.setdefault(agent_id, {})[name] = (from_micros(window), used)
        return found

    async def agents_with_pools(self) -> list[str]:
        """The ids of agents that are not STOPPED and take from pools."""
        return [agent_id for (agent_id,) in await self._pool.fetch(_WITH_POOLS)]

    async def agents_with_sources(self) -> list[Agent]:
        """Agents that are not STOPPED and have a trigger that takes events from a broker."""
        found = map(agent_of, await self._pool.fetch(_WITH_SOURCES))
        return [agent for agent in found if agent.spec.source_urls]

    async def agents_by_id(self, agent_ids: Sequence[str]) -> dict[str, Agent]:
        """Those of the given agents that exist."""
        rows = await self._pool.fetch(_AGENTS, (encode(list(agent_ids)),))
        return {agent.id: agent for agent in map(agent_of, rows)}

    async def hook_secrets(self, agent_id: str, trigger_id: str) -> tuple[str, ...]:
        """The secrets of a webhook trigger; none if it has none."""
        rows = await self._pool.fetch(hooks.SECRETS, (agent_id, trigger_id))
        return hooks.opened(self._vault, rows[0][0], agent_id, trigger_id) if rows else ()

    async def check_secrets(self) -> None:
        """Whether the secrets of hooks open: tried with the first thousand."""
        for agent_id, trigger_id, sealed in await self._pool.fetch(hooks.SOME_SECRETS):
            hooks.opened(self._vault, sealed, agent_id, trigger_id)

    async def execution(self, execution_id: str) -> Execution | None:
        """The execution, or None."""
        rows = await self._pool.fetch(_EXECUTION, (execution_id,))
        return shown_of(rows[0]) if rows else None

    async def executions(self, query: ListQuery) -> Page[Execution]:
        """A page of executions."""
        rows, token = await self._page(EXECUTIONS, query)
        return Page([shown_of(row) for row in rows], token)

    async def execution_ids(self, agent_id: str, *, limit: int, offset: int) -> tuple[list[str], int]:
        """The ids of an agent's executions, the newest first, after the first `offset`; and how many it has."""
        rows = await self._pool.fetch(_EXECUTION_IDS, (agent_id, limit, offset))
        return [execution_id for _, execution_id in rows if execution_id is not None], rows[0][0]

    async def executions_by_id(self, execution_ids: Sequence[str]) -> dict[str, Execution]:
        """Those of the given executions that exist."""
        rows = await self._pool.fetch(_EXECUTIONS, (encode(list(execution_ids)),))
        return {one.id: one for one in map(shown_of, rows)}

    async def ended(self, *, after: str, keep: int, limit: int) -> list[Ended]:
        """Agents with executions that have ended, by id, from after an id."""
        return [ended_of(row) for row in await self._pool.fetch(ENDED, (after, limit, keep))]

    async def fires(self, query: ListQuery) -> Page[Fire]:
        """A page of the ledger."""
        rows, token = await self._page(FIRES, query)
        return Page([fires.fire_of(row) for row in rows], token)

    async def skips(self, agent_ids: Sequence[str]) -> list[Skip]:
        """The skips of these agents, by agent, trigger and nominal time."""
        return [skips.skip_of(row) for row in await self._pool.fetch(_SKIPS, (encode(list(agent_ids)),))]

    async def backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill, or None."""
        rows = await self._pool.fetch(_BACKFILL, (backfill_id,))
        return backfills.backfill_of(rows[0]) if rows else None

    async def backfills(self, query: ListQuery) -> Page[Backfill]:
        """A page of backfills."""
        rows, token = await self._page(BACKFILLS, query)
        return Page([backfills.backfill_of(row) for row in rows], token)

    async def events(self, query: ListQuery) -> Page[Event]:
        """A page of the event log."""
        rows, token = await self._page(EVENTS, query)
        return Page([events.event_of(row) for row in rows], token)

    async def deliveries(self, query: ListQuery) -> Page[Delivery]:
        """A page of outbound deliveries that were not taken."""
        rows, token = await self._page(DELIVERIES, query)
        return Page([outbound.delivery_of(row) for row in rows], token)

    async def deliveries_due(self, hook: str, now: datetime, *, limit: int) -> list[Delivery]:
        """RETRYING ones whose time has come, the longest due first."""
        rows = await self._pool.fetch(_DUE, (hook, to_micros(now), limit))
        return [outbound.delivery_of(row) for row in rows]

    async def delivery_outlook(self, hook: str) -> tuple[HookState | None, int, datetime | None]:
        """How far a hook has got, how many deliveries it is RETRYING, and when the next of them is due."""
        for *state, retrying, due in await self._pool.fetch(_OUTLOOK, (hook,)):
            return outbound.hook_of(tuple(state)), retrying, None if due is None else from_micros(due)
        return None, 0, None

    async def hook_figures(self) -> list[HookFigures]:
        """What is counted of every hook that there ever was, by name."""
        return [
            HookFigures(name=name, disabled=disabled, lag=lag, retrying=retrying, dead=dead)
            for name, disabled, lag, retrying, dead in await self._pool.fetch(_HOOKS)
        ]

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Events with a greater sequence, in order: at most `limit`, fewer where their data are large."""
        found: list[Event] = []
        size = 0
        while len(found) < limit and size < _EVENTS_CHARACTERS:
            asked = min(limit - len(found), _EVENTS_AT_ONCE)
            rows = await self._pool.fetch(_EVENTS, (min(sequence, _NEWEST), asked))
            found += map(events.event_of, rows)
            size += sum(len(row[-1]) for row in rows)
            if len(rows) < asked:
                break
            sequence = found[-1].sequence
        return found

    async def event_counts(self, after: int, until: int) -> dict[str, int]:
        """How many events of each type have a sequence greater than `after` and not greater than `until`."""
        return dict(await self._pool.fetch(_EVENT_COUNTS, (after, until)))

    async def event_bounds(self) -> tuple[int, int]:
        """(oldest sequence kept, newest sequence ever given); (newest + 1, newest) when none is kept."""
        ((oldest, newest),) = await self._pool.fetch(_BOUNDS)
        newest = newest or 0
        return (newest + 1 if oldest is None else oldest), newest

    async def progress(self, execution_id: str) -> Progress | None:
        """How far an execution has got; None if its program has not said."""
        rows = await self._pool.fetch(logs.PROGRESS, (execution_id,))
        return logs.progress_of(rows[0]) if rows else None

    async def logs_after(self, execution_id: str, sequence: int, *, limit: int) -> list[LogEntry]:
        """An execution's entries with a greater sequence, in order."""
        rows = await self._pool.fetch(_LOGS, (execution_id, min(sequence, _NEWEST), limit))
        return [logs.log_of(execution_id, row) for row in rows]

    async def steps_after(self, execution_id: str, place: int, *, limit: int) -> list[tuple[int, Step]]:
        """An execution's journal from after a place, with the places of its entries, in the order they began."""
        rows = await self._pool.fetch(_STEPS, (execution_id, min(place, _NEWEST), limit))
        return [(row[0], steps.step_of(row[1:])) for row in rows]

    async def figures(self, agent_ids: Sequence[str]) -> dict[str, AgentFigures]:
        """What the statuses of these agents count; agents that do not exist are left out."""
        rows = await self._pool.fetch(_FIGURES, (encode(list(agent_ids)),))
        return {
            agent_id: AgentFigures(running=active + requeued, queued=queued, last_execution=_last(*last))
            for agent_id, active, requeued, queued, *last in rows
        }

    async def store_figures(self) -> StoreFigures:
        """What GetRuntime counts; `running` are those that hold a place, `queued` those that wait for one."""
        rows = await self._pool.fetch(_STORE_FIGURES)
        counts = {what: count for what, _, count in rows if what != "agents"}
        agents = {AgentState(state): count for what, state, count in rows if what == "agents"}
        return StoreFigures(
            agent_counts={state: agents.get(state, 0) for state in AgentState},
            running=counts["running"],
            queued=counts["queued"],
            sequence=counts.get("sequence", 0),
        )

    async def cursors(self, agent_ids: Sequence[str]) -> dict[str, list[ScheduleCursor]]:
        """The schedule cursors of these agents; every one of them has an entry."""
        found: dict[str, list[ScheduleCursor]] = {agent_id: [] for agent_id in agent_ids}
        for row in await self._pool.fetch(_CURSORS, (encode(list(found)),)):
            found[row[0]].append(fires.cursor_of(row))
        return found

    async def active_cursors(self) -> AsyncIterator[Sequence[tuple[Agent, Sequence[ScheduleCursor]]]]:
        """Every ACTIVE agent that has schedule cursors, with them, in batches: what a start plans."""
        after, width = "", len(agent_rows.NAMES)
        while rows := await self._pool.fetch(_ACTIVE, (after, _START_BATCH)):
            batch: list[tuple[Agent, list[ScheduleCursor]]] = []
            for row in rows:
                if row[0] != after:
                    after = row[0]
                    batch.append((agent_of(row[:width]), []))
                batch[-1][1].append(fires.cursor_of(row[width:]))
            yield batch

    async def _page(self, resource: Resource, query: ListQuery) -> tuple[list[tuple[Any, ...]], str]:
        select = page_select(resource, query)
        return select.split(await self._pool.fetch(select.sql, select.values))


def _last(
    execution_id: str | None, state: str | None, end_time: int | None, start_time: int | None
) -> LastExecution | None:
    if execution_id is None or state is None or end_time is None:
        return None
    return LastExecution(
        id=execution_id,
        state=ExecutionState(state),
        end_time=from_micros(end_time),
        start_time=None if start_time is None else from_micros(start_time),
    )
