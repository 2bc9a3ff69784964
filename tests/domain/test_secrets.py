"""`${secret:NAME}` in texts: where it may stand, what is no reference, and that only a run's copy is resolved."""

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.secrets import check_program, flaw, key_of, refers, resolved, resolved_program
from nightcrew.domain.spec.program import Program

KNOWN = {"A": "one", "B_2-x": "two ${secret:A}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain $A {secret:A} ${A}", "plain $A {secret:A} ${A}"),
        ("${secret:A}", "one"),
        ("Bearer ${secret:A}.${secret:A}", "Bearer one.one"),
        ("${secret:B_2-x}", "two ${secret:A}"),  # what a secret says is not looked into
    ],
)
def test_references_are_replaced(text, expected):
    assert resolved(text, KNOWN.__getitem__) == expected
    assert refers(text) == (text != expected)
    assert flaw(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "${secret:}",
        "${secret:a.b}",
        "${secret:../A}",
        "${secret:A",
        "x${secret:a b}",
        "${secret:é}",
        f"${{secret:{'a' * 65}}}",
    ],
)
def test_what_is_badly_written_is_told(text):
    assert "${secret:NAME}" in flaw(text)


PLACES = [
    ("langflow", {"flow": "f"}, "variables"),
    ("command", {"argv": ["ls"]}, "env"),
    ("http", {"url": "http://example.com"}, "headers"),
]


@pytest.mark.parametrize(("kind", "least", "place"), PLACES, ids=[place for *_, place in PLACES])
def test_a_programs_places_are_resolved_in_a_copy(kind, least, place):
    program = Program.parse({kind: {**least, place: {"x": "a ${secret:A}", "y": "z"}}})
    check_program(program, field="spec.program")
    copy = resolved_program(program, KNOWN.__getitem__)
    assert getattr(getattr(copy, kind), place) == {"x": "a one", "y": "z"}
    assert getattr(getattr(program, kind), place)["x"] == "a ${secret:A}"
    bad = Program.parse({kind: {**least, place: {"x": "${secret:A", "y": "${secret:A}"}}})
    with pytest.raises(InvalidArgument) as caught:
        check_program(bad, field="spec.program")
    assert [one.field for one in caught.value.violations] == [f"spec.program.{kind}.{place}.x"]


@pytest.mark.parametrize(("kind", "least", "place"), [*PLACES, ("python", {"entrypoint": "a:b"}, "")])
def test_a_program_that_names_none_is_the_same_object(kind, least, place):
    program = Program.parse({kind: {**least, **({place: {"x": "y"}} if place else {})}})
    assert resolved_program(program, KNOWN.__getitem__) is program
    check_program(program, field="spec.program")


@pytest.mark.parametrize("text", ["", "short", "A" * 44, "é" * 44, "AAAA" * 11])
def test_what_is_no_key_is_told_and_not_shown(text):
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        key_of(text)
    assert not text or text not in str(caught.value)


def test_a_key():
    assert key_of(" " + "A" * 43 + "=\n") == bytes(32)
