"""HTTP programs: what is sent, what an answer means, and which failures may be tried again."""

import socket
from datetime import UTC, datetime

import pytest
from tests.peer.receiver import Receiver, Reply, json_reply

from nightcrew.domain.addresses import Allowed
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.retry_after import rest_after
from nightcrew.domain.spec.program import HttpProgram, Isolation, Program
from nightcrew.ports.host import Job, ProgramSource
from nightcrew.programs.errors import HttpError
from nightcrew.programs.http import HttpRunner
from nightcrew.system.addresses import Addresses
from nightcrew.system.outbound import HttpWayOut

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job_of(url, *, given=None, hidden=(), **program) -> Job:
    return Job(
        execution_id="execution-1",
        lease=1,
        agent_id="agent",
        attempt=1,
        program=Program(http=HttpProgram(url=url, **program)),
        source=ProgramSource(kind="http", name=url, path="agents.yaml", is_async=True),
        input=given or {},
        isolation=Isolation.INLINE,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
        hidden=hidden,
    )


@pytest.fixture
async def run():
    way_out = HttpWayOut(Addresses(Allowed.of(["127.0.0.0/8"])))
    runner = HttpRunner(way_out, agent="nightcrew/9", now=lambda: NOW)
    yield lambda url, **rest: runner.run(job_of(url, **rest))
    await way_out.close()


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (json_reply({"a": [1, None]}), {"a": [1, None]}),
        (json_reply(None), None),
        (Reply(201, b'{"a":1}', {"content-type": "application/vnd.x+json; charset=utf-8"}), {"a": 1}),
        (Reply(204), None),
        (Reply(200, b"hello", {"content-type": "text/plain"}), "hello"),
        (Reply(200, b'{"a":1}', {"content-type": "text/plain"}), '{"a":1}'),
        (Reply(200, b"7"), 7),
        (Reply(200, b"seven"), "seven"),
        (Reply(200, b"not json", {"content-type": "application/json"}), "not json"),
        (Reply(200, b"NaN", {"content-type": "application/json"}), "NaN"),
        (Reply(200, b"\xe9t\xe9", {"content-type": "text/plain; charset=latin-1"}), "été"),
        (Reply(200, b"\xff\xfe", {"content-type": "text/plain; charset=nonsense"}), "\ufffd\ufffd"),
        (Reply(200, b"[" * 100_000, {"content-type": "application/json"}), "[" * 100_000),
    ],
)
async def test_what_is_the_result(run, receiver, reply, result):
    receiver.answer = lambda _: reply
    assert await run(receiver.url()) == result


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE"])
async def test_what_is_sent(run, receiver, method):
    await run(
        receiver.url("/p?q=1"), method=method, given={"ä": 1}, headers={"X-One": "1", "User-Agent": "mine"}
    )
    (came,) = receiver.came
    assert (came.method, came.path) == (method, "/p?q=1")
    assert came.headers["x-one"] == "1"
    assert came.headers["user-agent"] == "mine"
    assert came.headers["idempotency-key"] == "execution-1"
    if method in {"GET", "DELETE"}:
        assert (came.body, "content-type" in came.headers) == (b"", False)
    else:
        assert (came.body, came.headers["content-type"]) == ('{"ä":1}'.encode(), "application/json")


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, False),
        (410, False),
        (429, True),
        (500, True),
        (502, True),
        (503, True),
        (304, False),
    ],
)
async def test_which_answers_may_be_tried_again(run, receiver, status, retryable):
    receiver.answer = lambda _: Reply(status, b"" if status == 304 else b"why")
    with pytest.raises(HttpError) as caught:
        await run(receiver.url())
    assert (caught.value.type_name, caught.value.retryable) == (f"http_{status}", retryable)
    assert caught.value.message == f"the endpoint answered {status}" + ("" if status == 304 else ": why")


async def _fails(run, url, **rest):
    with pytest.raises(HttpError) as caught:
        await run(url, **rest)
    return caught.value.type_name, caught.value.retryable


async def test_what_keeps_an_answer_from_coming(run, receiver):
    receiver.answer = lambda came: {
        "/hang": Reply(hang=True),
        "/broken": Reply(broken=True),
        "/long": Reply(chunks=iter([b"x" * 2_000_000])),
        "/inside": Reply(302, headers={"location": "http://169.254.169.254/"}),
        "/around": Reply(302, headers={"location": "/around"}),
    }[came.path]
    assert await _fails(run, receiver.url("/hang"), timeout="0.1s") == ("http_timeout", True)
    assert await _fails(run, receiver.url("/broken")) == ("http_broken", True)
    assert await _fails(run, receiver.url("/long")) == ("result_too_large", False)
    assert await _fails(run, receiver.url("/inside")) == ("address_refused", False)
    assert await _fails(run, receiver.url("/around")) == ("address_refused", False)
    assert await _fails(run, "http://10.0.0.1/") == ("address_refused", False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await _fails(run, f"http://127.0.0.1:{taken.getsockname()[1]}/") == ("http_connect", True)


async def test_a_long_answer_that_refuses_is_shown_in_part(run, receiver):
    receiver.answer = lambda _: Reply(500, b"s3cret " + b"x" * 5000)
    with pytest.raises(HttpError) as caught:
        await run(receiver.url(), hidden=("s3cret",))
    assert caught.value.message.startswith("the endpoint answered 500: [secret] xxx")
    assert len(caught.value.message) < 1200


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "7", 7), (503, " 7 ", 7), (500, "7", 0), (200, "7", 0), (429, None, 0), (429, "", 0), (429, "soon", 0), (429, "-3", 0),
        (429, "1.5", 0), (429, "99999999999999999999", 3600), (429, "٣", 0),
        (503, "Thu, 01 Jan 2026 00:01:00 GMT", 60), (503, "Wed, 31 Dec 2025 00:00:00 GMT", 0), (503, "Thu, 01 Jan 2026 02:00:00 GMT", 3600),
    ],
)  # fmt: skip
def test_retry_after(status, header, seconds):
    assert rest_after(status, header, now=NOW) == seconds
