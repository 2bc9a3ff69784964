"""Settings: flags over variables over the file, and faults that name what is wrong."""

from datetime import timedelta

import pytest

from nightcrew.config.settings import load_settings
from nightcrew.domain.addresses import Allowed
from nightcrew.domain.errors import InvalidArgument


@pytest.fixture(autouse=True)
def _nothing_from_outside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(tmp_path, text):
    (tmp_path / "nightcrew.toml").write_text(text)
    return load_settings()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", Allowed()),
        ("allow_private = false", Allowed()),
        ("allow_private = true", Allowed(private=True)),
        ('allow_private = ["10.0.0.0/8", "ollama.lan"]', Allowed.of(["10.0.0.0/8", "ollama.lan"])),
        ("allow_private = []", Allowed()),
    ],
)
def test_what_is_allowed_besides_public_addresses(tmp_path, text, allowed):
    assert written(tmp_path, text).allowed == allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("true", Allowed(private=True)),
        ("0", Allowed()),
        ("::1, db.lan", Allowed.of(["::1", "db.lan"])),
        ("", Allowed()),
    ],
)
def test_the_same_from_the_environment(monkeypatch, text, allowed):
    monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", text)
    assert load_settings().allowed == allowed


@pytest.mark.parametrize(
    "text", ['allow_private = ["10.0.0.0/99"]', 'allow_private = ["not a name"]', "allow_private = 3.5"]
)
def test_what_is_no_name_or_network_is_named(tmp_path, text):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, text)
    assert {violation.field.split(".")[0] for violation in caught.value.violations} == {"allow_private"}


@pytest.mark.parametrize(
    ("given", "kinds"), [("", ()), ("command", ("command",)), ("http, command", ("http", "command"))]
)
def test_which_programs_may_run(monkeypatch, given, kinds):
    monkeypatch.setenv("NIGHTCREW_ALLOW", given)
    assert load_settings().allow == kinds


def test_a_kind_that_there_is_not_is_named(tmp_path):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, 'allow = ["http", "everything"]')
    assert [one.field for one in caught.value.violations] == ["allow[1]"]


HOOK = """
[[outbound]]
name = "ops"
url = "https://ops.example.com/in"
types = ["nightcrew.agent.failed", "nightcrew.execution.*"]
secret = "${secret:OPS}"
schedule = ["5s", 60]
"""


def test_outbound_hooks(tmp_path):
    (hook,) = written(tmp_path, HOOK).outbound
    assert (hook.name, hook.secret, [wait.total_seconds() for wait in hook.schedule]) == (
        "ops",
        "${secret:OPS}",
        [5, 60],
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (HOOK + HOOK, "outbound"),
        (HOOK.replace("https", "ftp"), "outbound[0].url"),
        (HOOK + HOOK.replace('"ops"', '"Ops"'), "outbound[1].name"),
        (HOOK.replace("${secret:OPS}", "hunter2"), "outbound[0].secret"),
        (HOOK + "colour = 1", "outbound[0].colour"),
    ],
)
def test_a_table_that_is_no_hook_is_named(tmp_path, text, field):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, text)
    assert [one.field for one in caught.value.violations] == [field]
    assert "hunter2" not in str(caught.value)


POOLS = """
[pools.openai]
rate = "60/minute"
concurrency = 8
[pools.db]
concurrency = 4
"""


def test_pools_of_the_file_and_of_the_environment(tmp_path, monkeypatch):
    pools = written(tmp_path, POOLS).pools
    assert {name: (one.rate, one.concurrency) for name, one in pools.items()} == {
        "openai": ("60/minute", 8),
        "db": ("", 4),
    }
    monkeypatch.setenv("NIGHTCREW_POOLS", '{"x": {"rate": "1/s"}}')
    assert load_settings().pools["x"].rate == "1/s"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[pools.Open_AI]\nconcurrency = 1", "pools"),
        ("[pools.a]", "pools.a"),
        ('[pools.a]\nrate = "often"', "pools.a.rate"),
        ("[pools.a]\nconcurrency = 1\nrate_limit = 3", "pools.a.rate_limit"),
        ("pools = 3", "pools"),
    ],
)
def test_pools_that_are_wrong_are_named(tmp_path, text, field):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, text)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_how_long_things_are_kept(tmp_path, monkeypatch):
    kept = written(tmp_path, '[retention]\nexecutions = "12h"\nexecutions_per_agent = 5\n').retention
    assert (kept.executions, kept.executions_per_agent, kept.events) == (
        timedelta(hours=12),
        5,
        timedelta(days=7),
    )
    (tmp_path / "nightcrew.toml").unlink()
    monkeypatch.setenv("NIGHTCREW_RETENTION", '{"events": "1d"}')
    assert load_settings().retention.events == timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('executions = "1m"', "retention.executions"),
        ('events = "soon"', "retention.events"),
        ("executions_per_agent = 0", "retention.executions_per_agent"),
        ('ledger = "1d"', "retention.ledger"),
    ],
)
def test_wrong_ages_are_named(tmp_path, text, field):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, f"[retention]\n{text}\n")
    assert [one.field for one in caught.value.violations] == [field]
