"""The decorator `@agent`: attaches an immutable definition to a function or object and leaves it callable."""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, overload

from nightcrew.agent.arguments import Span, build, choice, span
from nightcrew.agent.limits import Limits
from nightcrew.agent.retry import Restart, Retry
from nightcrew.agent.triggers import numbered
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import AgentSpec, Manifest, check_slug
from nightcrew.domain.spec.policy import ExecutionPolicy, OverlapPolicy
from nightcrew.domain.spec.program import Isolation, Program, PythonProgram
from nightcrew.domain.spec.trigger import Trigger
from nightcrew.domain.values import checked

MARK: Final = "__nightcrew_agent__"
ENTRY_METHODS: Final = ("ainvoke", "run", "invoke")
"""What makes an object that is no function an entrypoint, in the order they are looked for."""

_NO_SLUG: Final = re.compile(r"[^a-z0-9]+")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What `@agent` says of an object.

    Attributes:
        manifest: The agent as its author wrote it, id and entrypoint included.
        start: Whether an agent first seen is started.
        module: The module in which it was decorated: the one that discovery registers it for.
    """

    manifest: Manifest
    start: bool = True
    module: str = ""

    def located(self, module: str, attribute: str) -> "Definition":
        """The same definition under the entrypoint where it was found."""
        program = Program(python=PythonProgram(entrypoint=f"{module}:{attribute}"))
        spec = self.manifest.spec.model_copy(update={"program": program})
        return replace(self, manifest=self.manifest.model_copy(update={"spec": spec}))


def definition_of(target: object) -> Definition | None:
    """The definition attached to an object, if it is decorated."""
    try:
        found = inspect.getattr_static(target, MARK, None)
    except TypeError:
        return None
    return found if isinstance(found, Definition) else None


@overload
def agent(target: T, /) -> T: ...


@overload
def agent(
    *,
    id: str | None = None,
    triggers: Sequence[Trigger] | Trigger = (),
    retry: Retry | None = None,
    timeout: Span | None = None,
    total_timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    cancel_grace: Span | None = None,
    max_concurrency: int | None = None,
    max_backlog: int | None = None,
    overlap: str | OverlapPolicy | None = None,
    pause_after_failures: int | None = None,
    pools: Sequence[str] = (),
    concurrency_key: str | None = None,
    max_concurrency_per_key: int | None = None,
    limits: Limits | None = None,
    input: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    description: str | None = None,
    display_name: str | None = None,
    isolation: str | Isolation | None = None,
    restart: Restart | None = None,
    start: bool = True,
) -> Callable[[T], T]: ...


def agent(
    target: Any = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 - the contract's word
    triggers: Sequence[Trigger] | Trigger = (),
    retry: Retry | None = None,
    timeout: Span | None = None,
    total_timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    cancel_grace: Span | None = None,
    max_concurrency: int | None = None,
    max_backlog: int | None = None,
    overlap: str | OverlapPolicy | None = None,
    pause_after_failures: int | None = None,
    pools: Sequence[str] = (),
    concurrency_key: str | None = None,
    max_concurrency_per_key: int | None = None,
    limits: Limits | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's word
    labels: Mapping[str, str] | None = None,
    description: str | None = None,
    display_name: str | None = None,
    isolation: str | Isolation | None = None,
    restart: Restart | None = None,
    start: bool = True,
) -> Any:
    """Makes a function, or an object with `ainvoke`, `run` or `invoke`, an agent; bare or with arguments.

    Args:
        target: The function, when used bare.
        id: The agent's id; the function's name with `_` as `-` by default.
        triggers: What makes it run: `cron(…)`, `every(…)`, `at(…)`, `civil(…)`, `on_event(…)` and so on.
        retry: How failed attempts are tried again; not at all by default.
        timeout: Seconds that one attempt may run; no limit by default.
        total_timeout: Seconds from creation to the end, waits and retries included.
        heartbeat_timeout: Seconds within which each `ctx.heartbeat` must follow the one before, or the attempt ends.
        cancel_grace: Seconds between a cancel and the kill; 10 by default.
        max_concurrency: Executions at once; 1 by default, 0 is no bound.
        max_backlog: Executions that may wait; 1000 by default, 0 is no bound.
        overlap: What happens to work that comes while `max_concurrency` is reached: skip, buffer_one,
            buffer_all, cancel_other, terminate_other, allow.
        pause_after_failures: Failed executions in a row after which the agent goes to ERROR; 0 is never.
        pools: Pools of nightcrew.toml that each execution takes a place in while it runs.
        concurrency_key: CEL over `input`, such as `input.customer`: executions of one key run one at a time.
        max_concurrency_per_key: How many of one key may be under way; 1 by default.
        limits: What it may use up before it is paused: `Limits(executions_per_hour=100, spend_per_day={"usd": 5})`.
        input: What every execution is given; triggers and calls are merged over it.
        labels: For selectors.
        description: The function's docstring by default.
        display_name: What people are shown in place of the id.
        isolation: inline, pool or dedicated; async functions are inline by default, sync ones in the pool.
        restart: The restart policy of a resident.
        start: Whether the agent is started when it is first seen.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    execution = build(
        ExecutionPolicy,
        {
            "timeout": span(timeout, field="timeout"),
            "total_timeout": span(total_timeout, field="total_timeout"),
            "heartbeat_timeout": span(heartbeat_timeout, field="heartbeat_timeout"),
            "cancel_grace": span(cancel_grace, field="cancel_grace"),
            "retry": _instance(retry, Retry, "retry").policy if retry is not None else None,
            "overlap": choice(overlap, OverlapPolicy, field="overlap"),
            "max_concurrency": max_concurrency,
            "max_backlog": max_backlog,
            "pause_after_failures": pause_after_failures,
            "pools": (pools,) if isinstance(pools, str) else tuple(pools),
            "concurrency_key": concurrency_key,
            "max_concurrency_per_key": max_concurrency_per_key,
        },
    )
    checked(dict(input or {}), field="input")
    spec = {
        "input": dict(input or {}),
        "triggers": numbered(_triggers(triggers)),
        "execution": execution,
        "restart": _instance(restart, Restart, "restart").policy if restart is not None else None,
        "isolation": choice(isolation, Isolation, field="isolation"),
        "limits": _instance(limits, Limits, "limits").limits if limits is not None else None,
    }
    person = {"display_name": display_name, "description": description, "labels": dict(labels or {})}

    def attach(target: Any, module: str) -> Any:
        _check_target(target)
        name = getattr(target, "__name__", "")
        made = Definition(
            manifest=_manifest(
                target, id or _slug(name), {**spec, "program": _program(module, name)}, person
            ),
            start=start,
            module=module,
        )
        _mark(target, made)
        return target

    if target is None:
        return lambda target: attach(target, _caller(2))
    return attach(target, _caller(2))


