"""How a broker is reached: what its adapter is given."""

from dataclasses import dataclass

from nightcrew.domain.broker.url import BrokerUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a broker is reached.

    Attributes:
        url: What is wanted of it.
        host: The address that was checked, or the name where TLS must verify it.
        user: With secrets in it, as is the password; empty for none.
        password: The password.
    """

    url: BrokerUrl
    host: str
    user: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.url.port}"
