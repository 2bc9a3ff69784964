"""Errors for people, line by line, and the exit codes they stand for."""

from collections.abc import Iterator
from typing import Final

from nightcrew.client.errors import DeadlineExceeded, InvalidRequest, NightcrewClientError, NotReachable

DONE: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130
"""What shells expect of a program that Ctrl-C ended."""


class WrongUse(Exception):  # noqa: N818 - what the exit code is called
    """Something that was given cannot be right; told as one line, exit code 2.

    Args:
        where: The option or argument.
        what: What is wrong with it, and what would be right.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


def exit_code(error: NightcrewClientError) -> int:
    """1 when the server refused, 2 when nothing could be sent, 3 when no server answered."""
    match error:
        case InvalidRequest():
            return WRONG_USE
        case NotReachable() | DeadlineExceeded():
            return UNREACHABLE
        case _:
            return REFUSED


def lines(error: NightcrewClientError, address: str) -> Iterator[str]:
    """What to tell: the error, then each wrong field, the states that would do, and when to try again."""
    match error:
        case NotReachable():
            yield f"nightcrew: no runtime answers at {address}: {error.message}"
            yield "  start one with `nightcrew up`, or name another with --address"
            return
        case DeadlineExceeded():
            yield f"nightcrew: the runtime at {address} did not answer in time"
            return
        case _:
            pass
    yield f"nightcrew: {error.code}{f' ({error.reason})' if error.reason else ''}: {error.message}"
    if not (len(error.field_violations) == 1 and error.message == _line(error, 0)):
        for index in range(len(error.field_violations)):
            yield f"  {_line(error, index)}"
    if error.state:
        yield f"  state: {error.state}"
    if error.allowed_states:
        yield f"  allowed states: {', '.join(error.allowed_states)}"
    if error.retry_delay is not None:
        yield f"  try again in {error.retry_delay.total_seconds():g} s"


def _line(error: NightcrewClientError, index: int) -> str:
    violation = error.field_violations[index]
    return f"{violation.field}: {violation.description}"
