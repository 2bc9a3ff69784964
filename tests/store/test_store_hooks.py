"""Webhooks in the store: secrets that only the key opens, and deliveries that are answered once for a week."""
# ruff: noqa: S105 - the secrets of a test are its data

from datetime import timedelta

import pytest

from nightcrew.domain.errors import SecretUnavailable
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.system.secrets import SystemSecrets
from nightcrew.testing.clock import ManualClock

SECRET = "hush-hush-hush"
WEEK = timedelta(days=7)


def a_store(folder, vault=None):
    return SqliteStore(folder, clock=ManualClock(), ids=SystemIds(), vault=vault or SystemSecrets(folder))


@pytest.fixture
async def kept(tmp_path):
    store = a_store(tmp_path)
    await store.open()
    await store.write(lambda tx: tx.hooks.keep_secrets("a", "github", [SECRET, "zwölf"]))
    yield store
    await store.close()


async def test_secrets_come_back_as_they_were(kept):
    assert await kept.reads.hook_secrets("a", "github") == (SECRET, "zwölf")
    assert await kept.write(lambda tx: tx.hooks.secrets("a", "github")) == (SECRET, "zwölf")
    assert await kept.reads.hook_secrets("a", "other") == ()
    await kept.write(lambda tx: tx.hooks.keep_secrets("a", "github", ["new"]))
    assert await kept.reads.hook_secrets("a", "github") == ("new",)
    await kept.write(lambda tx: tx.hooks.drop_secrets("a", "github"))
    assert await kept.reads.hook_secrets("a", "github") == ()


async def test_they_are_nowhere_in_the_files(kept, tmp_path):
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path


async def test_a_row_that_is_put_in_anothers_place_does_not_open(kept):
    moved = "UPDATE webhook_secrets SET agent_id = 'b'"
    await kept.write(lambda tx: tx._execute(moved))
    with pytest.raises(SecretUnavailable, match="does not open"):
        await kept.reads.hook_secrets("b", "github")
    with pytest.raises(SecretUnavailable, match="does not open"):
        await kept.write(lambda tx: tx.hooks.secrets("b", "github"))


async def test_without_the_key_they_are_lost_until_they_are_given_anew(kept, tmp_path):
    await kept.close()
    (tmp_path / "secret.key").unlink()
    store = a_store(tmp_path)
    await store.open()
    with pytest.raises(SecretUnavailable, match="is gone"):
        await store.reads.hook_secrets("a", "github")
    await store.write(lambda tx: tx.hooks.keep_secrets("a", "github", ["new"]))
    assert await store.reads.hook_secrets("a", "github") == ("new",)
    await store.close()


async def test_a_store_without_a_vault_keeps_none(tmp_path):
    store = SqliteStore(tmp_path, clock=ManualClock(), ids=SystemIds())
    await store.open()
    with pytest.raises(SecretUnavailable):
        await store.write(lambda tx: tx.hooks.keep_secrets("a", "github", ["x"]))
    assert await store.reads.hook_secrets("a", "github") == ()
    await store.close()


async def delivered(store, start, *deliveries, agent="a", trigger="t", after=timedelta(0)):
    since = start + after - WEEK
    return await store.write(lambda tx: tx.hooks.delivered(agent, trigger, deliveries, since=since))


async def remember(store, start, execution, *deliveries, agent="a", trigger="t"):
    await store.write(lambda tx: tx.hooks.remember(agent, trigger, deliveries, execution, now=start))


async def test_a_delivery_is_known_by_each_of_its_names_in_its_own_trigger(store, start):
    await remember(store, start, "one", "id:1", "body:x")
    assert await delivered(store, start, "id:1") == "one"
    assert await delivered(store, start, "id:2", "body:x") == "one"
    assert await delivered(store, start, "id:2") == ""
    assert await delivered(store, start) == ""
    assert await delivered(store, start, "id:1", agent="b") == ""
    assert await delivered(store, start, "id:1", trigger="u") == ""


async def test_after_a_week_it_is_another_delivery(store, start):
    await remember(store, start, "one", "id:1")
    assert await delivered(store, start, "id:1", after=WEEK) == "one"
    late = WEEK + timedelta(microseconds=1)
    assert await delivered(store, start, "id:1", after=late) == ""
    await remember(store, start + late, "two", "id:1")
    assert await delivered(store, start, "id:1", after=late) == "two"


async def test_the_oldest_are_forgotten_in_batches(store, start):
    for number in range(5):
        await remember(store, start + timedelta(hours=number), f"e{number}", f"id:{number}")
    forget = lambda tx: tx.hooks.forget(before=start + timedelta(hours=3), limit=2)  # noqa: E731
    assert [await store.write(forget) for _ in range(3)] == [2, 1, 0]
    left = [await delivered(store, start, f"id:{number}") for number in range(5)]
    assert left == ["", "", "", "e3", "e4"]


async def test_an_agents_hooks_go_with_it(store, make, start):
    await store.write(lambda tx: tx.agents.insert(make.agent("a")))
    await remember(store, start, "one", "id:1")
    await remember(store, start, "two", "id:1", agent="b")
    await store.write(lambda tx: tx.agents.delete("a"))
    assert await delivered(store, start, "id:1") == ""
    assert await delivered(store, start, "id:1", agent="b") == "two"
