"""What becomes of lags when their agent or their trigger changes, in the transaction that changes it."""

from nightcrew.crew.commits import After
from nightcrew.domain.agent import Agent
from nightcrew.ports.store import Transaction


def drop_lags(tx: Transaction, after: After, agent_id: str, *, reason: str) -> None:
    """The agent was stopped: what waits for it in the log ends as what waits in its backlog does."""
    if tx.lags.lagging(agent_id):
        tx.lags.drop(agent_id, until=tx.events.newest(), reason=reason)
        after.lags.append(agent_id)


def sync_lags(tx: Transaction, after: After, agent: Agent, old: Agent) -> None:
    """A changed trigger begins now: what it matched before is still given, as its backlog is still run."""
    if not tx.lags.lagging(agent.id):
        return
    now = {one.id: one for one in agent.spec.triggers if one.event is not None}
    for trigger in old.spec.triggers:
        if trigger.event is None:
            continue
        changed = now.get(trigger.id)
        if changed is None:
            tx.lags.drop(agent.id, trigger.id, until=tx.events.newest(), reason="the trigger was removed")
        elif changed.disabled or changed.event != trigger.event:
            tx.lags.close(agent.id, trigger.id, until=tx.events.newest())
    after.lags.append(agent.id)
