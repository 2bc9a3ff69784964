"""Page tokens of lists that grow at their end: a token is the place of the page's last item."""

import base64

from nightcrew.domain.errors import InvalidArgument


def write_place(place: int, kind: str) -> str:
    """The token of the page after a place in a list of this kind."""
    return base64.urlsafe_b64encode(f"{kind} {place}".encode()).decode().rstrip("=")


def read_place(token: str, kind: str) -> int:
    """The place of a token.

    Raises:
        InvalidArgument: It is none of ours.
    """
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except ValueError:
        text = ""
    digits = text.removeprefix(f"{kind} ")
    if digits == text or not digits.isdecimal() or len(digits) > len(str(2**63)):
        raise InvalidArgument.of("page_token", "is not a token that this service gave out; begin without one")
    return int(digits)
