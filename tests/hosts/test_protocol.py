"""The pipe's frames: any cut of the bytes gives the same messages, every form comes back as it was."""

import dataclasses
import json
import struct
from datetime import UTC, datetime

import pytest

from nightcrew.domain.execution import ExecutionError, TriggerKind, TriggerRef
from nightcrew.domain.log import LogStream, NewLogEntry, Severity
from nightcrew.domain.spec.program import Isolation, LangflowProgram, SessionMode
from nightcrew.hosts.process import protocol
from nightcrew.ports.host import Abandoned, Cancelled, Failed, Interrupted, NotLoaded, Succeeded


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 10_000])
def test_any_cut_gives_the_same_messages(size):
    messages = [{"kind": "a", "n": n, "text": "ü" * n} for n in range(30)]
    data = b"".join(protocol.pack(**one) for one in messages)
    unpacker = protocol.Unpacker()
    got = [one for at in range(0, len(data), size) for one in unpacker.feed(data[at : at + size])]
    assert got == messages


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", protocol.MAX_FRAME + 1),
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"{}",
    ],
)
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(protocol.ProtocolError):
        list(protocol.Unpacker().feed(data))


def test_jobs_come_back(programs):
    job = dataclasses.replace(
        programs.job("m", "f", is_async=False, given={"a": [1, {"b": None}]}),
        trigger=TriggerRef(
            kind=TriggerKind.SCHEDULE,
            trigger_id="cron",
            nominal_time=datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
            event_id="e",
            cause_execution_id="c",
        ),
        labels={"team": "ops"},
        memory={"n": 1},
        memory_refusal="no",
        attempt=3,
        lease=9,
        isolation=Isolation.POOL,
    )
    assert protocol.job_from_json(json.loads(json.dumps(protocol.job_to_json(job)))) == job
    flow = programs.flow(
        "f",
        program=LangflowProgram(
            flow="f", tweaks={"A": {"b": 1}}, variables={"K": "v"}, session=SessionMode.PER_AGENT
        ),
    )
    assert protocol.job_from_json(json.loads(json.dumps(protocol.job_to_json(flow)))) == flow


ERROR = ExecutionError(type="KeyError", message="'x'", traceback="t", retryable=False)


@pytest.mark.parametrize(
    "outcome",
    [
        Succeeded('{"a":1}'),
        Succeeded("null", '{"n":1}'),
        Failed(ERROR),
        NotLoaded(ERROR),
        Cancelled(),
        Interrupted("worker_lost", "why"),
    ],
)
def test_outcomes_come_back(outcome):
    data = json.loads(json.dumps(protocol.outcome_to_json(outcome)))
    assert protocol.outcome_from_json(data) == outcome


def test_what_is_no_outcome_is_refused():
    with pytest.raises(protocol.ProtocolError):
        protocol.outcome_to_json(Abandoned("x"))
    with pytest.raises(protocol.ProtocolError):
        protocol.outcome_from_json(["odd"])


def test_entries_come_back():
    entry = NewLogEntry(
        time=datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=UTC),
        message="ü",
        severity=Severity.ERROR,
        stream=LogStream.TOKEN,
        fields={"a": [1]},
    )
    assert protocol.entry_from_json(json.loads(json.dumps(protocol.entry_to_json(entry)))) == entry
