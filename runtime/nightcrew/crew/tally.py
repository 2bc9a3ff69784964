"""The ledger of event triggers: a row for events that got no execution, equal ones counted together."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.ports.store import Transaction

TOGETHER: Final = timedelta(hours=1)
"""How long a row goes on counting: a flood is one row an hour, not one an event."""
_MICRO: Final = timedelta(microseconds=1)


def tally(
    tx: Transaction,
    agent_id: str,
    trigger_id: str,
    outcome: FireOutcome,
    *,
    reason: str,
    now: datetime,
    count: int = 1,
) -> None:
    """Counts events that a trigger matched and did not run for.

    A row's nominal times are when its events were looked at; rows of a trigger never overlap.
    """
    fire = Fire(
        agent_id=agent_id,
        trigger_id=trigger_id,
        nominal_time=now,
        last_nominal_time=now,
        actual_time=now,
        outcome=outcome,
        reason=reason,
        count=count,
    )
    last = tx.fires.last(agent_id, trigger_id)
    if last is None:
        tx.fires.record(fire)
    elif (last.outcome, last.reason) == (outcome, reason) and now - last.nominal_time < TOGETHER:
        ended = max(now, last.last_nominal_time)
        tx.fires.replace(
            last, [replace(last, last_nominal_time=ended, actual_time=now, count=last.count + count)]
        )
    else:
        begun = max(now, last.last_nominal_time + _MICRO)
        tx.fires.record(replace(fire, nominal_time=begun, last_nominal_time=begun))
