"""`--type` of the events' commands takes types as triggers do: exact, or a prefix with `*` at its end."""

import pytest

from nightcrew.cli.inputs import any_type
from nightcrew.cli.refusal import WrongUse
from nightcrew.domain.filter import parse
from nightcrew.domain.filter_fields import STRING
from nightcrew.domain.filter_match import matches

TYPES = ("shop", "shop.", "shop.order", "shop.\U0010ffff", "shop/", "shoq", "bank.paid")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["shop"], {"shop"}),
        (["shop.*"], {"shop.", "shop.order", "shop.\U0010ffff"}),
        (["shop.*", "bank.paid"], {"shop.", "shop.order", "shop.\U0010ffff", "bank.paid"}),
        (["*"], set(TYPES)),
        ([], set(TYPES)),
    ],
)
def test_types_are_exact_or_begin_with_a_prefix(given: list[str], found: set[str]) -> None:
    tree = parse(any_type(given), {"type": STRING})

    assert {one for one in TYPES if tree is None or matches(tree, {"type": one})} == found


def test_a_star_elsewhere_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match="at its end only"):
        any_type(["*.created"])
