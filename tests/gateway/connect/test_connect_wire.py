"""What callers can do wrong on the wire, byte by byte: a precise refusal each, no 500, nothing left behind."""

import gzip
import json
import logging
import re

import pytest
import structlog
from google.protobuf.json_format import MessageToDict
from tests.gateway.support.connect_calls import RPCS, envelope, envelopes, path_of, post

from nightcrew.v1 import agent_service_pb2

MIB = 1024 * 1024
GET_A = agent_service_pb2.GetAgentRequest(id="a").SerializeToString()


@pytest.fixture(autouse=True)
def no_faults(caplog):
    """Nothing that a caller does is told as an internal error."""
    with structlog.testing.capture_logs() as own:
        yield
    assert not [one for one in own if one["log_level"] in {"error", "critical"}]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_plain_json_is_the_contracts_json(box, web):
    await box.active("a", input={"n": 3, "x": [1, 2.5, None, {"s": "ü"}]}, execution={"timeout": "1.5s"})
    answer = await post(web, "GetAgent", {"id": "a"})
    assert answer.status_code == 200
    found = answer.json()
    assert found == MessageToDict(await box.call("GetAgent", id="a"))
    assert found["agent"]["generation"] == "1"  # 64 bits are text in protobuf's JSON
    assert found["agent"]["spec"]["execution"]["timeout"] == "1.500s"
    assert re.search(r'"n":3[,}]', answer.text)  # and whole numbers have no .0
    assert (await post(web, "TriggerAgent", {"id": "a", "request_id": "", "wait": "5s"})).status_code == 200


BAD_JSON = [
    ("", None),
    ("nope", None),
    ("[]", None),
    ("null", None),
    ('"id"', None),
    ("{", None),
    ('{"id": "a"} {}', None),
    ('{"id": "a", "id": "b"}', None),
    (b'{"id": "\xff"}', None),
    ("[" * 100_000, None),
    ('{"agent":' * 50_000, None),
    ('{"agent": {"generation": ' + "9" * 5000 + "}}", None),
    ('{"idd": "a"}', "idd"),
    ('{"agent": {"spec": {"triggers": [{}, {"schedule": {"cron": {"x": 1}}}]}}}',
     "agent.spec.triggers[1].schedule.cron.x"),
    ('{"agent": {"displayName": 7}}', "agent.display_name"),
    ('{"agent": {"labels": {"a": 1}}}', "agent.labels"),
    ('{"agent": {"labels": []}}', "agent.labels"),
    ('{"agent": {"generation": 1.5}}', "agent.generation"),
    ('{"agent": {"generation": "99999999999999999999"}}', "agent.generation"),
    ('{"agent": {"id": "\\ud800"}}', "agent.id"),
    ('{"agent": {"createTime": "yesterday"}}', "agent.create_time"),
    ('{"agent": {"spec": {"execution": {"overlap": "NEVER"}}}}', "agent.spec.execution.overlap"),
    ('{"agent": {"spec": {"execution": {"timeout": "soon"}}}}', "agent.spec.execution.timeout"),
    ('{"agent": {"spec": {"program": {"http": {}, "python": {}}}}}', "agent.spec.program"),
    ('{"agent": {"spec": {"input": [1]}}}', "agent.spec.input"),
    ('{"agent": {"id": "a", "spec": {"program": {"python": {"entrypoint": "gateway_programs:echo"}}, "input": {"a": NaN}}}}',
     "agent.spec.input.a"),
    ('{"agent": {"id": "a", "spec": {"program": {"python": {"entrypoint": "gateway_programs:echo"}}, "input": {"a": 1e999}}}}',
     "agent.spec.input.a"),
]  # fmt: skip


async def test_json_that_is_wrong_is_refused_by_its_field(box, web):
    for text, field in BAD_JSON:
        answer = await post(web, "CreateAgent", text)
        assert answer.status_code == 400, (text[:80], answer.text[:300])
        found = answer.json()
        assert found["code"] == "invalid_argument", text[:80]
        assert len(answer.content) < 8000, text[:80]
        bad = [detail["debug"] for detail in found["details"] if detail["type"] == "google.rpc.BadRequest"]
        fields = [one["field"] for one in bad[0].get("fieldViolations", [])]
        assert fields == ([] if field is None else [field]), (text[:80], answer.text[:300])
    assert (await box.call("ListAgents", filter='labels.team = "x" OR id = "a"')).agents == []


@pytest.mark.parametrize("kind", ["application/connect+json", "application/grpc-web+json"])
async def test_wrong_json_in_a_watch_is_told_at_its_end(web, kind):
    answer = await post(web, "WatchAgents", envelope(b'{"idz": []}'), kind=kind)
    assert answer.status_code == 200
    flags, data = envelopes(answer.content)[-1] if answer.content else (0, b"")
    if kind.startswith("application/connect"):
        assert flags == 2
        assert json.loads(data)["error"]["code"] == "invalid_argument"
    else:
        assert (flags, b"grpc-status: 3\r\n" in data) == (0x80, True)


async def test_grpc_web_byte_by_byte(box, web):
    await box.active("a")
    answer = await post(web, "GetAgent", envelope(GET_A), kind="application/grpc-web+proto", x_grpc_web="1")
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    (flags, message), (end_flags, trailers) = envelopes(answer.content)
    assert (flags, end_flags, trailers) == (0, 0x80, b"grpc-status: 0\r\n")
    assert agent_service_pb2.GetAgentResponse.FromString(message).agent.id == "a"
    same = await post(web, "GetAgent", envelope(GET_A), kind="Application/gRPC-Web; charset=utf-8")
    assert envelopes(same.content) == envelopes(answer.content)


