"""What the keepers' tests share: a store that refuses writes for a while."""

import sqlite3

import pytest
from tests.keepers.support.outside import Outside
from tests.peer.receiver import Receiver

from nightcrew.store.sqlite import connection


class Failing:
    """Makes a store refuse every write while it is entered: another process holds the file."""

    def __init__(self, store):
        self._path = store._path
        self._other = None

    async def __aenter__(self):
        self._other = sqlite3.connect(self._path, isolation_level=None)
        self._other.execute("BEGIN IMMEDIATE")

    async def __aexit__(self, *_):
        self._other.close()


@pytest.fixture
def failing(monkeypatch):
    """Take it before the store is opened: it waits less long for the other process."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    return Failing


@pytest.fixture
def outside(tmp_path, monkeypatch):
    return Outside(tmp_path, monkeypatch)


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made
