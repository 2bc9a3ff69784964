"""Web pages can't speak for whoever runs the runtime: the grid of heads, then over a real server."""

import httpx
import pytest

from nightcrew.config.settings import load_settings
from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.web.browsers import Ours, refusal

OWN = "127.0.0.1:7448"
API = "/api/v1/background_agents/a/stop"
RPC = "/nightcrew.v1.AgentService/StopAgent"


def head(host=OWN, **more):
    found = [] if host is None else [(b"host", host.encode())]
    return found + [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]


NONE_MORE = Ours()


def status(method, path, headers, ours=NONE_MORE):
    why = refusal(method, path, headers, ours)
    return None if why is None else why.status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:7448", None),
        ("127.0.0.1", None),
        ("127.8.9.1:1", None),
        ("localhost:7448", None),
        ("LOCALHOST", None),
        ("[::1]:7448", None),
        ("crew.example.org", None),
        ("crew.example.org:443", None),
        ("evil.example:7448", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.168.0.7:7448", 403),
        ("0.0.0.0:7448", 403),
        ("", 403),
        (None, 400),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", API, RPC, "/events"])
def test_the_host_must_be_ours(host, expected, path):
    assert status("GET", path, head(host), Ours(hosts=("crew.example.org",))) == expected


def test_hooks_are_called_by_any_name():
    assert status("POST", "/hooks/a/webhook", head("crew.tunnel.example")) is None


@pytest.mark.parametrize("path", [API, RPC, "/events", "/hooks/a/webhook", "/healthz"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (head(origin=f"http://{OWN}"), None),
        (head(origin="https://board.example.org"), None),
        (head(origin="http://127.0.0.1:3000"), 403),
        (head(origin="http://localhost:7448"), 403),
        (head(origin="https://evil.example"), 403),
        (head(origin="null"), 403),
        (head(sec_fetch_site="cross-site"), 403),
        (head(sec_fetch_site="same-origin"), None),
        (head(sec_fetch_site="none"), None),
        ([*head(), (b"host", b"localhost")], 400),
    ],
)
def test_a_page_must_be_ours(path, headers, expected):
    assert status("GET", path, headers, Ours(origins=("https://board.example.org",))) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", None),
        ("application/json; charset=utf-8", None),
        ("Application/JSON", None),
        ("application/merge-patch+json", None),
        ("application/proto", None),
        ("application/grpc-web+proto", None),
        ("application/connect+json", None),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_a_form_is_no_call(kind, expected):
    headers = head(content_length="2", **({"content_type": kind} if kind else {}))
    assert status("POST", API, headers) == expected
    assert status("PATCH", RPC, headers) == expected
    assert status("POST", "/events", headers) is None
    assert status("POST", "/hooks/a/webhook", headers) is None


def test_a_call_without_a_body_needs_no_content_type():
    assert status("POST", API, head(content_length="0")) is None
    assert status("POST", API, head()) is None
    assert status("POST", API, head(transfer_encoding="chunked")) == 415
    assert status("POST", API, head(content_length="0", content_type="text/plain")) == 415


PAGES = [
    {"headers": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}},  # a form
    {"headers": {"Origin": "http://localhost:3000"}},  # another developer's page on this machine
    {"headers": {"Content-Type": "text/plain"}, "content": b"{}"},  # fetch with no-cors, in a browser of old
    {"headers": {"Host": "rebound.evil.example:7448"}},  # a name that was made to point here
]


@pytest.mark.parametrize("page", PAGES)
async def test_no_page_stops_an_agent(box, page):
    await box.active("a")
    async with httpx.AsyncClient(base_url=f"http://{box.runtime.web.address}", trust_env=False) as client:
        for path in (API, RPC):
            answer = await client.post(path, **page)
            assert answer.status_code in {403, 415}, answer.text
            assert answer.json()["detail"]
        assert await box.state("a") == "STATE_ACTIVE"
        assert (await client.post(API)).status_code == 200
    await box.reaches("a", "STATE_STOPPED")


async def test_every_answer_tells_browsers_what_it_is_not(box):
    async with httpx.AsyncClient(base_url=f"http://{box.runtime.web.address}", trust_env=False) as client:
        for answer in [
            await client.get("/healthz"),
            await client.get("/nowhere"),
            await client.post("/healthz"),
            await client.get("/healthz", headers={"Origin": "https://evil.example"}),
        ]:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hosts", "https://crew.example.org"),
        ("hosts", "crew.example.org:443"),
        ("origins", "crew.example.org"),
        ("origins", "https://crew.example.org/page"),
    ],
)
def test_wrong_names_are_refused(setting, value):
    with pytest.raises(InvalidArgument) as caught:
        load_settings(**{setting: value})
    assert caught.value.violations[0].field == setting


def test_names_are_read():
    settings = load_settings(hosts="crew.example.org, Other.Example", origins="https://board.example.org")
    assert settings.hosts == ("crew.example.org", "other.example")
    assert settings.origins == ("https://board.example.org",)
