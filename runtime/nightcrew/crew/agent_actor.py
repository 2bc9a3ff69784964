"""An agent's actor: takes wake-ups one at a time, claims its work, and leaves when there is none.

It is virtual (as in Orleans): an idle agent is a row; the directory makes its actor when there is work.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

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
"""Seconds between tries to claim while the store fails."""

log = structlog.get_logger(__name__)


class AgentActor:
    """One agent at work.

    Args:
        rest: Called when the actor has nothing to do; it stays until `leave` is called.
        crashed: Called when it begins anew after a crash.
    """

    __slots__ = (
        "_agent_id",
        "_busy",
        "_clock",
        "_commits",
        "_crashed",
        "_executor",
        "_left",
        "_lives",
        "_places",
        "_rest",
        "mailbox",
    )

    def __init__(
        self,
        agent_id: str,
        *,
        commits: Commits,
        executor: Executor,
        clock: Clock,
        rest: Callable[["AgentActor"], None],
        crashed: Callable[[str], None],
    ) -> None:
        self._agent_id = agent_id
        self._commits = commits
        self._executor = executor
        self._clock = clock
        self._rest = rest
        self._left = False
        self._crashed = crashed
        self._lives = 0
        self._busy = False
        self._places = 0
        self.mailbox: Mailbox[Flag] = Mailbox(agent_id, CAPACITY, coalesce=_same)

    @property
    def agent_id(self) -> str:
        """Whose actor it is."""
        return self._agent_id

    async def serve(self, ready: Callable[[], None]) -> None:
        """Claims, then serves its mailbox until it is told to leave; begun anew after a crash, it claims first."""
        if self._lives:
            self._crashed(self._agent_id)
        self._lives += 1
        ready()
        await self._handle(Flag.CHANGED)
        while not self._left:
            if not self._working and not len(self.mailbox):
                self._rest(self)
            flag = await self.mailbox.receive()
            await self._handle(flag if isinstance(flag, Flag) else Flag.CHANGED)

    async def _handle(self, flag: Flag) -> None:
        self._busy = True
        try:
            match flag:
                case Flag.WORK if not self._full():
                    await self._claim()
                case Flag.CHANGED:
                    await self._claim()
                case Flag.CANCEL:
                    await self._cancel()
                case _:
                    pass  # LEAVE, or work that the end of a run will claim
        finally:
            self._busy = False

    @property
    def _working(self) -> int:
        return self._executor.count(self._agent_id)

    def adopt(self, runs: Sequence[Claimed]) -> None:
        """Starts runs that were claimed as they were admitted."""
        for claimed in runs:
            self._executor.start(claimed, self._ended)

    def leave(self) -> bool:
        """Ends the actor if it has nothing to do; from then on a tell makes a new one."""
        if self._busy or self._working or len(self.mailbox):
            return False
        self._left = True
        self.mailbox.put(Flag.LEAVE)
        return True

    def _full(self) -> bool:
        return 0 < self._places <= self._working

    async def _claim(self) -> None:
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Claim:
            return claim_by_id(tx, after, self._agent_id, now=now)

        while True:
            try:
                self._start(await self._commits.run(unit))
            except Unavailable as error:
                log.warning("an agent waits: the store failed", agent_id=self._agent_id, error=error.message)
                await self._clock.sleep(STORE_RETRY)
            else:
                return

    def _start(self, claim: Claim) -> None:
        self._places = claim.places
        self.adopt(claim.runs)
        if claim.more:
            self.mailbox.put(Flag.CHANGED)

    def _ended(self, claim: Claim) -> None:
        self._start(claim)
        if not (self._busy or self._working or len(self.mailbox)):
            self._rest(self)

    async def _cancel(self) -> None:
        """Finds out which of its runs bear a cancel mark, and asks them to end."""
        mine = self._executor.runs_of(self._agent_id)

        def unit(tx: Transaction, _after: After) -> list[str]:
            found = (tx.executions.get(execution_id) for execution_id in mine)
            return [one.id for one in found if one is not None and one.cancel_requested]

        for execution_id in await self._commits.run(unit):
            self._executor.ask(execution_id, Asked.CANCEL)


def _same(flag: Flag) -> Flag:
    return flag
