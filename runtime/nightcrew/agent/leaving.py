"""Ways out of a program that are no failure: a wait frees its memory, a journal does not fit, it goes on anew.

BaseExceptions, so that `except Exception` lets them pass; `finally` and `async with` run on the way out.
"""

from typing import Any


class Leaving(BaseException):
    """The program is left; its execution goes on later, or as another one."""


class Suspended(Leaving):
    """Everything that the program still does is to wait: it is run again, from its journal, when a wait is over."""


class Parked(Leaving):
    """The code does not fit its journal; the message names both sides."""


class Lost(Leaving):
    """The execution is no longer this attempt's: whatever it would still do is another's to do."""


class Continued(Leaving):
    """`ctx.continue_as_new`: this execution has ended, the next begins with another input.

    Args:
        given: The next one's input.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__("it goes on as a new execution")
        self.given = given
