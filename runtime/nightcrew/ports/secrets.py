"""Secrets as a port: sealed for the store, and looked up by the name that `${secret:NAME}` says."""

from typing import Protocol


class Secrets(Protocol):
    """Keeps secrets out of the clear; nothing that it returns belongs in a spec, an answer, a log or an event."""

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """The text encrypted; it opens only with the same `bound_to` (such as the agent and trigger it is of).

        Raises:
            SecretUnavailable: There is no key and none can be made, or the one there is can't be used.
        """

    def open(self, sealed: bytes, *, bound_to: str) -> str:
        """The text of what `seal` made.

        Raises:
            SecretUnavailable: The key is gone or is another, or what was sealed was changed or is another's.
        """

    def fingerprint(self, text: str) -> str:
        """What tells equal texts from others and is of no use to guess them: a digest under the key.

        Raises:
            SecretUnavailable: As `seal` does.
        """

    def named(self, name: str) -> str:
        """The secret of that name, from the runtime's environment or its data folder, as it is now.

        Raises:
            SecretUnavailable: There is none, or the name is not a right one; says where it is looked for.
        """

    def new(self) -> str:
        """A new secret for Standard Webhooks, `whsec_…`, that nobody can guess."""
