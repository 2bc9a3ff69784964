"""Hooks over HTTP: what is answered when, and that what is refused leaves nothing behind."""
# ruff: noqa: S105 - the secrets of a test are its data

import asyncio
import hmac
import time

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from tests.gateway.support.gateway_box import refused, until
from tests.gateway.support.hook_calls import raw, served, signed

from nightcrew.gateway.web import body

MIB = 1024 * 1024


def hook(scheme="NONE", *secrets, **more):
    return {"id": "hook", "webhook": {"scheme": f"SCHEME_{scheme}", "secrets": list(secrets)}, **more}


@pytest_asyncio.fixture
async def web(box):
    async with served(box) as client:
        yield client


async def left(box):
    """Rows of all that a request could leave."""
    tables = ("executions", "events", "webhook_deliveries", "requests", "logs", "fires")
    unit = lambda tx: {one: tx._execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in tables}  # noqa: E731, S608
    return await box.runtime.store.write(unit)


async def test_a_webhook_is_answered_when_it_is_on_disk(box, web):
    await box.active("a", triggers=[hook("GITHUB", "s", input={"n": 1})])
    body = '{"name": "Zoë"}'.encode()
    headers = signed(body, content_type="application/json", x_github_delivery="d1", cookie="c=1")
    answer = await web.post("/hooks/a/hook?x=1&x=2&y=", content=body, headers=headers)
    assert answer.status_code == 202
    assert list(answer.json()) == ["execution_id"]
    done = await box.execution_reaches(answer.json()["execution_id"], "STATE_SUCCEEDED")
    assert done.trigger.trigger_id == "hook"
    found = MessageToDict(done.result)
    assert found["n"] == 1
    assert found["webhook"]["body"] == {"name": "Zoë"}
    assert found["webhook"]["query"] == {"x": ["1", "2"], "y": ""}
    assert found["webhook"]["method"] == "POST"
    assert found["webhook"]["headers"]["x-github-delivery"] == "d1"
    assert not {"cookie", "x-hub-signature-256"} & set(found["webhook"]["headers"])
    again = await web.post("/hooks/a/hook", content=body, headers=headers)
    assert (again.status_code, again.json()) == (202, answer.json())


async def test_waiting_for_the_result(box, web):
    await box.active("a", triggers=[hook()])
    answer = await web.post("/hooks/a/hook?wait=10s&wanted=1", json={"a": 1})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["result"]["webhook"]["body"]) == ("STATE_SUCCEEDED", {"a": 1})
    assert found["result"]["webhook"]["query"] == {"wanted": "1"}
    repeated = {"idempotency-key": "k"}
    first = await web.post("/hooks/a/hook?wait=10s", json={}, headers=repeated)
    second = await web.post("/hooks/a/hook?wait=10s", json={}, headers=repeated)
    assert first.json() == second.json()


async def test_waiting_for_one_that_fails(box, web):
    await box.active("f", "fail", triggers=[hook()])
    answer = await web.post("/hooks/f/hook?wait=10s")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["error"]) == ("STATE_FAILED", {"type": "ValueError", "message": "boom"})
    assert found["result"] is None


async def test_a_wait_that_ends_first(box, web):
    await box.active("h", "hold", triggers=[hook()])
    answer = await web.post("/hooks/h/hook?wait=50ms")
    assert (answer.status_code, list(answer.json())) == (202, ["execution_id"])
    waiting = asyncio.create_task(web.post("/hooks/h/hook?wait=5m"))

    async def two_have_come():
        return len((await box.call("ListExecutions", filter='agent_id = "h"')).executions) == 2

    await until(two_have_come)
    box.runtime.stop()
    assert (await waiting).status_code == 202


@pytest.mark.parametrize("wait", ["", "10", "soon", "-1s", "6m", "1s&wait=1s"])
async def test_a_wait_that_is_none(box, web, wait):
    await box.active("a", triggers=[hook()])
    before = await left(box)
    answer = await web.post(f"/hooks/a/hook?wait={wait}")
    assert answer.status_code == 400
    assert "wait" in answer.json()["detail"]
    assert await left(box) == before


