"""Enumerations between the wire's numbers and the models' StrEnums."""

from enum import StrEnum
from typing import TypeVar

from google.protobuf.descriptor import EnumDescriptor

EnumT = TypeVar("EnumT", bound=StrEnum)


class EnumTable(dict[int, EnumT]):
    """The members of a StrEnum by their numbers; a number that a newer server sends is UNSPECIFIED.

    Made when its module is imported: a member that the contract has and the StrEnum lacks fails there.
    """

    def __init__(self, wire: EnumDescriptor, kind: type[EnumT]) -> None:
        super().__init__({one.number: kind(one.name) for one in wire.values})
        self._unknown = self[0]

    def __missing__(self, number: int) -> EnumT:
        return self._unknown
