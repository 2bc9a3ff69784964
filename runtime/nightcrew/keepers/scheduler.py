"""The scheduler: one heap and one timer over every schedule of every ACTIVE agent.

The heap holds moments to look; what is due is decided from the tables in the fire's own transaction, so a
stale entry costs a look and never a wrong fire.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.faults import fail_agent
from nightcrew.crew.firing import Key, Looked, look
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import Unavailable
from nightcrew.domain.event import OWN_PREFIX
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.keepers.foresight import AHEAD, CROWD, Foresight
from nightcrew.keepers.setting_back import ZONES, carry_over, set_back
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction

BATCH: Final = 1000
"""How many schedules are looked at in one transaction, at most: they start together, as they are due together."""
STORE_RETRY: Final = 1.0
MAX_REASON: Final = 500
JUMP: Final = timedelta(seconds=5)
"""The wall clock running ahead of the monotonic one by more than this is a jump, and so an outage."""
JUMP_BACK: Final = timedelta(seconds=60)
"""Falling behind by more than this is a clock that was set back; by less, times that were decided stay so."""

RECENT: Final = 50
"""Among how many of the newest events one of the runtime's own is looked for, to tell when it was last awake."""

log = structlog.get_logger(__name__)


class Scheduler:
    """Fires schedules; wakes when the next is due, when an agent changes, and every `patience` seconds."""

    def __init__(
        self,
        *,
        commits: Commits,
        reads: Reads,
        bus: Bus,
        clock: Clock,
        zones: str = "",
        patience: float = PATIENCE,
    ) -> None:
        self._commits = commits
        self._reads = reads
        self._bus = bus
        self._clock = clock
        self._zones = zones
        self._patience = patience
        self._set_back = False
        self._foresight = Foresight(commits)
        self._heap: list[tuple[int, int, Key]] = []
        self._wakes: dict[Key, int] = {}
        self._order = count()
        self._wall = clock.now()
        self._monotonic = clock.monotonic()
        self._paused = False
        self._touched: set[str] = set()
        self._stalled = 0

    async def serve(self, ready: Callable[[], None]) -> None:
        """Loads every schedule, then fires until it is cancelled."""
        self._heap.clear()
        self._wakes.clear()
        self._commits.awake_since = self._wall = self._clock.now()
        self._monotonic = self._clock.monotonic()
        self._bus.take_schedules()
        try:
            if await self._was_set_back():
                await self._go_back()
            await self._adopt_zones()
            await self._load()
            ready()
            while True:
                await self._turn()
        finally:
            self._commits.awake_since = None

    async def _turn(self) -> None:
        """Takes in what has changed, fires what is due, and sleeps until the next of either."""
        version = self._bus.schedules.version
        self._notice_jump()
        self._touched |= self._bus.take_schedules()
        wait = self._patience
        try:
            if self._set_back:
                await self._go_back()
                await self._load()
                self._set_back = False
            await self._reload()
        except Unavailable as error:
            log.warning("changed schedules wait: the store failed", error=error.message)
            wait = STORE_RETRY
        # What can't be read yet keeps nobody from firing: each look decides from the tables anyway.
        if not (self._paused or self._set_back):
            wait = min(wait, await self._fire_due())
        await wait_for_poke(self._clock, self._bus.schedules, version, wait)

    def pause(self) -> None:
        """Fires nothing from now on (a drain): what is due is caught up after the next start."""
        self._paused = True

    @property
    def size(self) -> int:
        """How many schedules will fire again."""
        return len(self._wakes)

    # ---- what is known -----------------------------------------------------------------------------------

    async def _load(self) -> None:
        async for batch in self._reads.active_cursors():
            for agent, cursors in batch:
                for cursor in cursors:
                    self._note(agent, cursor)
            await asyncio.sleep(0)

    def _note(self, agent: Agent, cursor: ScheduleCursor) -> None:
        """Notes when to look; at once where the next time is not known or times of inactivity are to be told."""
        key = (agent.id, cursor.trigger_id)
        if cursor.exhausted:
            self._wakes.pop(key, None)
        elif cursor.next_time is None or cursor.cursor < agent.state_time:
            self._push(key, self._clock.now())
        else:
            self._push(key, cursor.next_time)

    def _push(self, key: Key, moment: datetime) -> None:
        micros = to_micros(moment)
        self._wakes[key] = micros
        heapq.heappush(self._heap, (micros, next(self._order), key))

    async def _reload(self) -> None:
        """Looks again at the schedules of agents that have changed.

        Raises:
            Unavailable: The store failed; what was not reloaded is kept for the next time.
        """
        while self._touched:
            some = sorted(self._touched)[:BATCH]
            agents = await self._reads.agents_by_id(some)
            cursors = await self._reads.cursors(some)
            for agent_id in some:
                self._forget(agent_id, cursors.get(agent_id, ()))
                agent = agents.get(agent_id)
                if agent is not None and agent.state is AgentState.ACTIVE:
                    for cursor in cursors.get(agent_id, ()):
                        self._note(agent, cursor)
            self._touched.difference_update(some)
        self._compact()

    def _forget(self, agent_id: str, cursors: Iterable[ScheduleCursor]) -> None:
        """Stale heap entries of triggers that are gone stay until their moment: a look then finds nothing."""
        for cursor in cursors:
            self._wakes.pop((agent_id, cursor.trigger_id), None)

    def _compact(self) -> None:
        """Drops entries that are stale: schedules that change often would fill the heap with them."""
        if len(self._heap) > 2 * len(self._wakes) + BATCH:
            self._heap = [entry for entry in self._heap if self._wakes.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _notice_jump(self) -> None:
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        ahead = (wall - self._wall) - timedelta(seconds=monotonic - self._monotonic)
        if ahead > JUMP:
            log.warning(
                "the clock has jumped forward: what was due meanwhile is caught up",
                seconds=round(ahead.total_seconds()),
            )
            self._commits.awake_since = wall
        if ahead < -JUMP_BACK:
            log.warning("the clock was set back", seconds=round(-ahead.total_seconds()))
            self._set_back = True
        self._wall, self._monotonic = wall, monotonic

    async def _was_set_back(self) -> bool:
        """Whether the clock stands before what an earlier life of the runtime wrote last."""
        _, newest = await self._reads.event_bounds()
        events = await self._reads.events_after(max(0, newest - RECENT), limit=RECENT)
        own = [event.time for event in events if event.type.startswith(OWN_PREFIX)]
        return bool(own) and max(own) > self._clock.now() + JUMP_BACK

    async def _go_back(self) -> None:
        """Begins anew from a clock that was set back.

        Raises:
            Unavailable: The store failed; nothing has changed, and nothing fires until it has.
        """
        now = self._clock.now()
        self._commits.awake_since = min(self._commits.awake_since or now, now)
        count = await self._commits.run(lambda tx, _after: set_back(tx, now=now))
        log.info("schedules begin anew from a clock that was set back", schedules=count)
        self._heap.clear()
        self._wakes.clear()

    async def _adopt_zones(self) -> None:
        """Has next times computed again if the time zone data is not what they were computed with."""
        known = await self._commits.run(lambda tx, _after: tx.meta(ZONES))
        if known == self._zones:
            return
        after: tuple[str, str] | None = ("", "") if known is not None else None
        while after is not None:
            behind = after
            after = await self._commits.run(lambda tx, _after: carry_over(tx, after=behind, limit=BATCH))  # noqa: B023 - run before the loop goes round
        await self._commits.run(lambda tx, _after: tx.set_meta(ZONES, self._zones))
        if known is not None:
            log.info("next times are computed anew", zones=self._zones, before=known)

    # ---- firing ------------------------------------------------------------------------------------------

    async def _fire_due(self) -> float:
        """Looks at one batch of what is due; returns the seconds until the next look.

        One, so that whoever has more to do than time for it still hears of agents that have changed.
        """
        if due := self._take_due():
            for key, following in (await self._look(due)).items():
                if following is not None and key not in self._wakes:
                    self._push(key, following)
        self._drop_stale()
        if self._stalled:
            log.warning("schedules wait: the store failed", count=self._stalled)
            self._stalled = 0
        return await self._until_next()

    async def _until_next(self) -> float:
        """Seconds until the next look; times of a crowd that is due soon are computed meanwhile."""
        if not self._heap:
            return self._patience
        left = self._left()
        if left <= 0 or len(self._heap) < CROWD:
            return left
        if left > AHEAD.total_seconds():
            return left - AHEAD.total_seconds()
        await self._foresight.look_ahead(self._heap, to_micros(self._clock.now()))
        return self._left()

    def _left(self) -> float:
        return min((self._heap[0][0] - to_micros(self._clock.now())) / 1e6, self._patience)

    def _take_due(self) -> list[Key]:
        now = to_micros(self._clock.now())
        due: list[Key] = []
        while self._heap and len(due) < BATCH and self._heap[0][0] <= now:
            micros, _, key = heapq.heappop(self._heap)
            if self._wakes.get(key) == micros:
                del self._wakes[key]
                due.append(key)
        return due

    def _drop_stale(self) -> None:
        while self._heap and self._wakes.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    async def _look(self, keys: Sequence[Key]) -> dict[Key, datetime | None]:
        """Looks at some schedules in one transaction; says when to look again at each."""
        now = self._clock.now()
        known = self._foresight.take(keys)
        try:
            looked = await self._commits.run(lambda tx, after: look(tx, after, keys, now=now, known=known))
        except Unavailable:
            self._stalled += len(keys)
            return dict.fromkeys(keys, now + timedelta(seconds=STORE_RETRY))
        except Exception as error:  # noqa: BLE001 - it is told, with its agent in ERROR
            if len(keys) > 1:  # one of them can't be written, so none has been: each by itself
                alone = await asyncio.gather(*(self._look([key]) for key in keys))
                return {key: wake for one in alone for key, wake in one.items()}
            looked = [Looked(fault=error)]
        wakes = {key: one.wake for key, one in zip(keys, looked, strict=True)}
        faults = {key: one.fault for key, one in zip(keys, looked, strict=True) if one.fault is not None}
        again = await asyncio.gather(*(self._fail(key, fault) for key, fault in faults.items()))
        wakes.update(zip(faults, again, strict=True))
        return wakes

    async def _fail(self, key: Key, fault: Exception) -> datetime | None:
        """A schedule that can't be planned puts its agent in ERROR and leaves the others alone."""
        agent_id, trigger_id = key
        log.error("a schedule can't be planned", agent_id=agent_id, trigger_id=trigger_id, exc_info=fault)
        now = self._clock.now()
        reason = f"schedule_error: {trigger_id}: {fault}"[:MAX_REASON]

        def unit(tx: Transaction, after: After) -> None:
            fail_agent(tx, after, agent_id, reason=reason, now=now)

        try:
            await self._commits.run(unit)
        except Unavailable:
            return now + timedelta(seconds=STORE_RETRY)  # it is planned again, and fails again
        except Exception:
            log.exception("an agent can't be taken to ERROR", agent_id=agent_id)
        return None