def _manifest(target: object, name: str, spec: Mapping[str, Any], person: Mapping[str, Any]) -> Manifest:
    if not name:
        raise InvalidArgument.of("id", f"is required: {type(target).__name__} has no name to make it from")
    check_slug(name, field="id")
    values = {**person, "id": name, "spec": build(AgentSpec, spec)}
    if values["description"] is None:
        values["description"] = (
            inspect.cleandoc(getattr(target, "__doc__", None) or "") if _plain(target) else ""
        )
    return build(Manifest, values)


def _triggers(given: Sequence[Trigger] | Trigger) -> tuple[Trigger, ...]:
    many = (given,) if isinstance(given, Trigger) else tuple(given)
    for i, one in enumerate(many):
        if not isinstance(one, Trigger):
            raise InvalidArgument.of(
                f"triggers[{i}]",
                f"must be made by cron(), every(), at(), on_event() and the like, not {one!r}",
            )
    return many


def _instance(value: T, kind: type[T], field: str) -> T:
    if not isinstance(value, kind):
        raise InvalidArgument.of(field, f"must be {kind.__name__}(…), not {value!r}")
    return value


def _check_target(target: object) -> None:
    if isinstance(target, type):
        raise InvalidArgument.of(
            "target", f"is the class {target.__name__}; decorate a function, or pass an object of the class"
        )
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise InvalidArgument.of("target", "is a generator; an agent returns one result")
    if not callable(target) and not any(callable(getattr(target, name, None)) for name in ENTRY_METHODS):
        raise InvalidArgument.of(
            "target", f"must be a function or have one of {', '.join(ENTRY_METHODS)}, not {target!r}"
        )
    earlier = definition_of(target)
    if earlier is not None:
        raise InvalidArgument.of(
            "target", f"is the agent {earlier.manifest.id!r} already; wrap it in a function of its own"
        )


def _mark(target: Any, made: Definition) -> None:
    try:
        setattr(target, MARK, made)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidArgument.of(
            "target", f"{type(target).__name__} takes no attribute ({error}); wrap it in a function"
        ) from error


def _program(module: str, name: str) -> Program:
    attribute = name if name.isidentifier() else "_"
    return Program(python=PythonProgram(entrypoint=f"{module}:{attribute}"))


def _plain(target: object) -> bool:
    return inspect.isroutine(target)


def _slug(name: str) -> str:
    if not name.isidentifier():  # a lambda
        return ""
    return _NO_SLUG.sub("-", name.lower()).strip("-")


def _caller(depth: int) -> str:
    return str(sys._getframe(depth).f_globals.get("__name__", ""))  # noqa: SLF001 - the one way to know it
