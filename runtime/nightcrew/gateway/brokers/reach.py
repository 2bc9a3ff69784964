"""How brokers are reached: their names resolved and judged once, their secrets looked up when they are used."""

from collections.abc import Awaitable, Callable, Sequence

from nightcrew.domain.broker.url import BrokerUrl
from nightcrew.domain.secrets import resolved
from nightcrew.gateway.brokers.access import Access
from nightcrew.ports.secrets import Secrets

Checked = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and a port that may be connected to."""


class Reach:
    """Makes the Access of a URL.

    Args:
        checked: Where a host and a port lead, if the runtime may connect there.
        secrets: Where `${secret:NAME}` is looked up.
    """

    def __init__(self, checked: Checked, secrets: Secrets) -> None:
        self._checked = checked
        self._secrets = secrets

    async def access(self, url: BrokerUrl) -> Access:
        """How the broker is reached now.

        Raises:
            OutboundRefused: The runtime may not connect there.
            OutboundFailed: The name can't be resolved.
            SecretUnavailable: A secret that the URL names is not there.
        """
        address, *_ = await self._checked(url.host, url.port)
        return Access(
            url=url,
            # TLS must see the name to verify it; the address was judged all the same.
            host=url.host if url.tls else address,
            user=resolved(url.user, self._secrets.named),
            password=resolved(url.password, self._secrets.named),
        )
