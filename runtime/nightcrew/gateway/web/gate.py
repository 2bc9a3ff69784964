"""The gate before the routes: guards, a bound on what is served at once, headers, and a line in the log."""

from collections.abc import Callable
from typing import Final

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightcrew.gateway.web.browsers import PROVEN, SECURITY_HEADERS, Ours, refusal
from nightcrew.ports.clock import Clock

MAX_REQUESTS: Final = 2048
"""Requests that are served at once; each may hold a body."""
_FAULT: Final = 500

Seen = Callable[[str, int, float], None]
"""Told of each answer: the method, the status, the seconds."""

log = structlog.get_logger(__name__)


class Gate:
    """Lets requests through, or answers why not.

    Args:
        app: What serves them.
        ours: Which hosts and origins are right.
        clock: Measures.
        seen: Told of each answer.

    Attributes:
        serving: How many requests are served now.
    """

    def __init__(self, app: ASGIApp, *, ours: Ours, clock: Clock, seen: Seen) -> None:
        self._app = app
        self._ours = ours
        self._clock = clock
        self._seen = seen
        self.serving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        began = self._clock.monotonic()
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(one for one in SECURITY_HEADERS if one[0] not in said),
                ]
            await send(message)

        self.serving += 1
        try:
            await self._serve(scope, receive, answered)
        finally:
            self.serving -= 1
            self._note(scope, status, self._clock.monotonic() - began)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.serving > MAX_REQUESTS:
            detail = f"{MAX_REQUESTS} requests are served, which is all there may be"
            await JSONResponse({"detail": detail}, 503, {"Retry-After": "1"})(scope, receive, send)
            return
        why = refusal(scope["method"], scope["path"], scope["headers"], self._ours)
        if why is not None:
            await JSONResponse({"detail": why.detail}, why.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """One line a request. Of the URL only the path: a hook's query may hold its sender's secrets.

        Of an address that is a secret itself not even that.
        """
        method = scope["method"]
        self._seen(method, status, seconds)
        tell = log.warning if status >= _FAULT or not status else log.debug
        path = f"{PROVEN}…" if scope["path"].startswith(PROVEN) else scope["path"][:200]
        tell("http", method=method, path=path, status=status, ms=round(seconds * 1000, 1))
