"""The sync face: the same client from code without a loop, from many threads at once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from peer_server import Peer

from nightcrew.client import NotFound, RetryPolicy, SyncClient, TriggerRequest
from nightcrew.client.errors import Closed

FAST = RetryPolicy(attempts=4, initial=0.01, maximum=0.05)


@pytest.fixture
def served():
    """A peer on a loop in a thread of its own: tests here have none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    peer = Peer()

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    run(peer.start())
    peer.run = run
    yield peer
    run(peer.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def crew(served):
    with SyncClient(served.address, retry=FAST) as client:
        yield client


def test_calls_block_and_give_models(crew, served):
    served.world.add_agent("a")
    run = crew.agents.trigger("a", {"n": 1}, wait=1)
    assert run.result == {"sent": 3, "rate": 0.5}
    assert crew.executions.get(run.id) == run
    with pytest.raises(NotFound):
        crew.agents.get("nobody")


def test_lists_are_plain_iterators(crew, served):
    for number in range(25):
        served.world.add_agent(f"a{number:02d}")
    pages = crew.agents.list(page_size=10)
    assert [one.id for one in pages] == [f"a{number:02d}" for number in range(25)]
    assert [len(one.items) for one in pages.pages()] == [10, 10, 5]
    assert pages.page("10").items[0].id == "a10"
    assert pages.take(3)[1] is True


def test_watches_are_plain_iterators(crew, served):
    with crew.events.watch() as watch:
        assert watch.opened() is watch
        for number in range(5):
            served.run(served.log.add(f"t{number}"))
        found = []
        for item in watch:
            found.append(item.type)
            if len(found) == 4:
                break
        assert next(watch).type == "t4"
        assert watch.resume_token.startswith("s")
    assert found == ["t0", "t1", "t2", "t3"]
    with pytest.raises(StopIteration):
        next(watch)


def test_many_threads_share_one_client(crew, served):
    served.world.add_agent("a")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda n: crew.agents.trigger("a", {"n": n}), range(200)))
    assert [one.input["n"] for one in runs] == list(range(200))
    assert len({one.id for one in runs}) == 200
    results = crew.agents.trigger_many(TriggerRequest(agent_id="a") for _ in range(10))
    assert len(results) == 10


def test_closing_ends_a_watch_in_another_thread(served):
    crew = SyncClient(served.address, retry=FAST)
    watch = crew.events.watch()
    watch.opened()
    with ThreadPoolExecutor(1) as pool:
        iterating = pool.submit(lambda: list(watch))
        crew.close()
        assert iterating.result(10) == []
    with pytest.raises(Closed):
        crew.agents.get("a")
    crew.close()


def test_the_face_shows_what_it_can_do(crew):
    assert "trigger_many" in dir(crew.agents)
    assert crew.agents.trigger.__name__ == "trigger"
    assert "wait" in crew.agents.trigger.__doc__
    with pytest.raises(AttributeError):
        crew.agents.no_such_call  # noqa: B018 - looking it up is the test
