"""Filters over values in memory say what the language says."""

from datetime import UTC, datetime

import pytest

from nightcrew.domain.filter import parse
from nightcrew.domain.filter_fields import BOOL, INTEGER, STRING, TIME, enum_of
from nightcrew.domain.filter_match import matches

FIELDS = {
    "name": STRING,
    "count": INTEGER,
    "time": TIME,
    "on": BOOL,
    "kind": enum_of(("KIND_A", "KIND_B")),
    "labels.*": STRING,
    "missing": STRING,
}
VALUES = {
    "name": "daily digest",
    "count": 7,
    "time": datetime(2026, 3, 1, tzinfo=UTC),
    "on": True,
    "kind": "KIND_A",
    "labels.team": "ops",
    "missing": None,
}
CASES = {
    'name = "daily digest"': True,
    'name != "daily digest"': False,
    "name:digest": True,
    "name:weekly": False,
    'name:"*"': True,
    "count > 6 AND count <= 7": True,
    "count < 7": False,
    "count >= 8 OR count = 7": True,
    'time > "2026-01-01T00:00:00Z" time < "2027-01-01T00:00:00Z"': True,
    "on = false": False,
    "kind = KIND_A": True,
    "kind = KIND_B OR on = true": True,
    "NOT kind = KIND_B": True,
    "-count = 7": False,
    'labels.team = "ops"': True,
    "labels:team": True,
    "labels:tier": False,
    'labels.tier != "1"': False,
    "missing:x": False,
    'missing != "x"': False,
    'NOT missing = "x"': True,
    "NOT (name:digest AND NOT (count = 7 OR kind = KIND_B))": True,
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_a_filter_over_values(text, expected):
    expression = parse(text, FIELDS)
    assert expression is not None
    assert matches(expression, VALUES) is expected
