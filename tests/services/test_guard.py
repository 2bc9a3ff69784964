"""The guard: what callers may touch of a flow, which programs there are, and where they may run."""

import json
from pathlib import Path

import pytest

from nightcrew.crew.registry import Registry
from nightcrew.domain.errors import InvalidArgument, Unavailable
from nightcrew.domain.spec.agent import Manifest
from nightcrew.ports.host import ProgramSource
from nightcrew.services.guard import Guard, check_labels

FLOWS = Path(__file__).parents[1] / "data" / "flows"


@pytest.fixture
def guard():
    registry = Registry()
    registry.put(
        [
            ProgramSource(kind="python", name="jobs:fast", path="/jobs.py", is_async=True),
            ProgramSource(kind="python", name="jobs:slow", path="/jobs.py"),
            ProgramSource(kind="langflow", name="slow_sleep", path="/slow_sleep.json", is_async=True),
        ]
    )
    registry.put_flow("slow_sleep", json.loads((FLOWS / "slow_sleep.json").read_text()))
    return Guard(registry)


def manifest(program, **spec):
    kind, name = program.split(" ")
    key = "entrypoint" if kind == "python" else "flow"
    extra = spec.pop("of_program", {})
    return Manifest.parse({"spec": {"program": {kind: {key: name, **extra}}, **spec}})


def refusal(call, *args, **kwargs):
    with pytest.raises(InvalidArgument) as caught:
        call(*args, **kwargs)
    return caught.value.code, {one.field: one.description for one in caught.value.violations}


def test_a_program_that_was_not_given_is_refused_with_those_that_were(guard):
    code, fields = refusal(guard.check_manifest, manifest("python jobs:other"))
    assert code == "program_not_allowed"
    assert "known: jobs:fast, jobs:slow" in fields["agent.spec.program.python"]
    for program in ({"command": {"argv": ["rm"]}}, {"http": {"url": "http://127.0.0.1"}}):
        other = Manifest.parse({"spec": {"program": program}})
        assert refusal(guard.check_manifest, other)[0] == "program_not_allowed"


def test_inline_is_for_async_functions(guard):
    guard.check_manifest(manifest("python jobs:fast", isolation="ISOLATION_INLINE"))
    guard.check_manifest(manifest("python jobs:slow", isolation="ISOLATION_DEDICATED"))
    _, fields = refusal(
        guard.check_manifest, manifest("python jobs:slow", isolation="ISOLATION_INLINE"), field="agents[3]"
    )
    assert "a sync function never runs on the event loop" in fields["agents[3].spec.isolation"]


def test_callers_tweak_what_is_harmless_and_nothing_else(guard):
    good = {"Slow-1": {"secs": 1}}
    bad = {"Slow-1": {"code": "import os"}}
    program = manifest("langflow slow_sleep").spec.program
    guard.check_input(program, {"tweaks": good})
    guard.check_input(manifest("python jobs:fast").spec.program, {"tweaks": bad})  # no flow: it is just input
    code, fields = refusal(guard.check_input, program, {"tweaks": bad})
    assert code == "tweak_not_allowed"
    assert all(field.startswith("input.tweaks") for field in fields)
    guard.check_manifest(manifest("langflow slow_sleep", input={"tweaks": good}))
    spec = manifest(
        "langflow slow_sleep",
        of_program={"tweaks": bad},
        input={"tweaks": bad},
        triggers=[{"schedule": {"interval": {"every": "60s"}}, "input": {"tweaks": bad}}],
    )
    _, fields = refusal(guard.check_manifest, spec)
    places = ("program.langflow.tweaks", "input.tweaks", "triggers[0].input.tweaks")
    assert {field.partition(".Slow-1")[0] for field in fields} == {f"agent.spec.{one}" for one in places}
    guard.check_manifest(spec, from_api=False)  # a file's author may: a flow is code


def test_labels_have_bounds():
    check_labels({"a": ""}, field="labels")
    for labels in ({"": "x"}, {"k" * 257: ""}, {"k": "v" * 257}, {str(n): "" for n in range(65)}):
        assert "labels" in refusal(check_labels, labels, field="labels")[1]


def test_a_closed_guard_takes_no_work_and_says_why(guard):
    guard.check_open()
    assert not guard.closed
    guard.close("the runtime drains")
    assert guard.closed
    with pytest.raises(Unavailable, match="drains"):
        guard.check_open()


def test_a_secret_is_named_rightly_or_the_field_is(guard):
    good = manifest("langflow slow_sleep", of_program={"variables": {"A": "${secret:A_b-1}", "B": "$HOME"}})
    guard.check_manifest(good)
    bad = manifest("langflow slow_sleep", of_program={"variables": {"A": "ok", "B": "${secret:../x}"}})
    _, fields = refusal(guard.check_manifest, bad)
    assert list(fields) == ["agent.spec.program.langflow.variables.B"]


def test_an_input_that_no_fire_could_have_is_refused_when_it_is_written(guard):
    half = "x" * (600 * 1024)
    _, fields = refusal(guard.check_manifest, manifest("python jobs:fast", input={"a": half, "b": half}))
    assert list(fields) == ["agent.spec.input"]
    trigger = {"id": "t", "schedule": {"interval": {"every": "1s"}}, "input": {"b": half}}
    guard.check_manifest(manifest("python jobs:fast", input={"b": half}, triggers=[trigger]))
    _, fields = refusal(
        guard.check_manifest, manifest("python jobs:fast", input={"a": half}, triggers=[trigger])
    )
    assert "1048576 bytes" in fields["agent.spec.triggers[0].input"]
