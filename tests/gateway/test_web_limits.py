"""What is sent to cost: heads and bodies too large, too slow, twice or broken; the status of each, and nothing left."""

import asyncio

import pytest
from tests.gateway.support.raw_http import answer, detail, exchange, request

from nightcrew.gateway.web import connection, gate

API = "/api/v1/background_agents"

CASES = {
    "a path that is not there": (request("GET", "/nowhere"), 404),
    "a path that is not there, of REST": (request("GET", f"{API}/nobody"), 404),
    "a method that is not there": (request("PUT", f"{API}/a"), 405),
    "a method that is none": (b"FETCH / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400),
    "a path of broken UTF-8": (request("GET", f"{API}/%ff%fe"), 404),
    "a path of raw bytes": (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a path with a zero": (request("GET", f"{API}/%00"), 404),
    "two hosts": (request("GET", "/healthz", "Host: localhost"), 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two lengths": (request("POST", API, "Content-Length: 1", "Content-Length: 2"), 400),
    "a length and chunks": (request("POST", API, "Content-Length: 1", "Transfer-Encoding: chunked"), 400),
    "a length that is none": (request("POST", API, "Content-Length: many"), 400),
    "a long URL": (request("GET", "/healthz?q=" + "x" * 20_000), 414),
    "a long header": (request("GET", "/healthz", "X-Long: " + "x" * 70_000), 431),
    "many headers": (request("GET", "/healthz", *(f"X-{one}: 1" for one in range(200))), 431),
    "a header without end": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000, 431),
    "a body that is too large": (
        request("POST", API, "Content-Type: application/json", "Content-Length: 104857600"),
        413,
    ),
    "an event's body that is too large": (request("POST", "/events", "Content-Length: 104857600"), 413),
    "a hook's body that is too large": (request("POST", "/hooks/a/b", "Content-Length: 10485760"), 413),
    "broken JSON": (request("POST", API, "Content-Type: application/json", body=b'{"name":'), 400),
    "JSON of broken UTF-8": (request("POST", API, "Content-Type: application/json", body=b'"\xff"'), 400),
    "a form": (request("POST", API, "Content-Type: application/x-www-form-urlencoded", body=b"name=a"), 415),
    "a hook that is not there": (request("POST", "/hooks/nobody/webhook", body=b"{}"), 404),
    "a hook by GET": (request("GET", "/hooks/nobody/webhook"), 405),
}


async def rows(box):
    def count(tx):
        execute = tx.agents._execute
        tables = ("agents", "executions", "events", "requests", "fires")
        return [execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables]  # noqa: S608

    return await box.runtime.store.write(count)


async def test_each_is_refused_and_leaves_nothing(box):
    before = await rows(box)
    for name, (sent, expected) in CASES.items():
        found = await exchange(box.runtime.web.address, sent)
        assert found is not None, f"{name}: closed without an answer"
        assert found[0] == expected, f"{name}: {found}"
        assert detail(found), name
        if expected == 405:
            assert found[1]["allow"], name
    assert await rows(box) == before
    found = await exchange(box.runtime.web.address, request())
    assert found[0] == 200, "it serves on"


async def test_a_head_that_does_not_come_is_given_up(box, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_TIME", 0.05)
    found = await exchange(box.runtime.web.address, b"GET /healthz HTTP/1.1\r\nHost: local")
    assert found[0] == 408
    assert "head" in detail(found)


async def test_a_second_head_that_does_not_come_is_given_up_too(box, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_TIME", 0.05)
    host, port = box.runtime.web.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request())
    assert (await answer(reader))[0] == 200
    writer.write(b"GET /heal")
    assert (await answer(reader))[0] == 408
    writer.close()


async def test_requests_that_follow_each_other_are_all_answered(box):
    host, port = box.runtime.web.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request() * 40)
    assert [(await answer(reader))[0] for _ in range(40)] == [200] * 40
    writer.close()


async def test_what_is_more_than_can_be_served_is_told_to_come_back(box, monkeypatch):
    monkeypatch.setattr(gate, "MAX_REQUESTS", 0)
    found = await exchange(box.runtime.web.address, request())
    assert (found[0], found[1]["retry-after"]) == (503, "1")
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 0)
    found = await exchange(box.runtime.web.address, request())
    assert (found[0], found[1]["retry-after"], found[1]["connection"]) == (503, "1", "close")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", API])
async def test_head_is_a_get_without_a_body(box, path):
    host, port = box.runtime.web.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request("HEAD", path) + request())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert (await answer(reader))[0] == 200, "the next answer follows at once: there was no body"
    writer.close()
