"""Recorder and capture: bounds with one mark, odd values, and what belongs to no execution passes through."""

import io
import json
import logging
import sys
from datetime import UTC, datetime

import pytest
import structlog

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.log import LogStream, Severity
from nightcrew.system.capture import (
    adopt_structlog,
    capture_structlog,
    install,
    logger_of,
    recording,
    uninstall,
)
from nightcrew.system.logging import configure_logging
from nightcrew.system.recorder import Recorder, plain_fields


def recorder(**limits):
    entries = []
    made = Recorder(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), emit=entries.append, **limits)
    return made, entries


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.stdout, sys.stderr)
    yield
    uninstall()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    sys.stdout, sys.stderr = before[2:]
    structlog.reset_defaults()


def test_lines_are_entries_and_the_rest_waits():
    made, entries = recorder()
    made.write("one\ntw", LogStream.STDOUT)
    made.write("o\r\n", LogStream.STDOUT)
    made.write("err", LogStream.STDERR)
    assert [one.message for one in entries] == ["one", "two"]
    made.close()
    made.close()
    made.add("late")
    made.write("late\n", LogStream.STDOUT)
    assert [(one.message, one.stream) for one in entries][2:] == [("err", LogStream.STDERR)]


def test_bounds_leave_one_mark():
    made, entries = recorder(max_entries=3)
    for n in range(10):
        made.add(f"entry {n}")
    made.close()
    assert [one.message for one in entries[:3]] == ["entry 0", "entry 1", "entry 2"]
    assert len(entries) == 4
    assert entries[3].message.startswith("7 log entries (49 bytes) left out")
    assert entries[3].severity is Severity.WARNING

    made, entries = recorder(max_bytes=10)
    made.add("12345678")
    made.add("123")
    made.add("ab")
    made.close()
    assert [one.message for one in entries[:2]] == ["12345678", "ab"]
    assert entries[2].message.startswith("1 log entries (3 bytes)")


def test_long_and_odd_values_are_cut_and_shown():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    made, entries = recorder()
    made.add("x" * 100_000)
    assert len(entries[0].message) < 70_000
    assert entries[0].message.endswith("characters cut)")
    fields = plain_fields({"a": {1}, "b": Odd(), "c": float("nan"), "d": {"e": [1]}, 5: "\ud800"})
    assert fields == {
        "a": "{1}",
        "b": "(Odd: its repr raised RuntimeError)",
        "c": "nan",
        "d": {"e": [1]},
        "5": "?",
    }
    json.dumps(fields, allow_nan=False)
    assert "fields_left_out" in plain_fields({"a": ["x" * 60_000], "b": ["y" * 60_000]})


def test_logging_with_an_exception_and_a_bad_format():
    logging.getLogger().handlers.clear()  # pytest's own raises for records that can't be formatted
    install()
    install()
    made, entries = recorder()
    log = logging.getLogger("some.where")
    with recording(made):
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("it failed", extra={"order": 3})
        log.info("%d", "no number")
        log.debug("below")
    first, second = entries
    assert first.severity is Severity.ERROR
    assert first.fields["order"] == 3
    assert first.fields["logger"] == "some.where"
    assert "ValueError: boom" in first.fields["exception"]
    assert "could not be formatted" in second.message


def test_structlog_with_an_exception():
    stream = io.StringIO()
    configure_logging(log_format="json", stream=stream)
    made, entries = recorder()
    with recording(made):
        try:
            raise ValueError("boom")
        except ValueError:
            structlog.get_logger().exception("it failed", order=3)
        with structlog.contextvars.bound_contextvars(request="r1"):
            structlog.get_logger().warning("bound")
    assert stream.getvalue() == ""
    assert entries[0].fields["order"] == 3
    assert "ValueError: boom" in entries[0].fields["exception"]
    assert entries[0].severity is Severity.ERROR
    assert entries[1].fields["request"] == "r1"
    assert entries[1].severity is Severity.WARNING


def test_what_belongs_to_no_execution_goes_to_the_process(capsys):
    stream = io.StringIO()
    configure_logging(log_format="json", level="info", stream=stream)
    install()
    structlog.get_logger("own").info("hello", n=1)
    logging.getLogger("grpc").error("from %s", "grpc", extra={"k": 2})
    print("plain")
    own, grpc = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (own["message"], own["n"], own["level"], own["logger"]) == ("hello", 1, "info", "own")
    assert (grpc["message"], grpc["k"], grpc["logger"]) == ("from grpc", 2, "grpc")
    assert capsys.readouterr().out == "plain\n"

    made, entries = recorder()
    with recording(made):
        logging.getLogger("grpc").error("captured")
        made.close()
        logging.getLogger("grpc").error("after its end")
    assert [one.message for one in entries] == ["captured"]
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()][2:] == ["after its end"]


def test_console_format_shows_tracebacks():
    stream = io.StringIO()
    configure_logging(log_format="console", level="warning", stream=stream)
    configure_logging(log_format="console", level="warning", stream=stream)
    structlog.get_logger().info("hidden")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    assert "hidden" not in stream.getvalue()
    assert stream.getvalue().count("it failed") == 1
    assert "ValueError: boom" in stream.getvalue()


@pytest.mark.parametrize("bad", [{"log_format": "xml"}, {"level": "loud"}])
def test_bad_settings_are_named(bad):
    with pytest.raises(InvalidArgument):
        configure_logging(**bad)


def test_a_foreign_structlog_configuration_is_adopted():
    lines = []

    def keep(_logger, _method, event):
        lines.append(event)
        return ""

    structlog.configure(
        processors=[structlog.processors.add_log_level, keep],
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    log.info("cached before")
    adopt_structlog()
    adopt_structlog()
    assert structlog.get_config()["processors"].count(capture_structlog) == 1
    made, entries = recorder()
    with recording(made):
        log.warning("taken", n=1)
    assert [one["event"] for one in lines] == ["cached before"]
    assert [(one.message, one.severity, one.fields) for one in entries] == [
        ("taken", Severity.WARNING, {"n": 1})
    ]


def test_ctx_log_writes_whatever_the_context():
    made, entries = recorder()
    logger_of(made).bind(a=1).debug("deep", b=2)
    assert [(one.message, one.severity, one.fields) for one in entries] == [
        ("deep", Severity.DEBUG, {"a": 1, "b": 2})
    ]
