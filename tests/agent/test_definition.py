"""@agent: what it attaches, what it leaves alone, and how it names what is wrong."""
# ruff: noqa: A002 - `input` is the contract's name

from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.agent import Restart, Retry, agent, at, civil, cron, every, on_event, on_webhook, resident
from nightcrew.agent.definition import definition_of
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.policy import OverlapPolicy, RestartMode
from nightcrew.domain.spec.program import Isolation


def test_bare_keeps_the_function_and_makes_the_manifest():
    @agent
    async def daily_digest(ctx, input):
        """Sends the digest."""
        return input

    made = definition_of(daily_digest)
    assert made is not None
    assert made.start is True
    assert made.module == __name__
    assert made.manifest.id == "daily-digest"
    assert made.manifest.description == "Sends the digest."
    assert made.manifest.spec.program.python.entrypoint == f"{__name__}:daily_digest"
    assert daily_digest.__name__ == "daily_digest"


def test_every_argument_reaches_its_field():
    @agent(
        id="shop",
        triggers=[cron("0 9 * * *", tz="Europe/Berlin"), every(minutes=5, phase=2)],
        retry=Retry(5, initial_backoff=2, max_backoff=timedelta(minutes=1), non_retryable=[KeyError, "Odd"]),
        timeout=30,
        total_timeout="90s",
        cancel_grace=0,
        max_concurrency=3,
        max_backlog=0,
        overlap="buffer_one",
        pause_after_failures=4,
        input={"a": 1},
        labels={"team": "ops"},
        display_name="Shop",
        isolation="dedicated",
        restart=Restart("transient", intensity=2, period=10),
        start=False,
    )
    def fn(a):
        return a

    manifest = definition_of(fn).manifest
    spec = manifest.spec
    assert definition_of(fn).start is False
    assert manifest.display_name == "Shop"
    assert manifest.labels == {"team": "ops"}
    assert spec.input == {"a": 1}
    assert spec.isolation is Isolation.DEDICATED
    assert spec.execution.timeout == timedelta(seconds=30)
    assert spec.execution.total_timeout == timedelta(seconds=90)
    assert spec.execution.cancel_grace == timedelta(0)
    assert spec.execution.max_concurrency == 3
    assert spec.execution.max_backlog == 0
    assert spec.execution.overlap is OverlapPolicy.BUFFER_ONE
    assert spec.execution.pause_after_failures == 4
    assert spec.execution.retry.max_attempts == 5
    assert spec.execution.retry.non_retryable == ("KeyError", "Odd")
    assert spec.restart.mode is RestartMode.TRANSIENT
    assert spec.triggers[0].schedule.time_zone == "Europe/Berlin"
    assert spec.triggers[1].schedule.interval.phase == timedelta(seconds=2)


def test_ids_default_by_kind_and_are_numbered():
    @agent(
        triggers=[
            cron("@daily"),
            cron("@hourly"),
            cron("@weekly", id="cron-3"),
            cron("@monthly"),
            every(seconds=1),
            at(datetime(2030, 1, 1, tzinfo=UTC)),
            civil(2, "08:30", tz="Asia/Tokyo"),
            on_event("shop.*"),
            on_webhook(verify="github", secrets="s"),
            resident(),
        ]
    )
    def fn():
        return None

    ids = [one.id for one in definition_of(fn).manifest.spec.triggers]
    assert ids == [
        "cron",
        "cron-2",
        "cron-3",
        "cron-4",
        "interval",
        "date",
        "civil",
        "event",
        "webhook",
        "resident",
    ]


def test_ids_that_authors_chose_are_not_renumbered():
    with pytest.raises(InvalidArgument, match="twice"):
        agent(id="a", triggers=[cron("@daily", id="x"), cron("@hourly", id="x")])(lambda: None)


