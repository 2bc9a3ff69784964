"""The tables of webhooks: secrets, sealed on their way in and opened on their way out, and deliveries."""

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import SecretUnavailable
from nightcrew.domain.values import decode, encode
from nightcrew.ports.secrets import Secrets

SECRETS: Final = "SELECT sealed FROM webhook_secrets WHERE agent_id = ? AND trigger_id = ?"
SOME_SECRETS: Final = "SELECT agent_id, trigger_id, sealed FROM webhook_secrets LIMIT 1000"
_KEEP: Final = "INSERT OR REPLACE INTO webhook_secrets (agent_id, trigger_id, sealed) VALUES (?, ?, ?)"
_DROP: Final = "DELETE FROM webhook_secrets WHERE agent_id = ? AND trigger_id = ?"
_DELIVERED: Final = (
    "SELECT execution_id FROM webhook_deliveries"
    " WHERE agent_id = ? AND trigger_id = ? AND delivery = ? AND time >= ?"
)
# Replacing: one that is too old to count may not be pruned yet.
_REMEMBER: Final = (
    "INSERT OR REPLACE INTO webhook_deliveries (agent_id, trigger_id, delivery, execution_id, time)"
    " VALUES (?, ?, ?, ?, ?)"
)
_FORGET: Final = (
    "DELETE FROM webhook_deliveries WHERE seq IN"
    " (SELECT seq FROM (SELECT seq, time FROM webhook_deliveries ORDER BY seq LIMIT ?) WHERE time < ?)"
)
_DIGEST_BYTES: Final = 16


class Hooks:
    """Webhooks, within a transaction.

    Args:
        connection: The writer's.
        vault: What seals; without it no secret can be kept.
    """

    __slots__ = ("_execute", "_vault")

    def __init__(self, connection: sqlite3.Connection, vault: Secrets | None) -> None:
        self._execute = connection.cursor().execute
        self._vault = vault

    def secrets(self, agent_id: str, trigger_id: str) -> tuple[str, ...]:
        """The secrets of a trigger; none if it has none."""
        row = self._execute(SECRETS, (agent_id, trigger_id)).fetchone()
        return () if row is None else opened(self._vault, row[0], agent_id, trigger_id)

    def keep_secrets(self, agent_id: str, trigger_id: str, secrets: Sequence[str]) -> None:
        """Puts these in the place of the trigger's secrets, encrypted."""
        text, place = encode(list(secrets)), _place(agent_id, trigger_id)
        sealed = _there(self._vault).seal(text, bound_to=place)
        self._execute(_KEEP, (agent_id, trigger_id, sealed))

    def drop_secrets(self, agent_id: str, trigger_id: str) -> None:
        """Forgets the secrets of a trigger."""
        self._execute(_DROP, (agent_id, trigger_id))

    def delivered(self, agent_id: str, trigger_id: str, deliveries: Sequence[str], *, since: datetime) -> str:
        """The execution that one of these deliveries was answered with at or after `since`; empty if none was."""
        for delivery in deliveries:
            values = (agent_id, trigger_id, _digest(delivery), to_micros(since))
            row = self._execute(_DELIVERED, values).fetchone()
            if row is not None:
                return str(row[0])
        return ""

    def remember(
        self, agent_id: str, trigger_id: str, deliveries: Sequence[str], execution_id: str, *, now: datetime
    ) -> None:
        """Keeps what a delivery was answered with, under each of its names."""
        for delivery in deliveries:
            values = (agent_id, trigger_id, _digest(delivery), execution_id, to_micros(now))
            self._execute(_REMEMBER, values)

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes deliveries older than `before`, the first of at most so many; returns how many."""
        return self._execute(_FORGET, (limit, to_micros(before))).rowcount


def opened(vault: Secrets | None, sealed: bytes, agent_id: str, trigger_id: str) -> tuple[str, ...]:
    """The secrets in a row.

    Raises:
        SecretUnavailable: They don't open.
    """
    return tuple(decode(_there(vault).open(sealed, bound_to=_place(agent_id, trigger_id))))


def _there(vault: Secrets | None) -> Secrets:
    if vault is None:
        raise SecretUnavailable("this store was opened without a key: it keeps no secrets")
    return vault


def _place(agent_id: str, trigger_id: str) -> str:
    return f"webhook_secrets/{agent_id}/{trigger_id}"


def _digest(delivery: str) -> bytes:
    """What a sender calls a delivery may be long; half of SHA-256 tells any two apart."""
    return hashlib.sha256(delivery.encode()).digest()[:_DIGEST_BYTES]
