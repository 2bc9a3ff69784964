"""The directory: who is at work now, by agent id; makes an actor when an agent has work, forgets it when it leaves."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.errors import ActorStopped
from nightcrew.actor.supervisor import Supervisor
from nightcrew.crew.agent_actor import AgentActor, Flag
from nightcrew.crew.commits import After, Claimed, Commits
from nightcrew.crew.executor import Executor
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

RULE: Final = RestartRule(mode=RestartMode.TRANSIENT)
"""An actor that fails is restarted; past the intensity its agent goes to ERROR and nothing escalates."""

LINGERING: Final = 1000
"""How many actors without work are kept for the next: making one costs more than keeping one (5 KB)."""

log = structlog.get_logger(__name__)


class Directory:
    """Hands wake-ups to agents' actors; an idle agent has none and costs nothing here."""

    def __init__(self, *, supervisor: Supervisor, commits: Commits, executor: Executor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._commits = commits
        self._executor = executor
        self._clock = clock
        self._actors: dict[str, AgentActor] = {}
        self._restarts: dict[str, int] = {}
        self._idle: OrderedDict[str, AgentActor] = OrderedDict()
        self._closed = False

    def claimed(self, agent_id: str, runs: Sequence[Claimed]) -> None:
        """Runs were claimed as they were admitted: the agent's actor takes them."""
        actor = self._actors.get(agent_id) or self._make(agent_id)
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

    def close(self) -> None:
        """Nothing is started from now on: what is queued stays queued (a drain)."""
        self._closed = True
        self._commits.stop_claiming()

    @property
    def size(self) -> int:
        """How many agents are at work."""
        return len(self._actors)

    def restarts(self, agent_id: str) -> int:
        """How often the agent's actor was restarted since the runtime started."""
        return self._restarts.get(agent_id, 0)

    def _tell(self, agent_id: str, flag: Flag) -> None:
        actor = self._actors.get(agent_id)
        if actor is None and not self._closed:
            actor = self._make(agent_id)  # it claims as it begins
            if flag is Flag.WORK:
                return
        if actor is not None:
            actor.mailbox.put(flag)

    def _make(self, agent_id: str) -> AgentActor | None:
        actor = AgentActor(
            agent_id,
            commits=self._commits,
            executor=self._executor,
            clock=self._clock,
            rest=self._rest,
            crashed=self._crashed,
        )
        try:
            self._supervisor.spawn(
                ChildSpec(id=agent_id, start=actor.serve, rule=RULE, on_give_up=self._give_up)
            )
        except ActorStopped:
            return None  # the supervisor starts or stops: the rescuer's sweep tells again
        self._actors[agent_id] = actor
        return actor

    def _rest(self, actor: AgentActor) -> None:
        """An actor has nothing to do: it lingers, and the one that has done so longest leaves for it."""
        self._idle[actor.agent_id] = actor
        self._idle.move_to_end(actor.agent_id)
        while len(self._idle) > LINGERING:
            agent_id, oldest = self._idle.popitem(last=False)
            if oldest.leave() and self._actors.get(agent_id) is oldest:
                del self._actors[agent_id]

    def _crashed(self, agent_id: str) -> None:
        self._restarts[agent_id] = self._restarts.get(agent_id, 0) + 1

    def _give_up(self, agent_id: str, error: BaseException | None) -> None:
        """The actor failed too often: its agent goes to ERROR, through the store as everything else."""
        self._actors.pop(agent_id, None)
        self._idle.pop(agent_id, None)
        log.error("an agent's actor was given up", agent_id=agent_id, error=repr(error))
        self._executor.do(self._fail(agent_id), name=f"give up {agent_id}")

    async def _fail(self, agent_id: str) -> None:
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> None:
            fail_agent(tx, after, agent_id, reason="restart_intensity", now=now)

        await self._commits.run(unit)
