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
    """New and changed schedules begin now: an update is never retroactive.

    What counts for `max_fires` stays with the trigger, through changes and while it is disabled; a trigger that
    is gone takes its cursor along. Skips name times of one schedule: another one starts without them.
    """
    before = schedules_of(old) if old is not None else {}
    if old is not None:
        ids = {trigger.id for trigger in agent.spec.triggers if trigger.schedule is not None}
        for trigger in old.spec.triggers:
            if trigger.schedule is not None and trigger.id not in ids:
                tx.fires.drop_cursor(agent.id, trigger.id)
    wanted = schedules_of(agent)
    for trigger_id, schedule in before.items():
        if wanted.get(trigger_id) != schedule:
            tx.skips.drop(agent.id, trigger_id)
    for trigger_id, schedule in wanted.items():
        if before.get(trigger_id) == schedule:
            continue
        kept = tx.fires.cursor(agent.id, trigger_id) if old is not None else None
        tx.fires.set_cursor(
            ScheduleCursor(
                agent_id=agent.id,
                trigger_id=trigger_id,
                cursor=now,
                fires=kept.fires if kept is not None else 0,
                generation=agent.generation,
            )
        )
