"""A concurrency key: a CEL expression over an execution's input, whose value says which executions share places."""

import hashlib
from functools import lru_cache
from typing import Any, Final

from nightcrew.domain.cel_text import cel_value, check_bounds, placed, said
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.values import encode

FIELD: Final = "concurrency_key"
MAX_KEY: Final = 256
"""Characters of a key; of a longer one a digest is kept."""
LARGE: Final = 64 * 1024
"""An expression with a comprehension or a `+` is not evaluated over more input than this, in characters."""
NO_KEY: Final = ""
"""What an execution has whose key can't be told: such ones share their places."""

_COMPILED: Final = 1024
_TAKEN: Final = frozenset({"STRING", "INT", "UINT", "DOUBLE", "BOOL", "DYN", "NULL"})


class KeyUnknown(Exception):  # noqa: N818 - it reads as what is the matter
    """A key could not be evaluated; says why."""


class KeyExpression:
    """A compiled expression.

    Args:
        expression: The library's form of it.
        most: The characters of the largest input that it sees; 0 is no bound.
    """

    def __init__(self, expression: Any, *, most: int = 0) -> None:
        self._expression = expression
        self._most = most

    def of(self, given: str) -> str:
        """The key of an input, which is JSON text; null is no key.

        Raises:
            KeyUnknown: It can't be told; says why.
        """
        if self._most and len(given) > self._most:
            raise KeyUnknown(
                f"with its comprehension or '+' it sees an input of at most {self._most} characters"
            )
        try:
            value = self._expression.eval(_environment().Activation({"input": cel_value(given)}))
            plain = value.value()
        except Exception as error:
            # The library raises RuntimeError for what it refuses and others for values that it can't take.
            raise KeyUnknown(said(error)) from error
        kind = value.type().name()
        if plain is None:
            return NO_KEY
        if kind == "ERROR" or not isinstance(plain, str | bool | int | float):
            raise KeyUnknown(said(plain) if kind == "ERROR" else f"it gives {kind}, not a text or a number")
        text = plain if isinstance(plain, str) else encode(plain)
        return text if len(text) <= MAX_KEY else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@lru_cache(maxsize=_COMPILED)
def compile_key(text: str) -> KeyExpression:
    """The expression of a text.

    Raises:
        InvalidArgument: It has a fault; names `concurrency_key` and the position in it, from 0.
    """
    multiplies = check_bounds(text, field=FIELD, noun="key")
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:
        raise InvalidArgument.of(FIELD, placed(str(error), text)) from None
    given = expression.return_type().name()
    if given not in _TAKEN:
        raise InvalidArgument.of(
            FIELD, f"at position 0: must be a text, a number or true or false, gives {given}"
        )
    return KeyExpression(expression, most=LARGE if multiplies else 0)


@lru_cache(maxsize=1)
def _environment() -> Any:
    # Loaded when the first key is: most runtimes and all workers have none.
    from cel_expr_python import cel  # noqa: PLC0415

    return cel.NewEnv(variables={"input": cel.Type.DYN})
