"""Labels in SQL: the value of a key inside a column of JSON text."""

import re
from collections.abc import Mapping
from typing import Final

_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')


def label_value(column: str, key: str) -> tuple[str, str]:
    """SQL for a label's value (NULL where it has none), and the one parameter that it binds."""
    if _PLAIN.fullmatch(key):
        return f"json_extract({column}, ?)", f'$."{key}"'
    # SQLite's paths have no escapes for these, so such a key is looked for among all of them.
    return f"(SELECT value FROM json_each({column}) WHERE key = ?)", key  # noqa: S608 - the column is a constant of this room


def selected(column: str, selector: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """SQL conditions for labels that hold the selector, and their parameters."""
    conditions, values = [], []
    for key, wanted in selector.items():
        sql, value = label_value(column, key)
        conditions.append(f"{sql} = ?")
        values += [value, wanted]
    return conditions, values
