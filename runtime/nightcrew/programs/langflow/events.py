"""What a flow says while it runs: lfx's events become tokens, log entries and remembered errors."""

import json
from collections.abc import Callable
from typing import Any

from nightcrew.agent.base_context import BaseContext


class FlowEvents:
    """Stands where lfx expects a queue, and handles each event as it comes.

    Args:
        on_token: Takes each token.
        context: Its log takes what components log.

    Attributes:
        errors: Texts of messages that lfx marked as errors: some flows answer with one and raise nothing.
    """

    def __init__(self, on_token: Callable[[str], None], context: BaseContext) -> None:
        self._on_token = on_token
        self._context = context
        self.errors: set[str] = set()

    def manager(self) -> Any:
        """The event manager for one run."""
        from lfx.events.event_manager import create_default_event_manager  # noqa: PLC0415 - in workers only

        return create_default_event_manager(self)  # type: ignore[no-untyped-call]  # lfx is untyped here

    def put_nowait(self, item: tuple[str, bytes, float]) -> None:
        """Takes one event; lfx calls it on the loop's thread."""
        body = item[1]
        # Messages carry whole conversations: only what is of use is parsed.
        if body.startswith(b'{"event": "token"'):
            self._on_token(str(_data(body).get("chunk", "")))
        elif body.startswith(b'{"event": "log"'):
            data = _data(body)
            self._context.log.info(
                str(data.get("message", "")), component=data.get("component_id"), name=data.get("name")
            )
        elif b'"error": true' in body or b'"category": "error"' in body:
            data = _data(body)
            if data.get("error") is True or data.get("category") == "error":
                self.errors.add(str(data.get("text", "")))


def _data(body: bytes) -> dict[str, Any]:
    data = json.loads(body).get("data")
    return data if isinstance(data, dict) else {}
