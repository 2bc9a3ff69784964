"""Publishing on a desk: triggers in short, and a look at what became of events."""

from nightcrew.crew.commits import Claimed
from nightcrew.crew.publishing import publish
from nightcrew.crew.settle import Settled, settle
from nightcrew.domain.event import NewEvent
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.page import ListQuery
from nightcrew.domain.verdict import Verdict

SUCCEEDED = "nightcrew.execution.succeeded"
POLICY = "OVERLAP_POLICY_{}".format


def on(*types, trigger_id="event", overlap=None, given=None, **match):
    trigger = {"id": trigger_id, "event": {"types": list(types), **match}}
    if overlap:
        trigger["overlap"] = POLICY(overlap)
    if given:
        trigger["input"] = given
    return trigger


class Press:
    """Publishes on a desk, and reads what became of it."""

    def __init__(self, desk):
        self.desk = desk
        self._count = 0

    def event(self, kind="shop.order", **fields):
        self._count += 1
        values = {"source": "/shop", "time": self.desk.now, "id": f"e{self._count}", "data": "{}"}
        return NewEvent(type=kind, **(values | fields))

    async def publish(self, *kinds, **fields):
        events = [self.event(kind, **fields) for kind in kinds or ("shop.order",)]
        return await self.desk.do(lambda tx, after, now: [publish(tx, after, e, now=now) for e in events])

    async def executions(self, agent_id=""):
        page = await self.desk.store.reads.executions(ListQuery(page_size=1000))
        return [one for one in reversed(page.items) if agent_id in {"", one.agent_id}]

    async def fires(self):
        page = await self.desk.store.reads.fires(ListQuery(page_size=1000))
        return [(one.agent_id, one.outcome, one.count, one.reason) for one in reversed(page.items)]

    async def end(self, agent_id, event=ExecutionEvent.SUCCEED, result="1"):
        """Ends the agent's run that runs, and gives the execution."""

        def unit(tx, after, now):
            running = [one for one in tx.executions.open(agent_id) if one.state is ExecutionState.RUNNING]
            claimed = Claimed(running[0], tx.agents.get(agent_id), None)
            settle(tx, after, Settled(claimed, Verdict(event), result=result), now=now)
            return running[0]

        return await self.desk.do(unit)

    async def lags(self, agent_id="a"):
        return await self.desk.read(lambda tx: tx.lags.of(agent_id))
