"""What callers of REST do wrong: each is told where, nothing is left behind, and nothing is a 500."""

import json

from tests.gateway.rest.conftest import CREATE
from tests.gateway.support.gateway_box import until

from nightcrew.gateway.web.rest.operations import PREFIX

DEEP = b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


BODIES = [
    (b"", 422),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"name": "\xc3\x28"}', 400),
    (b'{"name": "\\ud800"}', 400),
    (b'{"name": NaN}', 400),
    (DEEP, 400),
    (b'{"name": "' + b"x" * 2_100_000 + b'"}', 413),
    (b"[]", 422),
    (b"null", 422),
    (b'"x"', 422),
    (b"{}", 422),
    (b'{"trigger_type": "MINUTELY"}', 422),
    (b'{"trigger_type": ["CRON"]}', 422),
]


async def test_bodies_that_are_none(rest):
    before = await rest.call("GET")
    for raw, status in BODIES:
        assert (await rest.call("POST", content=raw, status=status))["detail"]
    assert await rest.call("GET") == before, "nothing is left behind"


WRONG_FIELDS = [
    ({"name": None}, ["name"], "string"),
    ({"name": "x" * 257}, ["name"], "256"),
    ({"name": 5}, ["name"], "string"),
    ({"description": "x" * 16385}, ["description"], "16384"),
    ({"flow_id": ""}, ["flow_id"], "1 character"),
    ({"enabled": "yes"}, ["enabled"], "boolean"),
    ({"enabled": None}, ["enabled"], "boolean"),
    ({"input_config": []}, ["input_config"], "dictionary"),
    ({"input_config": {"x": "y" * 1_100_000}}, ["input_config"], "bytes"),
    ({"trigger_config": None}, ["trigger_config"], "dictionary"),
    ({"trigger_config": {"minute": "99"}}, ["trigger_config", "minute"], "0-59"),
    ({"trigger_config": {"minutes": 5}}, ["trigger_config", "minutes"], "Extra"),
    ({"trigger_config": {"day": 1, "day_of_week": 1}}, ["trigger_config", "day_of_week"], "both"),
    ({"trigger_config": {"timezone": "Mars"}}, ["trigger_config", "timezone"], "IANA"),
    ({"trigger_type": "INTERVAL", "trigger_config": {}}, ["trigger_config"], "0.1s"),
    (
        {"trigger_type": "INTERVAL", "trigger_config": {"seconds": "5"}},
        ["trigger_config", "seconds"],
        "number",
    ),
    ({"trigger_type": "DATE", "trigger_config": {}}, ["trigger_config", "run_date"], "required"),
    (
        {"trigger_type": "DATE", "trigger_config": {"run_date": "x"}},
        ["trigger_config", "run_date"],
        "ISO",
    ),
    (
        {"trigger_type": "DATE", "trigger_config": {"run_date": "2020-01-01"}},
        ["trigger_config", "run_date"],
        "has passed",
    ),
    ({"trigger_type": "EVENT", "trigger_config": {"type": "a*b"}}, ["trigger_config", "type"], "end only"),
    ({"trigger_type": "EVENT", "trigger_config": {"type": 5}}, ["trigger_config", "type"], "string"),
    (
        {"trigger_type": "EVENT", "trigger_config": {"filter": "event.data.x >"}},
        ["trigger_config", "filter"],
        "",
    ),
    (
        {"trigger_type": "WEBHOOK", "trigger_config": {"secret": "whsec_"}},
        ["trigger_config", "secret"],
        "",
    ),
    ({"tirgger_config": {}}, ["tirgger_config"], "Extra"),
]


async def test_a_wrong_field_is_named(rest):
    before = await rest.call("GET")
    for change, loc, said in WRONG_FIELDS:
        refused = await rest.call("POST", json={**CREATE, **change}, status=422)
        found = {tuple(one["loc"]): one["msg"] for one in refused["detail"]}
        assert ("body", *loc) in found, refused
        assert said in found["body", *loc]
    assert await rest.call("GET") == before, "nothing is left behind"


async def test_unknown_flows_are_404_and_named(rest):
    for flow_id in ("no", "no.such:thing", "00000000-0000-0000-0000-000000000000", "gateway_programs:GATES"):
        refused = await rest.call("POST", json={**CREATE, "flow_id": flow_id}, status=404)
        assert flow_id in refused["detail"]


async def test_triggers_that_can_not_be(rest):
    agent_id = await rest.active("echo")
    wrong = (
        ({"content": b"{"}, 400),
        ({"json": [1]}, 422),
        ({"json": "x"}, 422),
        ({"json": {"x": "y" * 1_048_576}}, 422),
        ({"json": {}, "params": {"trigger_source": "Not A Name"}}, 422),
        ({"json": {}, "params": {"trigger_source": "webhook"}}, 422),
        ({"json": {}, "params": {"tirgger_source": "x"}}, 422),
    )
    for sent, status in wrong:
        assert (await rest.call("POST", f"/{agent_id}/trigger", status=status, **sent))["detail"]
    for empty in (b"", b"null", b"{}"):
        await rest.call("POST", f"/{agent_id}/trigger", content=empty)
    await until(lambda: _count(rest, agent_id, 3), what="three executions")


async def _count(rest, agent_id, count):
    return len(await rest.executions(agent_id)) == count


async def test_methods_that_are_not_there(rest):
    for method, path, allowed in (
        ("PUT", "/", {"GET", "HEAD", "POST"}),
        ("POST", "/echo", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("GET", "/echo/start", {"POST"}),
        ("DELETE", "/echo/executions", {"GET", "HEAD"}),
    ):
        answer = await rest.client.request(method, f"{PREFIX}{path}")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed
        assert json.loads(answer.text)["detail"]
