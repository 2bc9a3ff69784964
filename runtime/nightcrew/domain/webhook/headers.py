"""The headers of a request as they came: every value of a name, none silently preferred to another."""

from collections.abc import Iterable, Iterator

from nightcrew.domain.errors import InvalidArgument, Unauthenticated


class Headers:
    """Header values by lower-case name, in the order they came.

    Args:
        pairs: Names and values as they are on the wire; text in them is Latin-1, as HTTP has it.
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("latin-1").strip()
            )

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each name with its values; several are one list, as HTTP reads them."""
        for name, values in self._values.items():
            yield name, ", ".join(values)

    def get(self, name: str) -> str:
        """The values of a name as one text; empty if there is none."""
        return ", ".join(self._values.get(name, ()))

    def proof(self, name: str) -> str:
        """The one value of a header that proves who the sender is.

        Raises:
            Unauthenticated: There is none, or there are several: which of them is meant must not be guessed.
        """
        values = self._values.get(name, ())
        if len(values) == 1 and values[0]:
            return values[0]
        raise Unauthenticated(f"the header {name} is {'given twice' if len(values) > 1 else 'missing'}")

    def single(self, name: str) -> str:
        """The one value of a header that may be left out; empty if it is.

        Raises:
            InvalidArgument: There are several.
        """
        values = self._values.get(name, ())
        if len(values) > 1:
            raise InvalidArgument.of(name, "is given twice; one value is right")
        return values[0] if values else ""
