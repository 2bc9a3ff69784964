"""The cursors of an agent's schedule triggers, kept in step with its spec in the spec's own transaction."""

from datetime import datetime

from nightcrew.domain.agent import Agent
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.ports.store import Transaction


def schedules_of(agent: Agent) -> dict[str, Schedule]:
    """The enabled schedule triggers by their ids."""
    return {t.id: t.schedule for t in agent.spec.triggers if t.schedule is not None and not t.disabled}


def sync_cursors(tx: Transaction, agent: Agent, old: Agent | None, *, now: datetime) -> None:
    """New and changed schedules begin now (an update is never retroactive), those that are gone lose their cursor."""
    before = schedules_of(old) if old is not None else {}
    wanted = schedules_of(agent)
    for trigger_id in before.keys() - wanted.keys():
        tx.fires.drop_cursor(agent.id, trigger_id)
    for trigger_id, schedule in wanted.items():
        if before.get(trigger_id) == schedule:
            continue
        tx.fires.set_cursor(
            ScheduleCursor(agent_id=agent.id, trigger_id=trigger_id, cursor=now, generation=agent.generation)
        )
