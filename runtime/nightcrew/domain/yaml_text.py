"""YAML as JSON writes it, with the line of every field: what manifests and edited agents are read with."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml


class YamlFault(Exception):  # noqa: N818 - a fault of a text, told by its line
    """What is wrong with a YAML text, and on which line (from 1)."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the way to the lines of its fields."""

    value: Any
    node: yaml.Node

    def line(self, field: str) -> int:
        """The line (from 1) of a field such as `spec.triggers[0].id`, or of the nearest above it that is there."""
        node, line = self.node, self.node.start_mark.line + 1
        for step in _STEP.findall(field):
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        return line


_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_WORDS: Final = (
    ("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)\Z"), ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), ["t", "f"]),
    ("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9]\d*)\Z"), list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?\Z"),
        list("-0123456789"),
    ),
    ("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"]),
)


class _Loader(yaml.SafeLoader):
    """Plain words mean what they mean in JSON: `2026-01-01`, `10:30`, `no` and `1_000` are texts."""

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc]  # its own table, filled below


for _tag, _pattern, _first in _WORDS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


def documents(text: str) -> Iterator[Document]:
    """The documents of a text; empty ones are left out.

    Raises:
        YamlFault: It is no YAML, or a key is given twice.
    """
    loader = None
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            _refuse_repeated_keys(node)
            value = loader.construct_document(node)
            if value is not None:
                yield Document(value, node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(mark.line + 1 if mark else 1, error.problem or "is no YAML") from None
    except yaml.reader.ReaderError as error:
        raise YamlFault(
            text.count("\n", 0, error.position) + 1, f"holds the character #x{int(error.character):04x}"
        ) from None
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_repeated_keys(node: yaml.Node) -> None:
    match node:
        case yaml.MappingNode():
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                    raise YamlFault(key.start_mark.line + 1, f"the key {key.value!r} is given twice")
                seen.add(str(key.value))
                _refuse_repeated_keys(value)
        case yaml.SequenceNode():
            for item in node.value:
                _refuse_repeated_keys(item)
        case _:
            pass


def _child(node: yaml.Node, step: tuple[str, str]) -> tuple[yaml.Node, int] | None:
    index, name = step
    match node:
        case yaml.SequenceNode() if index and int(index) < len(node.value):
            item = node.value[int(index)]
            return item, item.start_mark.line + 1
        case yaml.MappingNode() if name:
            for key, value in node.value:
                if _snake(str(key.value)) == _snake(name):
                    return value, key.start_mark.line + 1
        case _:
            pass
    return None


def _snake(name: str) -> str:
    """Manifests may be written in camelCase; the server names fields in snake_case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