def test_trigger_options_reach_the_schedule():
    one = cron(
        "0 9 * * *",
        tz="Europe/Berlin",
        jitter=30,
        catch_up="all",
        catch_up_window=3600,
        dst_gap="skip",
        dst_fold="both",
        start="2026-01-01T00:00:00Z",
        end=datetime(2027, 1, 1, tzinfo=UTC),
        max_fires=3,
        input={"k": "v"},
        overlap="allow",
        disabled=True,
    )
    assert one.to_json() == {
        "id": "cron",
        "disabled": True,
        "input": {"k": "v"},
        "overlap": "OVERLAP_POLICY_ALLOW",
        "schedule": {
            "cron": {"expression": "0 9 * * *"},
            "time_zone": "Europe/Berlin",
            "start_time": one.schedule.to_json()["start_time"],
            "end_time": one.schedule.to_json()["end_time"],
            "jitter": "30s",
            "catch_up": {"mode": "CATCH_UP_MODE_ALL", "window": "3600s"},
            "dst_gap": "DST_GAP_SKIP",
            "dst_fold": "DST_FOLD_BOTH",
            "max_fires": 3,
        },
    }


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: agent(timeout=-1), "timeout"),
        (lambda: agent(timeout="soon"), "timeout"),
        (lambda: agent(overlap="maybe"), "overlap"),
        (lambda: agent(isolation="cloud"), "isolation"),
        (lambda: agent(max_concurrency=-1), "max_concurrency"),
        (lambda: agent(retry=3), "retry"),
        (lambda: agent(restart="always"), "restart"),
        (lambda: agent(input={"x": object()}), "input"),
        (lambda: agent(triggers=["0 9 * * *"]), "triggers[0]"),
        (lambda: agent(id="Not A Slug")(lambda: None), "id"),
        (lambda: agent(lambda: None, id=None), "id"),
        (lambda: agent(id="x")(3), "target"),
        (lambda: agent(id="x")(int), "target"),
        (lambda: Retry(0), "max_attempts"),
        (lambda: Retry(2, initial_backoff="x"), "initial_backoff"),
        (lambda: Retry(2, non_retryable=[3]), "non_retryable[0]"),
        (lambda: Restart("often"), "mode"),
        (every, "every"),
        (lambda: every(seconds=1, phase="x"), "phase"),
        (lambda: every(seconds=1, tz="UTC"), "tz"),
        (lambda: cron(""), "expression"),
        (lambda: cron("0 0 31 2 *"), "expression"),
        (lambda: cron("@daily", tz="Mars/Base"), "tz"),
        (lambda: cron("@daily", start="2026-02-01T00:00:00Z", end="2026-01-01T00:00:00Z"), "end"),
        (lambda: every(seconds=0.01), "every"),
        (lambda: every(seconds=5, phase=5), "phase"),
        (lambda: cron("@daily", catchup="all"), "catchup"),
        (lambda: cron("@daily", catch_up="some"), "catch_up"),
        (lambda: cron("@daily", start="yesterday"), "start"),
        (lambda: cron("@daily", id="No"), "id"),
        (lambda: at(datetime(2030, 1, 1)), "time"),
        (lambda: civil(0), "days"),
        (lambda: civil(1, "25:00"), "time"),
        (on_event, "types"),
        (lambda: on_webhook(verify="maybe"), "verify"),
    ],
)
def test_an_error_names_the_argument(make, field):
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert any(
        one.field == field or one.description.startswith(f"{field} ") for one in caught.value.violations
    )


def test_generators_and_second_decorations_are_refused():
    def gen():
        yield 1

    with pytest.raises(InvalidArgument, match="generator"):
        agent(gen)

    @agent
    def once():
        return 1

    with pytest.raises(InvalidArgument, match="'once' already"):
        agent(id="twice")(once)
    assert definition_of(once).manifest.id == "once"


def test_an_object_with_run_is_an_agent_when_it_is_given_an_id():
    class Graph:
        async def ainvoke(self, input):
            return input

    graph = agent(id="graph")(Graph())
    assert definition_of(graph).manifest.id == "graph"
    assert definition_of(Graph()) is None

    with pytest.raises(InvalidArgument, match="no name"):
        agent(Graph())


def test_what_takes_no_attribute_says_so():
    class Slim:
        __slots__ = ()

        def run(self):
            return 1

    with pytest.raises(InvalidArgument, match="wrap it in a function"):
        agent(id="slim")(Slim())


def test_a_fault_in_an_events_filter_is_told_where_it_is_written():
    with pytest.raises(InvalidArgument) as caught:
        on_event("shop.*", "a*b", filter="event.data.total >")
    assert [one.field for one in caught.value.violations] == ["types[1]", "filter"]
    assert "at position 18" in caught.value.message
