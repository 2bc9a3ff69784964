"""CloudEvents over HTTP: the three content modes say the same, and what is refused leaves nothing behind."""

import base64
import json

import pytest
import pytest_asyncio
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from tests.gateway.support.gateway_box import as_json
from tests.gateway.support.hook_calls import served

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json; charset=UTF-8"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "shop.order"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}


@pytest_asyncio.fixture
async def web(box):
    async with served(box) as client:
        yield client


async def listed(box):
    answer = await box.call("ListEvents", filter='type:"shop" OR type = "t"', order_by="sequence")
    return [as_json(event) for event in answer.events]


async def post(web, content, headers, status=202):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = await web.post("/events", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_sdks_own_events_are_taken_in_both_modes(box, web):
    attributes = {
        "type": "shop.order",
        "source": "/shop",
        "id": "Ü 1",
        "subject": "50 % of ü",
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
        "tenant": "blue",
    }
    event = CloudEvent(
        attributes={**attributes, "specversion": "1.0", "time": http.isoparse(attributes["time"])},
        data={"n": 1.5, "ü": [None]},
    )
    for message in (http.to_structured(event, JSONFormat()), http.to_binary(event, JSONFormat())):
        answer = await post(web, message.body, message.headers)
        found = await listed(box)
        assert answer["sequences"] == [int(found[0]["sequence"])]
        assert found == [
            {
                "sequence": str(answer["sequences"][0]),
                **{name: attributes[name] for name in ("type", "source", "id", "subject", "time")},
                "data": {"n": 1.5, "ü": [None]},
                "extensions": {"tenant": "blue", "datacontenttype": "application/json"},
            }
        ]
    assert answer["results"] == [{"sequence": answer["sequences"][0], "deduplicated": True}]


async def test_a_batch_is_published_whole(box, web):
    answer = await post(web, [{**EVENT, "id": str(n), "data": n} for n in range(3)], BATCH)
    assert [event["data"] for event in await listed(box)] == [0, 1, 2]
    assert answer["sequences"] == [int(event["sequence"]) for event in await listed(box)]


async def test_a_published_event_wakes_an_agent(box, web):
    await box.active("a", triggers=[{"id": "event", "event": {"types": ["shop.*"]}}])
    await post(web, {**EVENT, "data": {"n": 1}}, STRUCTURED)
    (execution,) = (await box.call("ListExecutions", filter='agent_id = "a"')).executions
    done = await box.execution_reaches(execution.id, "STATE_SUCCEEDED")
    assert as_json(done.result)["event"]["data"] == {"n": 1}


DATA = [
    (b'{"n":1}', "application/json", {"n": 1}, {}),
    (b"[1]", "application/vnd.shop+json; charset=utf-8", [1], {}),
    (b"0", "", 0, {}),
    (b"plain \xc3\xbc", "text/plain", "plain ü", {}),
    (b"\xff\x00", "application/octet-stream", "/wA=", {"datacontentencoding": "base64"}),
    (b"", "application/json", None, {}),
]


@pytest.mark.parametrize(("body", "content_type", "data", "extensions"), DATA)
async def test_data_of_every_kind(box, web, body, content_type, data, extensions):
    said = {"datacontenttype": content_type} if content_type else {}
    await post(web, body, {**BINARY, **({"content-type": content_type} if content_type else {})})
    encoded = {"data_base64": base64.b64encode(body).decode()} if content_type else {"data": data}
    await post(web, {**EVENT, "id": "2", **said, **encoded}, STRUCTURED)
    binary, structured = await listed(box)
    assert binary.get("data") == structured.get("data") == data
    assert binary.get("extensions", {}) == structured.get("extensions", {}) == said | extensions


async def test_attributes_that_are_no_texts_become_texts(box, web):
    await post(web, {**EVENT, "flag": True, "count": -7, "gone": None}, STRUCTURED)
    assert (await listed(box))[0]["extensions"] == {"flag": "true", "count": "-7"}


def without(name):
    return {key: value for key, value in EVENT.items() if key != name}


def without_header(name):
    return {key: value for key, value in BINARY.items() if key != f"ce-{name}"}


MIB = 1024 * 1024
REFUSED = [
    ({}, {}, 415, "send CloudEvents"),
    (EVENT, {"content-type": "application/json"}, 415, "send CloudEvents"),
    (EVENT, {"content-type": "application/cloudevents+xml"}, 415, "send CloudEvents"),
    (EVENT, {"content-type": "application/cloudevents+avro", **BINARY}, 415, "send CloudEvents"),
    (EVENT, {"content-type": "application/cloudevents+json; charset=latin-1"}, 415, "UTF-8"),
    (b"{", STRUCTURED, 400, "body: must be JSON"),
    (b"", STRUCTURED, 400, "body: must be JSON"),
    (b'{"a":NaN}', STRUCTURED, 400, "NaN is no JSON"),
    (b'"\xff"', STRUCTURED, 400, "body: must be UTF-8; byte 1 is not"),
    (b"[" * 100_000, STRUCTURED, 400, "not as deep"),
    ([EVENT], STRUCTURED, 400, "events[0]: must be a JSON object"),
    (EVENT, BATCH, 400, "body: must be a JSON array"),
    ([EVENT, 7], BATCH, 400, "events[1]: must be a JSON object"),
    ([], BATCH, 400, "events: must be 1 to 1000"),
    ([EVENT] * 1001, BATCH, 400, "events: must be 1 to 1000"),
    *((without(name), STRUCTURED, 400, f"events[0].{name}: ") for name in EVENT),
    *((b"", without_header(name), 400, f"events[0].{name}: ") for name in EVENT),
    ({**EVENT, "specversion": "0.3"}, STRUCTURED, 400, "events[0].specversion"),
    ({**EVENT, "id": ""}, STRUCTURED, 400, "events[0].id"),
    ({**EVENT, "id": {}}, STRUCTURED, 400, "events[0].id: must be a text"),
    ({**EVENT, "source": "no reference"}, STRUCTURED, 400, "events[0].source: must be a URI reference"),
    ({**EVENT, "type": "nightcrew.x"}, STRUCTURED, 400, "events[0].type: must not begin with"),
    ({**EVENT, "time": "yesterday"}, STRUCTURED, 400, "events[0].time: must be an RFC 3339 time"),
    ({**EVENT, "time": "2026-01-01T00:00:00"}, STRUCTURED, 400, "events[0].time: must be an RFC 3339 time"),
    ({**EVENT, "Bad_Name": "x"}, STRUCTURED, 400, "events[0].Bad_Name"),
    ({**EVENT, "ext": 1.5}, STRUCTURED, 400, "events[0].ext: must be a text"),
    ({**EVENT, "data_base64": "?"}, STRUCTURED, 400, "events[0].data_base64: must be base64"),
    ({**EVENT, "data_base64": "AA==", "data": 1}, STRUCTURED, 400, "one of them is right"),
    ({**EVENT, "data": "x" * MIB}, STRUCTURED, 400, "events[0].data: must be at most"),
    (b"{", {**BINARY, "content-type": "application/json"}, 400, "events[0].data: must be JSON"),
    (b"", {**BINARY, "ce-time": "x"}, 400, "events[0].time"),
    (b"", {**BINARY, "ce-specversion": "2"}, 400, "events[0].specversion"),
    (b"", {**BINARY, "ce-data": "x"}, 400, "events[0].data: is no header"),
    (b"", {**BINARY, "ce-datacontenttype": "text/plain"}, 400, "events[0].datacontenttype"),
    (b"x" * (8 * MIB + 1), STRUCTURED, 413, "at most"),
]


@pytest.mark.parametrize(("content", "headers", "status", "why"), REFUSED)
async def test_what_is_refused_says_why_and_leaves_nothing(box, web, content, headers, status, why):
    answer = await post(web, content, headers, status)
    assert list(answer) == ["detail"]
    assert why in answer["detail"]
    assert await listed(box) == []


async def test_a_header_that_is_given_twice_is_not_guessed_at(box, web):
    headers = [*BINARY.items(), ("ce-id", "2")]
    answer = await web.post("/events", content=b"", headers=headers)
    assert answer.status_code == 400
    assert "ce-id" in answer.json()["detail"]
    assert await listed(box) == []


async def test_other_methods_and_a_drain(box, web):
    assert (await web.get("/events")).status_code == 405
    box.runtime.guard.close("draining")
    answer = await web.post("/events", json=EVENT, headers=STRUCTURED)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
