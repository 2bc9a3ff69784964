"""The HTTP application: every route there is, behind the gate."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from nightcrew.crew.bus import Signal
from nightcrew.gateway.grpc.services import services
from nightcrew.gateway.status import Faults
from nightcrew.gateway.web import events, health, hooks, openapi, signals
from nightcrew.gateway.web.browsers import Ours
from nightcrew.gateway.web.connect import routes as connect
from nightcrew.gateway.web.errors import HANDLERS, LastResort
from nightcrew.gateway.web.gate import Gate
from nightcrew.gateway.web.metrics import Metrics
from nightcrew.gateway.web.rest import routes as rest
from nightcrew.ports.clock import Clock, Ids
from nightcrew.services.use_cases import UseCases

LOOPBACK_ONLY: Final = Ours()


def application(
    use_cases: UseCases, *, clock: Clock, ids: Ids, closing: Signal, ours: Ours = LOOPBACK_ONLY
) -> ASGIApp:
    """The application.

    Args:
        use_cases: What is served.
        clock: Measures and dates.
        ids: Names internal errors.
        closing: Once it is poked nobody waits any longer.
        ours: Which hosts and origins are right.
    """
    metrics = Metrics(use_cases)
    faults = Faults(ids)
    rpcs = connect.routes(services(use_cases, clock=clock, closing=closing), faults)
    router = Router(
        [*rpcs, *routes(use_cases, ids=ids, closing=closing), *metrics.routes()], redirect_slashes=False
    )
    served = LastResort(ExceptionMiddleware(router, handlers=HANDLERS), faults)
    return Gate(served, ours=ours, clock=clock, seen=metrics.seen)


def routes(use_cases: UseCases, *, ids: Ids, closing: Signal) -> Sequence[BaseRoute]:
    """What is served besides RPCs and figures, each room's own."""
    return [
        *hooks.routes(use_cases, closing=closing),
        *events.routes(use_cases),
        *signals.routes(use_cases),
        *rest.routes(use_cases, ids=ids),
        *health.routes(use_cases),
        *openapi.routes(),
    ]
