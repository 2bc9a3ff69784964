"""The couriers of the outbound hooks, under a supervisor of their own."""

from collections.abc import Sequence

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.supervisor import Supervisor
from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import Commits
from nightcrew.domain.spec.outbound import OutboundHook
from nightcrew.keepers.outbound.courier import Courier
from nightcrew.keepers.outbound.sender import Sender
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.store import Store
from nightcrew.services.feed import EventFeed


def couriers(
    hooks: Sequence[OutboundHook],
    *,
    sender: Sender,
    store: Store,
    commits: Commits,
    feed: EventFeed,
    bus: Bus,
    clock: Clock,
    ids: Ids,
) -> list[ChildSpec]:
    """One courier for each hook, so that a receiver holds up nobody but its own; nothing where there is no hook."""
    made = [
        Courier(hook, sender=sender, store=store, commits=commits, feed=feed, bus=bus, clock=clock, ids=ids)
        for hook in hooks
    ]
    children = [ChildSpec(id=courier.name, start=courier.serve) for courier in made]
    return [Supervisor("outbound", children, clock=clock).as_child()] if children else []
