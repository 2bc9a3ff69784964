"""Updates by field mask: which paths exist, and the resource with the named fields replaced (AIP-134, AIP-161)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.spec.agent import Manifest

_MUTABLE: Final = ("display_name", "description", "labels", "spec")
_OUTPUT_ONLY: Final = frozenset(
    {"state", "state_reason", "state_time", "generation", "create_time", "update_time", "status"}
)


def apply_mask(
    current: Mapping[str, Any], patch: Mapping[str, Any], paths: Sequence[str], *, field: str = "update_mask"
) -> dict[str, Any]:
    """The current resource with the fields of `paths` taken from `patch`; a field absent there is cleared.

    Args:
        current: The agent's JSON: display_name, description, labels, spec.
        patch: The JSON of the agent that was sent.
        paths: Dotted paths; none means every field that the patch has, `*` means all of them.
        field: The path to name in errors.

    Raises:
        InvalidArgument: A path does not exist, or names what an update can't set (the state, say).
    """
    if list(paths) == ["*"]:
        chosen: Sequence[str] = _MUTABLE
    else:
        chosen = list(paths) or [name for name in _MUTABLE if name in patch]
    faults = [FieldViolation(field, why) for path in chosen if (why := _flaw(path))]
    if faults:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in faults), violations=faults)
    out = dict(current)
    for path in chosen:
        _replace(out, patch, path.split("."))
    return out


def _flaw(path: str) -> str:
    head, *rest = path.split(".")
    if head in _OUTPUT_ONLY:
        return f"{path!r} can't be set by an update; states change by Start, Stop, Pause and Resume"
    if head not in _MUTABLE:
        return f"{path!r} is not a field of an agent that can be updated; there are {', '.join(_MUTABLE)}"
    model: Any = Manifest.model_fields[head].annotation
    for part in rest:
        model = _step(model, part)
        if model is None:
            return f"{path!r} does not exist: there is no {part!r} there"
    return ""


def _step(model: Any, part: str) -> Any:
    for option in (model, *get_args(model)):
        if isinstance(option, type) and issubclass(option, BaseModel) and part in option.model_fields:
            return option.model_fields[part].annotation
    if get_origin(model) is dict and part:
        return get_args(model)[1]
    return None


def _replace(out: dict[str, Any], patch: Mapping[str, Any], parts: Sequence[str]) -> None:
    source: Any = patch
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        has = isinstance(source, Mapping) and part in source
        if last:
            if has:
                out[part] = source[part]
            else:
                out.pop(part, None)
            return
        source = source[part] if has else {}
        out[part] = dict(out.get(part) or {})
        out = out[part]