async def test_slacks_challenge(box, web):
    await box.create("a", triggers=[hook("SLACK", "s")])
    body, moment = b'{"type": "url_verification", "challenge": "3eZ"}', str(int(time.time()))
    signature = "v0=" + hmac.digest(b"s", b"v0:" + moment.encode() + b":" + body, "sha256").hex()
    headers = {"x-slack-request-timestamp": moment, "x-slack-signature": signature}
    answer = await web.post("/hooks/a/hook", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZ"})
    assert (await web.post("/hooks/a/hook", content=body)).status_code == 401


async def test_every_refusal_has_its_status_and_leaves_nothing(box, web):
    await box.active(
        "a",
        triggers=[hook("GITHUB", "s"), {**hook(), "id": "open"}, {**hook(), "id": "off", "disabled": True}],
    )
    await box.create("stopped", triggers=[hook("GITHUB", "s")])
    await box.active("busy", "hold", triggers=[hook()], execution={"max_backlog": 1})
    await box.active("skips", "hold", triggers=[hook(overlap="OVERLAP_POLICY_SKIP")])
    for path in ("/hooks/busy/hook", "/hooks/busy/hook", "/hooks/skips/hook"):
        assert (await web.post(path)).status_code == 202

    json_type = {"content-type": "application/json"}
    grid = [
        (401, "/hooks/a/hook", {}, b"{}"),
        (401, "/hooks/a/hook", signed(b"{}", "other"), b"{}"),
        (401, "/hooks/a/hook", signed(b"{}"), b"{ }"),
        (401, "/hooks/stopped/hook", signed(b"{}", "other"), b"{}"),
        (409, "/hooks/stopped/hook", signed(b"{}"), b"{}"),
        (409, "/hooks/skips/hook", {"idempotency-key": "k"}, b"{}"),
        (429, "/hooks/busy/hook", {"idempotency-key": "k"}, b"{}"),
        (404, "/hooks/gone/hook", signed(b"{}"), b"{}"),
        (404, "/hooks/a/gone", signed(b"{}"), b"{}"),
        (404, "/hooks/a/off", {}, b"{}"),
        (404, "/hooks/a", {}, b"{}"),
        (404, "/hooks/a/open/more", {}, b"{}"),
        (404, "/hooks/%2e%2e/%00", {}, b"{}"),
        (404, "/hooks/%ff/%f0%9f%93%8e", {}, b"{}"),
        (400, "/hooks/a/open", json_type, b"{"),
        (400, "/hooks/a/open", json_type, b'"\xff"'),
        (400, "/hooks/a/open", json_type, b"NaN"),
        (400, "/hooks/a/open", json_type, b"[1e400]"),
        (400, "/hooks/a/open", json_type, b'{"id": "\\ud800"}'),
        (400, "/hooks/a/open", json_type, b'{"\\ud800": 1}'),
        (413, "/hooks/a/open", {}, b"x" * (MIB + 1)),
        (413, "/hooks/a/open", {}, b"x" * (10 * MIB)),
    ]
    before = await left(box)
    for status, path, headers, content in grid:
        answer = await web.post(path, content=content, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["detail"], path
        if status == 429:
            assert int(answer.headers["retry-after"]) >= 1
        if path.startswith("/hooks/stopped") and status == 409:
            assert "STOPPED" in answer.json()["detail"]
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await web.request(method, "/hooks/a/open")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert await left(box) == before


async def test_what_comes_byte_by_byte(box, web):
    await box.active("a", triggers=[hook("GITHUB", "s"), {**hook(), "id": "open"}])
    before = await left(box)
    signature = signed(b"{}")["x-hub-signature-256"].encode()
    head = b"POST /hooks/a/hook HTTP/1.1\r\nHost: localhost\r\n"
    open_head = head.replace(b"/hook HTTP", b"/open HTTP")
    doubled = b"X-Hub-Signature-256: " + signature + b"\r\n"
    assert await raw(box.runtime.web.port, head + doubled * 2 + b"Content-Length: 2\r\n\r\n{}") == 401
    twice = b"Idempotency-Key: a\r\nidempotency-key: a\r\nContent-Length: 2\r\n\r\n{}"
    assert await raw(box.runtime.web.port, open_head + twice) == 400
    # Said to be small and large, chunked and endless, cut off.
    assert await raw(box.runtime.web.port, open_head + b"Content-Length: 10485760\r\n\r\nx") == 413
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert (
        await raw(box.runtime.web.port, open_head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17) == 413
    )
    assert await raw(box.runtime.web.port, open_head + b"Content-Length: 5\r\n\r\nab", close=True) in {
        400,
        None,
    }
    assert await raw(
        box.runtime.web.port, open_head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", close=True
    ) in {
        400,
        None,
    }
    assert await raw(box.runtime.web.port, open_head + b"Content-Length: -1\r\n\r\n") == 400
    assert await left(box) == before


async def test_a_client_that_is_too_slow(box, monkeypatch):
    monkeypatch.setattr(body, "SLOW", 0.05)
    await box.active("a", triggers=[hook()])
    before = await left(box)
    head = b"POST /hooks/a/hook HTTP/1.1\r\nHost: localhost\r\n"
    assert await raw(box.runtime.web.port, head + b"Content-Length: 5\r\n\r\nab") == 408
    assert await raw(box.runtime.web.port, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n") == 408
    assert await left(box) == before


async def test_a_whole_mebibyte_is_taken(box, web):
    await box.active("a", triggers=[hook()])
    assert (await web.post("/hooks/a/hook", content=b"x" * MIB)).status_code == 202
    assert (await web.post("/hooks/a/hook", content=b"\xff" * MIB)).status_code == 202


async def test_a_paused_agent_keeps_them(box, web):
    await box.active("a", triggers=[hook()])
    await box.call("PauseAgent", id="a")
    answer = await web.post("/hooks/a/hook")
    assert answer.status_code == 202
    await box.execution_reaches(answer.json()["execution_id"], "STATE_QUEUED")
    await box.call("ResumeAgent", id="a")
    await box.execution_reaches(answer.json()["execution_id"], "STATE_SUCCEEDED")


async def test_a_drain_sends_them_away(box, web):
    await box.active("a", triggers=[hook()])
    before = await left(box)
    box.runtime.guard.close("draining")
    answer = await web.post("/hooks/a/hook")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert await left(box) == before


async def test_secrets_are_in_no_answer_of_grpc(box, web):
    secret = "hush-hush-hush"
    made = await box.active("a", triggers=[hook("GITHUB", secret)])
    bad = [{"id": "hook", "webhook": {"scheme": "SCHEME_STANDARD", "secrets": [f"whsec_{secret}"]}}]
    said = [str(made), str(await box.agent("a")), str(await box.call("ListAgents"))]
    async with refused("INVALID_ARGUMENT") as why:
        await box.call(
            "UpdateAgent", agent={"id": "a", "spec": {"triggers": bad}}, update_mask="spec.triggers"
        )
    assert why[0].fields == ["agent.spec.triggers[0].webhook.secrets"]
    changed = await box.call(
        "UpdateAgent",
        agent={"id": "a", "spec": {"triggers": [hook("GITHUB", secret, "other")]}},
        update_mask="spec.triggers",
    )
    applied = await box.call(
        "ApplyAgents",
        agents=[
            {
                "id": "a",
                "spec": {
                    "program": {"python": {"entrypoint": "gateway_programs:echo"}},
                    "triggers": [hook("GITHUB", secret)],
                },
            }
        ],
    )
    said += [str(changed), str(applied), str(why[0].status), str(await box.events_after())]
    assert not [one for one in said if secret in one]
