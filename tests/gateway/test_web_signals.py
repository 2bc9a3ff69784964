"""Addresses of signals over HTTP: a page that asks, an answer that counts once, and what is refused."""

import asyncio
import json

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from structlog.testing import capture_logs
from tests.gateway.support.gateway_box import refused
from tests.gateway.support.hook_calls import served


@pytest_asyncio.fixture
async def web(box):
    async with served(box) as client:
        yield client


async def asks(box, what="it"):
    """An execution that waits for an answer, and the paths of its two addresses."""
    execution = await box.trigger("a", input={"what": what})
    await box.execution_reaches(execution.id, "STATE_WAITING")
    steps = (await box.call("ListSteps", execution_id=execution.id)).steps
    urls = [one.result.string_value for one in steps if one.name == "approve" and one.result.string_value]
    base = f"http://{box.runtime.web.address}"
    assert all(url.startswith(f"{base}/signals/") for url in urls)
    return execution.id, [url.removeprefix(base) for url in urls]


@pytest.fixture
async def waiting(box):
    await box.active("a", "approval")
    return await asks(box, "news & more")


async def result(box, execution_id):
    return MessageToDict((await box.execution_reaches(execution_id, "STATE_SUCCEEDED")).result)


async def test_a_page_asks_and_its_button_answers_from_anywhere(box, web, waiting):
    execution_id, (url, _) = waiting
    # As a browser sends it that followed a link in a mail.
    page = await web.get(url, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    assert page.status_code == 200
    assert "May I publish &lt;news &amp; more&gt;?" in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert (await box.execution(execution_id)).state == 3, "a look is no answer"
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "null"}
    answer = await web.post(url, content=b"by=ann&why=fine", headers=form)
    assert (answer.status_code, "Thank you" in answer.text) == (202, True)
    assert await result(box, execution_id) == {"by": "ann", "why": "fine"}
    assert "has been used" in (await web.get(url)).text


async def test_it_counts_once_and_the_same_again_is_no_fault(box, web, waiting):
    execution_id, (url, other) = waiting
    body = {"ok": True}
    answers = await asyncio.gather(*(web.post(url, json=body) for _ in range(20)))
    assert {(one.status_code, one.text) for one in answers} == {
        (202, json.dumps({"execution_id": execution_id}, separators=(",", ":")))
    }
    assert await result(box, execution_id) == body
    again = await web.post(url, json={"ok": False})
    assert (again.status_code, again.json()) == (409, {"detail": "this signal URL has been used"})
    # The other address is of the same execution, which has ended.
    assert (await web.post(other)).status_code == 410
    assert (await web.get(other)).status_code == 410


async def test_two_who_answer_at_once_are_not_both_heard(box, web, waiting):
    execution_id, (url, _) = waiting
    answers = await asyncio.gather(*(web.post(url, json={"by": number}) for number in range(20)))
    won = [number for number, one in enumerate(answers) if one.status_code == 202]
    assert len(won) == 1
    assert sorted({one.status_code for one in answers}) == [202, 409]
    assert await result(box, execution_id) == {"by": float(won[0])}


async def test_one_that_brings_its_own_payload_takes_no_other(box, web, waiting):
    execution_id, (_, url) = waiting
    refusal = await web.post(url, json={"ok": True})
    assert (refusal.status_code, "brings its own payload" in refusal.text) == (400, True)
    assert (await web.post(url)).status_code == 202
    assert await result(box, execution_id) == {"ok": False}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a": 1e999}', "application/json", 400),
        (b"a", "text/plain", 415),
        (b"<a/>", "application/xml", 415),
        (b"a" * (1024 * 1024 + 1), "application/json", 413),
        (b"&".join(b"a=1" for _ in range(200)), "application/x-www-form-urlencoded", 400),
        (b"a=%ff&b", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_what_can_not_be_read_uses_nothing_up(box, web, waiting, body, kind, status):
    execution_id, (url, _) = waiting
    assert (await web.post(url, content=body, headers={"content-type": kind})).status_code == status
    assert (await web.post(url, json="fine")).status_code == 202
    assert await result(box, execution_id) == "fine"


async def test_a_token_that_nobody_has(web):
    for path in ("/signals/x", "/signals/" + "a" * 5000, "/signals/%00"):
        assert (await web.get(path)).status_code == 404
        assert (await web.post(path)).status_code == 404
    assert (await web.put("/signals/x")).status_code == 405
    assert (await web.post("/signals/")).status_code == 404


async def test_over_grpc_it_expires_and_a_repetition_gets_the_same(box, web, waiting):
    execution_id, _ = waiting
    wish = {"id": execution_id, "signal": "approve", "request_id": "0198c0de-0000-7000-8000-000000000001"}
    made = await box.call("CreateSignalUrl", **wish)
    assert made == await box.call("CreateSignalUrl", **wish)
    soon = await box.call("CreateSignalUrl", id=execution_id, signal="approve", ttl="0.001s")
    path = soon.url.split("/", 3)[3]

    async def gone():
        return (await web.get(f"/{path}")).status_code == 410

    await asyncio.wait_for(_until(gone), 5)
    expired = await web.post(f"/{path}")
    assert (expired.status_code, expired.json()) == (410, {"detail": "this signal URL has expired"})
    assert (await web.post("/" + made.url.split("/", 3)[3], json=1)).status_code == 202
    await result(box, execution_id)
    async with refused("FAILED_PRECONDITION"):
        await box.call("CreateSignalUrl", id=execution_id, signal="approve")
    async with refused("NOT_FOUND"):
        await box.call("CreateSignalUrl", id="nobody", signal="approve")
    for fields, field in (({"ttl": "-1s"}, "ttl"), ({"ttl": "99999999s"}, "ttl"), ({"signal": ""}, "signal")):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call("CreateSignalUrl", **{"id": execution_id, "signal": "approve", **fields})
        assert said[0].fields == [field]


async def _until(condition):
    while not await condition():
        await asyncio.sleep(0.01)


async def test_tokens_are_in_no_log_and_not_in_their_table(box, web, waiting):
    _, (url, _) = waiting
    token = url.removeprefix("/signals/")
    with capture_logs() as lines:
        await web.get(url)
        await web.post(url, json=1)
    assert [one["path"] for one in lines if one["event"] == "http"] == ["/signals/…", "/signals/…"]
    assert token not in str(lines)
    unit = lambda tx: tx._execute("SELECT * FROM signal_urls").fetchall()  # noqa: E731
    assert token not in str(await box.runtime.store.write(unit))


async def test_a_deleted_agent_leaves_none(box, web, waiting):
    _, (url, _) = waiting
    await box.call("DeleteAgent", id="a", force=True)

    async def gone():
        return (await web.get(url)).status_code == 404

    await asyncio.wait_for(_until(gone), 10)
    unit = lambda tx: tx._execute("SELECT count(*) FROM signal_urls").fetchone()[0]  # noqa: E731
    assert await box.runtime.store.write(unit) == 0
