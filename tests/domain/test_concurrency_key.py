"""Concurrency keys: what an expression gives over an input, and faults with their positions."""

import pytest

from nightcrew.domain.concurrency_key import MAX_KEY, KeyUnknown, compile_key
from nightcrew.domain.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "given", "key"),
    [
        ("input.customer", '{"customer":"acme"}', "acme"),
        ("input.customer", '{"customer":7}', "7"),
        ("input.customer", '{"customer":-7.5}', "-7.5"),
        ("input.customer", '{"customer":true}', "true"),
        ("input.customer", '{"customer":null}', ""),
        ("input.customer", '{"customer":""}', ""),
        ("input.customer", '{"customer":123456789012345678901}', "1.2345678901234568e+20"),
        ("input.a.b", '{"a":{"b":"deep"}}', "deep"),
        ("input.a[1]", '{"a":["x","y"]}', "y"),
        ('input.tenant + "/" + input.user', '{"tenant":"t","user":"u"}', "t/u"),
        ('has(input.customer) ? input.customer : "none"', "{}", "none"),
        ("input.event.subject", '{"event":{"subject":"order-7"}}', "order-7"),
        ("null", "{}", ""),
        ('"all"', "{}", "all"),
    ],
)
def test_a_key(text, given, key):
    assert compile_key(text).of(given) == key


@pytest.mark.parametrize("given", ["{}", '{"customer":[1]}', '{"customer":{"id":1}}', "not json"])
def test_a_key_that_cannot_be_told(given):
    with pytest.raises(KeyUnknown, match=r"."):
        compile_key("input.customer").of(given)


def test_a_long_key_is_kept_as_a_digest_of_its_own():
    keys = {compile_key("input.k").of(f'{{"k":"{"x" * MAX_KEY}{end}"}}') for end in ("", "a", "b")}
    assert len(keys) == 3
    assert all(len(key) <= MAX_KEY for key in keys)


def test_what_multiplies_sees_small_inputs_only():
    key = compile_key("input.a + input.b")
    assert key.of('{"a":"1","b":"2"}') == "12"
    with pytest.raises(KeyUnknown, match="at most"):
        key.of(f'{{"a":"1","b":"{"x" * 70_000}"}}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input.", "at position 6"),
        ("input.customer ==", "at position 17"),
        ("order.customer", "at position 5: undeclared reference"),
        ("customer", "at position 0: undeclared reference"),
        ("[input.a]", "at position 0: must be a text"),
        ("input.a.matches(input.b)", "at position 8: matches"),
        ("input.l.map(x, x + 1)", "at position 17: a key with a comprehension"),
        ("", "at position 0"),
    ],
)
def test_a_fault_is_named_with_its_position(text, said):
    with pytest.raises(InvalidArgument) as caught:
        compile_key(text)
    (violation,) = caught.value.violations
    assert violation.field == "concurrency_key"
    assert said in violation.description
