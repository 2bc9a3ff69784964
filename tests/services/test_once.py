"""Request ids: a repeated one gets its first answer, for a day, by caller and method, and only after a success."""

import uuid
from datetime import timedelta

import pytest

from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.ports.requests import Remembered
from nightcrew.services.once import KEPT, Request, check_request_id, once
from nightcrew.testing.box import Box


class Counter:
    def __init__(self, box):
        self.box, self.count = box, 0

    async def call(self, request, *, fails=False):
        now = self.box.clock.now()

        def do():
            self.count += 1
            if fails:
                raise NotFound("thing", "x")
            return self.count

        return await self.box.engine.store.write(
            lambda tx: once(tx, request, now=now, do=do, remember=str, recall=lambda text: -int(text))
        )


@pytest.fixture
async def counter(tmp_path):
    async with Box(folder=tmp_path) as box:
        yield Counter(box)


def asked(**more):
    return Request(**{"method": "m", "request_id": str(uuid.uuid4()), "digest": "d", **more})


async def test_without_an_id_it_is_done_each_time(counter):
    request = Request(method="m")
    assert [await counter.call(request) for _ in range(3)] == [1, 2, 3]


async def test_a_repeated_id_gets_the_first_answer(counter):
    request = asked()
    assert [await counter.call(request) for _ in range(3)] == [1, -1, -1]
    assert await counter.call(asked()) == 2


async def test_another_body_with_the_same_id_is_refused(counter):
    first = asked()
    await counter.call(first)
    with pytest.raises(InvalidArgument) as caught:
        await counter.call(Request(method="m", request_id=first.request_id, digest="other"))
    assert caught.value.code == "request_id_reused"
    assert caught.value.violations[0].field == "request_id"
    assert counter.count == 1


@pytest.mark.parametrize("other", [{"method": "n"}, {"caller": "someone"}])
async def test_an_id_counts_for_its_caller_and_its_method(counter, other):
    name = str(uuid.uuid4())
    assert await counter.call(asked(request_id=name)) == 1
    assert await counter.call(asked(request_id=name, **other)) == 2


async def test_a_failure_is_not_remembered(counter):
    request = asked()
    with pytest.raises(NotFound):
        await counter.call(request, fails=True)
    assert await counter.call(request) == 2
    assert await counter.call(request) == -2


async def test_it_is_kept_for_a_day_whether_it_was_pruned_or_not(counter):
    now = counter.box.clock.now()
    young, old = asked(), asked()
    for request, age in ((young, KEPT), (old, KEPT + timedelta(microseconds=1))):
        kept = Remembered(
            caller="", method="m", request_id=request.request_id, digest="d", answer="7", time=now - age
        )
        await counter.box.engine.store.write(lambda tx, kept=kept: tx.requests.remember(kept))
    assert await counter.call(young) == -7
    assert await counter.call(old) == 1
    assert await counter.call(old) == -1


GIVEN = uuid.UUID("3f2b8c1e-9d4a-4f60-8a57-0c1d2e3f4a5b")
"""A fixed one: the names of tests must be the same in every process that collects them."""


@pytest.mark.parametrize("good", ["", str(GIVEN), GIVEN.hex.upper()])
def test_a_request_id_is_a_uuid_or_nothing(good):
    check_request_id(Request(method="m", request_id=good))


@pytest.mark.parametrize("bad", ["1", "no uuid", f"{GIVEN}0", " "])
def test_what_is_no_uuid_is_named(bad):
    with pytest.raises(InvalidArgument, match="must be a UUID"):
        check_request_id(Request(method="m", request_id=bad))
