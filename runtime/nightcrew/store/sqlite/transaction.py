"""One unit of work's view of the store: the tables, each on the writer's connection."""

import sqlite3

from nightcrew.ports.secrets import Secrets
from nightcrew.store.sqlite.agents import Agents
from nightcrew.store.sqlite.backfills import Backfills
from nightcrew.store.sqlite.chains import Chains
from nightcrew.store.sqlite.event_calls import EventCalls
from nightcrew.store.sqlite.event_triggers import EventTriggers
from nightcrew.store.sqlite.events import Events
from nightcrew.store.sqlite.executions import Executions
from nightcrew.store.sqlite.fires import Fires
from nightcrew.store.sqlite.hooks import Hooks
from nightcrew.store.sqlite.keys import Keys
from nightcrew.store.sqlite.lags import Lags
from nightcrew.store.sqlite.logs import Logs
from nightcrew.store.sqlite.outbound import Outbound
from nightcrew.store.sqlite.places import Places
from nightcrew.store.sqlite.pools import Pools
from nightcrew.store.sqlite.requests import Requests
from nightcrew.store.sqlite.residents import Residents
from nightcrew.store.sqlite.retention import Retention
from nightcrew.store.sqlite.signal_urls import SignalUrls
from nightcrew.store.sqlite.skips import Skips
from nightcrew.store.sqlite.steps import Steps
from nightcrew.store.sqlite.usage import Usage


class SqliteTransaction:
    """Implements ports.store.Transaction; one serves all units, since they run one after another."""

    __slots__ = (
        "_execute",
        "_places",
        "agents",
        "backfills",
        "chains",
        "event_calls",
        "event_triggers",
        "events",
        "executions",
        "fires",
        "hooks",
        "keys",
        "lags",
        "logs",
        "outbound",
        "pools",
        "requests",
        "residents",
        "retention",
        "signal_urls",
        "skips",
        "steps",
        "usage",
    )

    def __init__(self, connection: sqlite3.Connection, vault: Secrets | None = None) -> None:
        self._execute = connection.cursor().execute
        self.event_triggers = EventTriggers(connection)
        self.lags = Lags(connection)
        self._places = Places(connection)
        self.agents = Agents(connection, self.event_triggers, self.lags, self._places)
        self.chains = Chains(connection)
        self.executions = Executions(connection, self._places)
        self.events = Events(connection)
        self.event_calls = EventCalls(connection)
        self.logs = Logs(connection)
        self.fires = Fires(connection)
        self.signal_urls = SignalUrls(connection)
        self.skips = Skips(connection)
        self.steps = Steps(connection)
        self.backfills = Backfills(connection)
        self.hooks = Hooks(connection, vault)
        self.outbound = Outbound(connection)
        self.pools = Pools(connection)
        self.keys = Keys(connection)
        self.usage = Usage(connection)
        self.requests = Requests(connection)
        self.residents = Residents(connection)
        self.retention = Retention(connection)

    def undone(self) -> None:
        """Forgets what was read from the tables: a write of this transaction was undone."""
        self.agents.forget_all()
        self.skips.forget_all()
        self.steps.forget_all()
        self.lags.forget_all()
        self.keys.forget_all()
        self.event_calls.forget_all()
        self._places.forget_all()
        self.event_triggers.undone()

    def committed(self) -> None:
        """What was written is on disk."""
        self.event_triggers.committed()

    def forget_all(self) -> None:
        """Forgets what was read from the tables: another process may have written."""
        self.undone()
        self.event_triggers.forget_all()

    def meta(self, key: str) -> str | None:
        """A fact about the store itself."""
        row = self._execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keeps a fact about the store itself."""
        self._execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