WRONG_ENVELOPES = [
    b"",
    b"\0",
    b"\0\0\0\0",
    b"\0\0\0\0\x09ab",
    b"\0\xff\xff\xff\xff",
    envelope(GET_A, flags=1),
    envelope(GET_A, flags=0x40),
    envelope(GET_A) + envelope(GET_A),
    envelope(b"\xff\xff"),
    envelope(GET_A) + b"rest",
]


@pytest.mark.parametrize("kind", ["application/connect+proto", "application/grpc-web"])
async def test_broken_envelopes_are_refused(web, kind):
    for raw in WRONG_ENVELOPES:
        name = "WatchAgents" if "connect" in kind else "GetAgent"
        answer = await post(web, name, raw, kind=kind)
        assert answer.status_code == 200, raw
        if "connect" in kind:
            error = json.loads(envelopes(answer.content)[-1][1])["error"]
            assert error["code"] not in {"unknown", "not_found"}, raw
        else:
            trailers = answer.headers.get("grpc-status") or envelopes(answer.content)[-1][1].decode()
            assert "grpc-status: 2\r" not in trailers, raw
            assert "grpc-status: 0" not in trailers, raw
            assert trailers != "2", raw


async def test_broken_protobuf_is_refused(web):
    for raw in (b"\xff", b"\x0a\x05a", b"\x0a\x02\xff\xfe"):
        answer = await post(web, "GetAgent", raw, kind="application/proto")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
        assert answer.json()["details"][0]["debug"]["reason"] == "malformed_request"


async def test_what_is_not_served(web):
    for path in (
        "/nightcrew.v1.AgentService/Nope",
        "/nightcrew.v1.Nope/GetAgent",
        "/nightcrew.v1.AgentService/GetAgent/",
    ):
        answer = await web.post(path, json={})
        assert (answer.status_code, list(answer.json())) == (404, ["detail"]), path
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = await web.request(method, path_of("GetAgent"))
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), method
    query = {"encoding": "json", "message": '{"id":"a"}', "connect": "v1"}
    assert (await web.get(path_of("GetAgent"), params=query)).status_code == 405


async def test_content_types_of_other_protocols(web):
    for name, kind in (
        ("GetAgent", "application/grpc"),
        ("GetAgent", "application/grpc+proto"),
        ("GetAgent", "application/grpc-web-text"),
        ("GetAgent", "application/connect+json"),
        ("GetAgent", "application/jsonp"),
        ("WatchAgents", "application/json"),
        ("WatchAgents", "application/proto"),
    ):
        answer = await post(web, name, b"{}", kind=kind)
        assert answer.status_code == 415, (name, kind)
        assert kind in answer.json()["detail"]
        if kind in {"application/grpc-web-text", "application/connect+json", "application/json"}:
            # The others are refused at the gate: no RPC could read them.
            assert "application/grpc-web" in answer.headers["accept-post"]


async def test_headers_that_are_odd(box, web):
    await box.active("a")
    odd = [
        {"connect-timeout-ms": "soon"},
        {"connect-timeout-ms": "-1"},
        {"connect-timeout-ms": "1e3"},
        {"connect-timeout-ms": "99999999999"},
        {"connect-protocol-version": "2"},
    ]
    for headers in odd:
        answer = await web.post(path_of("GetAgent"), json={"id": "a"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument"), headers
    for headers in ({"x-any": "\xff\xfe"}, {"connect-timeout-ms": "\xb2"}, {"connect-timeout-ms": ""}):
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await web.post(path_of("GetAgent"), json={"id": "a"}, headers=raw)
        assert answer.status_code == 200, headers
    for timeout in ("1", "S", "-1S", "999999999S", "1x"):
        answer = await post(
            web, "GetAgent", envelope(GET_A), kind="application/grpc-web", grpc_timeout=timeout
        )
        assert answer.headers.get("grpc-status") == "3" or b"grpc-status: 3\r\n" in answer.content, timeout


async def test_compressed_requests(box, web):
    await box.active("a")
    body = gzip.compress(b'{"id": "a"}')
    answer = await post(web, "GetAgent", body, content_encoding="gzip")
    assert answer.json()["agent"]["id"] == "a"
    assert answer.headers.get("content-encoding", "identity") == "identity"
    for encoding, raw, code in (("gzip", b"nope", 400), ("gzip", body[:-9], 400), ("br", body, 501)):
        answer = await post(web, "GetAgent", raw, content_encoding=encoding)
        assert answer.status_code == code, encoding
    bomb = gzip.compress(b" " * (64 * MIB))
    answer = await post(web, "GetAgent", bomb, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (429, "resource_exhausted")


async def test_a_large_request_is_read_and_one_that_is_larger_refused(box, web):
    await box.active("a")
    values = list(range(100_000))
    answer = await post(web, "TriggerAgent", {"id": "a", "input": {"values": values}, "wait": "20s"})
    assert answer.json()["execution"]["result"]["values"] == values
    answer = await post(web, "TriggerAgent", b" " * (8 * MIB + 1))
    assert answer.status_code == 413
    assert (await box.call("ListExecutions", filter='agent_id = "a"')).executions[1:] == []


async def test_every_rpc_refuses_an_unknown_field(web):
    for name in sorted(RPCS):
        kind, body = "application/json", b'{"noSuchField": 1}'
        if RPCS[name].server_streaming:
            kind, body = "application/connect+json", envelope(body)
        answer = await post(web, name, body, kind=kind)
        assert b"no_such_field: there is no such field" in answer.content, name
