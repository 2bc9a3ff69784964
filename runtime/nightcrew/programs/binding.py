"""An execution's input as a program's arguments (contract.md, Writing an agent)."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

from nightcrew.agent.base_context import BaseContext
from nightcrew.agent.context import Context, SyncContext
from nightcrew.domain.errors import join_path
from nightcrew.domain.spec.base import path as field_path
from nightcrew.programs.errors import InvalidInput, LoadError

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
Binding: TypeAlias = Callable[[BaseContext, Mapping[str, Any]], Arguments]

_FROM_TRIGGERS = frozenset({"event", "webhook"})
"""Keys that triggers add whether the program wants them or not."""


def bind_function(function: Callable[..., Any], *, path: str) -> Binding:
    """How a function is given its arguments.

    Raises:
        LoadError: Its signature or an annotation can't be used.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise LoadError(f"{function!r} has no signature: {error}", path=path) from error
    hints = _hints(function)
    parameters = list(signature.parameters.values())
    context = next((one for one in parameters if _is_context(one, hints)), None)
    if not parameters:
        return lambda _ctx, _given: ((), {})
    rest = [one for one in parameters if one is not context]
    if len(rest) == 1 and _takes_whole(rest[0], hints):
        only, validate = rest[0], _validator(rest[0], hints, path)
        return lambda ctx, given: _placed(signature, context, ctx, {only.name: validate(given)})
    return lambda ctx, given: _placed(signature, context, ctx, _by_key(rest, given, ctx))


def bind_object(method: Callable[..., Any], name: str) -> Binding:
    """How an object's `ainvoke`, `run` or `invoke` is given its input.

    `run` gets the input's keys when they are parameters of it (pydantic-ai's `user_prompt`); otherwise, and
    for the other two (LangGraph and the like), the whole input is the first argument.
    """
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return lambda _ctx, given: ((dict(given),), {})
    parameters = signature.parameters.values()
    context = next((one for one in parameters if _is_context(one, _hints(method))), None)
    rest = [one for one in parameters if one is not context]

    def bound(ctx: BaseContext, given: Mapping[str, Any]) -> Arguments:
        if not rest:
            return _placed(signature, context, ctx, {})
        names = {one.name for one in rest if one.kind is not one.VAR_KEYWORD}
        needed = {one.name for one in rest if one.default is one.empty and one.kind not in _VARIADIC}
        if name == "run" and given and needed <= set(given) <= names:
            return _placed(signature, context, ctx, dict(given))
        if rest[0].kind is inspect.Parameter.VAR_POSITIONAL:
            return (dict(given),), {}
        return _placed(signature, context, ctx, {rest[0].name: dict(given)})

    return bound


_CONTEXTS = (Context, SyncContext)
_CONTEXT_NAMES = tuple(one.__name__ for one in _CONTEXTS)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004 - its hints
    try:
        return typing.get_type_hints(target)
    except Exception:  # noqa: BLE001 - an annotation may be any expression; without it names still bind
        return dict(getattr(target, "__annotations__", {}))


def _is_context(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    if parameter.kind in _VARIADIC:
        return False
    hint = _bare(hints.get(parameter.name))
    # A hint that could not be resolved is still text.
    named = hint.rpartition(".")[2] in _CONTEXT_NAMES if isinstance(hint, str) else hint in _CONTEXTS
    return named or parameter.name == "ctx"


def _takes_whole(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    if parameter.kind in _VARIADIC:
        return False
    if parameter.name == "input":
        return True
    hint = _bare(hints.get(parameter.name))
    return isinstance(hint, type) and (
        issubclass(hint, (Mapping, BaseModel)) or dataclasses.is_dataclass(hint) or typing.is_typeddict(hint)
    )


def _bare(hint: Any) -> Any:
    """`dict[str, int]` → dict, `Annotated[X, …]` → X, `X | None` → X."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _bare(typing.get_args(hint)[0])
    if origin in {typing.Union, types.UnionType}:
        some = [one for one in typing.get_args(hint) if one is not type(None)]
        return _bare(some[0]) if len(some) == 1 else hint
    return origin or hint


def _validator(
    parameter: inspect.Parameter, hints: Mapping[str, Any], path: str
) -> Callable[[Mapping[str, Any]], Any]:
    hint = hints.get(parameter.name)
    if hint is None or hint in {Any, dict} or isinstance(hint, str):
        return dict
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except (PydanticUserError, NameError) as error:
        if isinstance(error, PydanticUserError) and error.code == "typed-dict-version":
            return dict  # before Python 3.12 pydantic can't look into typing.TypedDict
        raise LoadError(
            f"the annotation of {parameter.name!r} can't be validated: {error}", path=path
        ) from error

    def validate(given: Mapping[str, Any]) -> Any:
        try:
            return adapter.validate_python(dict(given))
        except ValidationError as error:
            raise InvalidInput(_said(error)) from error

    return validate


def _said(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{join_path('input', field_path(one['loc']))}: {one['msg']}" for one in found)


def _by_key(
    parameters: list[inspect.Parameter], given: Mapping[str, Any], context: BaseContext
) -> dict[str, Any]:
    names = {one.name for one in parameters if one.kind not in _VARIADIC}
    missing = [
        one.name
        for one in parameters
        if one.kind not in _VARIADIC and one.default is one.empty and one.name not in given
    ]
    if missing:
        raise InvalidInput("; ".join(f"input.{name}: is required" for name in missing))
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return dict(given)
    unused = sorted(set(given) - names - _FROM_TRIGGERS)
    if unused and names:
        context.log.warning("input has keys that the program does not take", keys=unused)
    return {name: value for name, value in given.items() if name in names}


def _placed(
    signature: inspect.Signature,
    parameter: inspect.Parameter | None,
    context: BaseContext,
    named: dict[str, Any],
) -> Arguments:
    """The arguments in the signature's order, positional-only ones included."""
    values = dict(named)
    if parameter is not None:
        values[parameter.name] = context
    args: list[Any] = []
    skipped = False
    for one in signature.parameters.values():
        if one.kind is not one.POSITIONAL_ONLY:
            continue
        if one.name in values and not skipped:
            args.append(values.pop(one.name))
        else:
            skipped = True
    return tuple(args), values
