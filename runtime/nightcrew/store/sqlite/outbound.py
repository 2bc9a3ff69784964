"""The tables of outbound hooks and of deliveries that were not taken yet."""

import sqlite3
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.delivery import Delivery, DeliveryState, HookState
from nightcrew.domain.durations import from_micros, to_micros

# ruff: noqa: S608 - the SQL is put together from constants of this room only

HOOK_COLUMNS: Final = "name, cursor, url, create_time, disabled"
COLUMNS: Final = (
    "hook, sequence, event_type, state, attempts, next_attempt_time, last_attempt_time, status, reason,"
    " create_time"
)
RETRYING: Final = "state = 'STATE_RETRYING'"
DEAD: Final = "state = 'STATE_DEAD'"
_PUT: Final = (
    f"INSERT INTO outbound_deliveries ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(',')))})"
    " ON CONFLICT (hook, sequence) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,"
    " next_attempt_time = excluded.next_attempt_time, last_attempt_time = excluded.last_attempt_time,"
    " status = excluded.status, reason = excluded.reason"
)
_REVIVE: Final = (
    "UPDATE outbound_deliveries SET state = ?, attempts = 0, next_attempt_time = ? WHERE hook = ?"
)
_FORGET: Final = (
    "DELETE FROM outbound_deliveries WHERE seq IN"
    f" (SELECT seq FROM outbound_deliveries WHERE {DEAD} AND last_attempt_time < ? LIMIT ?)"
)


class Outbound:
    """Outbound hooks and their deliveries, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def hook(self, name: str) -> HookState | None:
        """How far a hook has got; None if there never was one of that name."""
        row = self._execute(f"SELECT {HOOK_COLUMNS} FROM outbound_hooks WHERE name = ?", (name,)).fetchone()
        return None if row is None else hook_of(row)

    def put_hook(self, hook: HookState) -> None:
        """Adds or replaces a hook."""
        values = (hook.name, hook.cursor, hook.url, to_micros(hook.create_time), hook.disabled)
        self._execute(
            f"INSERT OR REPLACE INTO outbound_hooks ({HOOK_COLUMNS}) VALUES (?, ?, ?, ?, ?)", values
        )

    def advance(self, name: str, cursor: int) -> None:
        """Moves a hook's cursor forward."""
        self._execute("UPDATE outbound_hooks SET cursor = max(cursor, ?) WHERE name = ?", (cursor, name))

    def delivery(self, hook: str, sequence: int) -> Delivery | None:
        """The delivery of an event by a hook, if it has one."""
        sql = f"SELECT {COLUMNS} FROM outbound_deliveries WHERE hook = ? AND sequence = ?"
        row = self._execute(sql, (hook, sequence)).fetchone()
        return None if row is None else delivery_of(row)

    def put(self, delivery: Delivery) -> None:
        """Adds a delivery, or replaces that of the same hook and event."""
        due = delivery.next_attempt_time
        values = (
            delivery.hook,
            delivery.sequence,
            delivery.event_type,
            str(delivery.state),
            delivery.attempts,
            None if due is None else to_micros(due),
            to_micros(delivery.last_attempt_time),
            delivery.status,
            delivery.reason,
            to_micros(delivery.create_time),
        )
        self._execute(_PUT, values)

    def remove(self, hook: str, sequence: int) -> None:
        """Removes a delivery: it was taken."""
        self._execute("DELETE FROM outbound_deliveries WHERE hook = ? AND sequence = ?", (hook, sequence))

    def revive(self, hook: str, *, sequence: int = 0, now: datetime) -> int:
        """That of one event, or all DEAD ones of the hook → RETRYING, due now, from the first attempt on."""
        which = "sequence = ?" if sequence else DEAD
        values = [str(DeliveryState.RETRYING), to_micros(now), hook, *([sequence] if sequence else ())]
        return self._execute(f"{_REVIVE} AND {which}", values).rowcount

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes DEAD deliveries that were tried last before that, at most so many; returns how many."""
        return self._execute(_FORGET, (to_micros(before), limit)).rowcount


def hook_of(row: tuple[Any, ...]) -> HookState:
    """The hook of a row that was selected by `HOOK_COLUMNS`."""
    name, cursor, url, create_time, disabled = row
    return HookState(
        name=name, cursor=cursor, url=url, create_time=from_micros(create_time), disabled=disabled
    )


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """The delivery of a row that was selected by `COLUMNS`."""
    hook, sequence, event_type, state, attempts, due, last, status, reason, create_time = row
    return Delivery(
        hook=hook,
        sequence=sequence,
        event_type=event_type,
        state=DeliveryState(state),
        attempts=attempts,
        next_attempt_time=None if due is None else from_micros(due),
        last_attempt_time=from_micros(last),
        status=status,
        reason=reason,
        create_time=from_micros(create_time),
    )
