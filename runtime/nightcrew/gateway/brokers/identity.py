"""Names for messages whose broker gives them none of its own that lasts."""

from hashlib import sha256

from nightcrew.system.ids import SystemIds


class Identities:
    """Names messages.

    Args:
        by_body: Equal bodies are one message; else each without a name of its sender's is another.
    """

    def __init__(self, *, by_body: bool) -> None:
        self._by_body = by_body
        self._ids = SystemIds()

    def of(self, body: bytes, given: str) -> str:
        """The name of a message: its sender's if there is one."""
        if given:
            return given[:256]
        return sha256(body).hexdigest() if self._by_body else self._ids.uuid7()
