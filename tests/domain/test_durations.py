"""Lengths of time as people type them."""

from datetime import timedelta

import pytest

from nightcrew.domain.durations import parse_typed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1.5m", 90),
        ("2d", 172_800),
        (" 1w ", 604_800),
        ("0s", 0),
    ],
)
def test_lengths(text, seconds):
    assert parse_typed(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "1 s", "1y", "٣s", "9" * 13 + "s", "9" * 12 + "w", "1h,2m"]
)
def test_what_is_none_is_told(text):
    with pytest.raises(ValueError, match="write 10s"):
        parse_typed(text)
