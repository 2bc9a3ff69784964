"""The directory: who is at work now, by agent id; makes an actor when an agent has work, forgets it when it leaves."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from nightcrew.actor.child import ChildSpec, Ready
from nightcrew.actor.errors import ActorStopped
from nightcrew.actor.supervisor import Supervisor
from nightcrew.crew.agent_actor import STORE_RETRY, AgentActor, Flag
from nightcrew.crew.claims import Claim
from nightcrew.crew.commits import Claimed, Commits
from nightcrew.crew.executor import Executor
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.errors import Unavailable
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.ports.clock import Clock

RULE: Final = RestartRule(mode=RestartMode.TRANSIENT)
"""An actor that fails is restarted; past the intensity its agent goes to ERROR and nothing escalates."""

LINGERING: Final = 1000
"""How many actors without work are kept for the next: making one costs more than keeping one (5 KB)."""

log = structlog.get_logger(__name__)


class Directory:
    """Hands wake-ups to agents' actors; an idle agent has none and costs nothing here.

    Args:
        supervisor: Of the actors; `as_child` puts it in the tree.
        commits: Its units tell through here what they noted.
        executor: Where runs are.
        clock: For waits while the store fails.
        lingering: How many actors without work are kept.
    """

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        commits: Commits,
        executor: Executor,
        clock: Clock,
        lingering: int = LINGERING,
    ) -> None:
        self._supervisor = supervisor
        self._commits = commits
        self._executor = executor
        self._clock = clock
        self._lingering = lingering
        self._actors: dict[str, AgentActor] = {}
        self._restarts: dict[str, int] = {}
        self._idle: OrderedDict[str, AgentActor] = OrderedDict()
        self._closed = False

    def as_child(self) -> ChildSpec:
        """The actors as a part of the tree."""
        return replace(self._supervisor.as_child(), start=self._serve)

    async def _serve(self, ready: Ready) -> None:
        self._actors.clear()  # a life before this one left actors that have ended
        self._idle.clear()
        self._commits.claiming = not self._closed
        try:
            await self._supervisor.run(ready)
        finally:
            self._commits.claiming = False  # nobody is left to start what would be claimed

    def close(self) -> None:
        """Nothing is started from now on: what is queued stays queued (a drain)."""
        self._closed = True
        self._commits.claiming = False

    @property
    def size(self) -> int:
        """How many agents have an actor."""
        return len(self._actors)

    def restarts(self, agent_id: str) -> int:
        """How often the agent's actor was restarted since the runtime started."""
        return self._restarts.get(agent_id, 0)

    # ---- what commits tell ---------------------------------------------------------------------------------

    def claimed(self, agent_id: str, runs: Sequence[Claimed]) -> None:
        """Runs were claimed as they were admitted: the agent's actor takes them."""
        actor = self._actors.get(agent_id) or self._make(agent_id, claims=False)
        if actor is not None:
            actor.adopt(runs)

    def work(self, agent_id: str) -> None:
        """There may be work for the agent."""
        self._tell(agent_id, Flag.WORK)

    def changed(self, agent_id: str) -> None:
        """The agent itself has changed."""
        self._tell(agent_id, Flag.CHANGED if agent_id in self._actors else Flag.WORK)

    def cancel(self, agent_id: str) -> None:
        """A run of the agent bears a new cancel mark."""
        self._tell(agent_id, Flag.CANCEL)

    def kill(self, execution_id: str) -> None:
        """A run bears a cancel mark and gets no grace."""
        self._executor.kill(execution_id)

    def arrived(self, execution_id: str) -> None:
        """A wait of a run is over while it runs."""
        self._executor.arrived(execution_id)

    def _tell(self, agent_id: str, flag: Flag) -> None:
        actor = self._actors.get(agent_id)
        if actor is None and not self._closed:
            actor = self._make(agent_id)  # it claims as it begins
            if flag is Flag.WORK:
                return
        if actor is not None:
            actor.mailbox.put(flag)

    def _make(self, agent_id: str, *, claims: bool = True) -> AgentActor | None:
        actor = AgentActor(
            agent_id,
            commits=self._commits,
            executor=self._executor,
            clock=self._clock,
            boss=self,
            claims=claims,
        )
        try:
            self._supervisor.spawn(
                ChildSpec(id=agent_id, start=actor.serve, rule=RULE, on_give_up=self._give_up)
            )
        except ActorStopped:
            return None  # the supervisor starts or stops: the rescuer's sweep tells again
        self._actors[agent_id] = actor
        return actor

    # ---- what actors tell ----------------------------------------------------------------------------------

    def rests(self, actor: AgentActor) -> None:
        """An actor has nothing to do: it lingers, and the one that has done so longest is told to leave for it."""
        self._idle[actor.agent_id] = actor
        self._idle.move_to_end(actor.agent_id)
        while len(self._idle) > self._lingering:
            self._idle.popitem(last=False)[1].mailbox.put(Flag.LEAVE)

    def left(self, actor: AgentActor) -> None:
        """An actor ends now; the next who has something to tell makes a new one."""
        self._forget(actor.agent_id)

    def crashed(self, actor: AgentActor) -> None:
        """An actor begins anew after a crash."""
        self._restarts[actor.agent_id] = self._restarts.get(actor.agent_id, 0) + 1

    def ended(self, agent_id: str, claim: Claim) -> None:
        """A run of the agent has ended; its actor, which may be another than began it, takes what was claimed."""
        actor = self._actors.get(agent_id)
        if actor is None and claim.runs:
            actor = self._make(agent_id)
        if actor is not None:
            actor.ended(claim)

    def _forget(self, agent_id: str) -> None:
        self._actors.pop(agent_id, None)
        self._idle.pop(agent_id, None)

    def _give_up(self, agent_id: str, error: BaseException | None) -> None:
        """The actor failed too often: its agent goes to ERROR, through the store as everything else."""
        self._forget(agent_id)
        log.error("an agent's actor was given up", agent_id=agent_id, error=repr(error))
        self._executor.do(self._fail(agent_id), name=f"give up {agent_id}")

    async def _fail(self, agent_id: str) -> None:
        while True:
            now = self._clock.now()
            try:
                await self._commits.run(
                    lambda tx, after: fail_agent(tx, after, agent_id, reason="restart_intensity", now=now)  # noqa: B023 - run before the loop goes round
                )
            except Unavailable as failure:
                log.warning(
                    "an agent's fault waits: the store failed", agent_id=agent_id, error=failure.message
                )
                await self._clock.sleep(STORE_RETRY)
            else:
                return
