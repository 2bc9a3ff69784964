"""An agent's actor: takes wake-ups one at a time, claims its work, and leaves when there is none.

It is virtual (as in Orleans): an idle agent is a row; the directory makes its actor when there is work.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

import structlog

from nightcrew.actor.mailbox import Mailbox
from nightcrew.crew.claims import Claim, claim_by_id
from nightcrew.crew.commits import After, Claimed, Commits
from nightcrew.crew.executor import Executor
from nightcrew.domain.errors import Unavailable
from nightcrew.domain.verdict import Asked
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction


class Flag(Enum):
    """What an actor is told: flags that coalesce, without data; the table is the truth."""

    WORK = auto()
    """There may be work."""
    CHANGED = auto()
    """The agent itself has changed: its places may have."""
    CANCEL = auto()
    """A run bears a new cancel mark."""
    LEAVE = auto()
    """Others need its place in memory: leave unless there is work."""


CAPACITY: Final = len(Flag)
"""Flags coalesce, so a mailbox never holds more than one of each."""
STORE_RETRY: Final = 1.0
"""Seconds between tries while the store fails."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Boss(Protocol):
    """What an actor tells of itself; all are called on the loop."""

    def rests(self, actor: "AgentActor") -> None:
        """It has nothing to do, and stays until it is told to leave."""

    def left(self, actor: "AgentActor") -> None:
        """It ends now."""

    def crashed(self, actor: "AgentActor") -> None:
        """It begins anew after a crash."""

    def ended(self, agent_id: str, claim: Claim) -> None:
        """A run of the agent has ended."""


class AgentActor:
    """One agent at work.

    Args:
        agent_id: Whose actor it is.
        commits: The way to the store.
        executor: Where its runs are.
        clock: For waits while the store fails.
        boss: The directory: what it tells of itself.
        claims: Whether it looks for work as it begins; one that is made to take runs need not, as what else
            there is was told with them.
    """

    __slots__ = (
        "_boss",
        "_busy",
        "_claims",
        "_clock",
        "_commits",
        "_executor",
        "_lives",
        "_places",
        "agent_id",
        "mailbox",
    )

    def __init__(
        self,
        agent_id: str,
        *,
        commits: Commits,
        executor: Executor,
        clock: Clock,
        boss: "Boss",
        claims: bool = True,
    ) -> None:
        self.agent_id = agent_id
        self._commits = commits
        self._executor = executor
        self._clock = clock
        self._boss = boss
        self._claims = claims
        self._lives = 0
        self._busy = False
        self._places = 0
        self.mailbox: Mailbox[Flag] = Mailbox(agent_id, CAPACITY, coalesce=_same)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Claims, then serves its mailbox until it may leave; begun anew after a crash it looks at everything."""
        self._lives += 1
        if self._lives > 1:
            self._boss.crashed(self)
            self.mailbox.put(Flag.CANCEL)
        ready()
        if self._claims or self._lives > 1:
            await self._handle(Flag.CHANGED)
        while True:
            self._rest_if_idle()
            flag = await self.mailbox.receive()
            if flag is Flag.LEAVE and self._idle:
                # From here to the end nothing else runs: whoever has something to tell makes a new actor.
                self._boss.left(self)
                return
            await self._handle(flag if isinstance(flag, Flag) else Flag.CHANGED)

    async def _handle(self, flag: Flag) -> None:
        self._busy = True
        try:
            match flag:
                case Flag.WORK if not self._full:
                    await self._claim()
                case Flag.CHANGED:
                    await self._claim()
                case Flag.CANCEL:
                    await self._cancel()
                case _:
                    pass  # LEAVE while there is something to do, or work that the end of a run will claim
        finally:
            self._busy = False

    def adopt(self, runs: Sequence[Claimed]) -> None:
        """Starts runs that are claimed."""
        for claimed in runs:
            self._executor.start(claimed, self._boss.ended)

    def ended(self, claim: Claim) -> None:
        """A run has ended, on disk, and this was claimed in its place."""
        self._take(claim)
        if not self._busy:
            self._rest_if_idle()

    def _take(self, claim: Claim) -> None:
        self._places = claim.places
        self.adopt(claim.runs)
        if claim.more:
            self.mailbox.put(Flag.CHANGED)

    @property
    def _idle(self) -> bool:
        return not self._executor.count(self.agent_id) and not len(self.mailbox)

    @property
    def _full(self) -> bool:
        return 0 < self._places <= self._executor.count(self.agent_id)

    def _rest_if_idle(self) -> None:
        if self._idle:
            self._boss.rests(self)

    async def _claim(self) -> None:
        def unit(tx: Transaction, after: After, now: datetime) -> Claim:
            return claim_by_id(tx, after, self.agent_id, now=now)

        self._take(await self._until_written(unit))

    async def _cancel(self) -> None:
        """Finds out which of its runs bear a cancel mark, and asks them to end."""
        mine = self._executor.runs_of(self.agent_id)

        def unit(tx: Transaction, _after: After, _now: datetime) -> list[str]:
            found = (tx.executions.get(execution_id) for execution_id in mine)
            return [one.id for one in found if one is not None and one.cancel_requested]

        for execution_id in await self._until_written(unit):
            self._executor.ask(execution_id, Asked.CANCEL)

    async def _until_written(self, unit: Callable[[Transaction, After, datetime], T]) -> T:
        """What a unit gives once the store takes it: a store that fails for a while is no fault of the agent's."""
        while True:
            now = self._clock.now()
            try:
                return await self._commits.run(lambda tx, after: unit(tx, after, now))  # noqa: B023 - run before the loop goes round
            except Unavailable as error:
                log.warning("an agent waits: the store failed", agent_id=self.agent_id, error=error.message)
                await self._clock.sleep(STORE_RETRY)


def _same(flag: Flag) -> Flag:
    return flag
