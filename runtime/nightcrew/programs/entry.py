"""How an entrypoint object is called: which of its methods, whether it is async, and with what arguments."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightcrew.agent.base_context import BaseContext
from nightcrew.agent.definition import ENTRY_METHODS
from nightcrew.programs.binding import Binding, bind_function, bind_object
from nightcrew.programs.errors import LoadError


@dataclass(frozen=True, slots=True)
class Entry:
    """A callable and the way its arguments are made."""

    function: Callable[..., Any]
    binding: Binding
    is_async: bool

    @classmethod
    def of(cls, target: object, *, path: str) -> "Entry":
        """The entry of a function, or of an object with `ainvoke`, `run`, `invoke` or `__call__`.

        Raises:
            LoadError: It is none of them.
        """
        if isinstance(target, (staticmethod, classmethod, type)):
            raise LoadError(f"{target!r} can't be an entrypoint; a function or an object can", path=path)
        if inspect.isroutine(target) or isinstance(target, functools.partial):
            return cls(target, bind_function(target, path=path), _is_async(target))
        for name in ENTRY_METHODS:
            method = getattr(target, name, None)
            if callable(method):
                return cls(method, bind_object(method, name), _is_async(method))
        if callable(target):
            return cls(target, bind_function(target, path=path), _is_async(target))
        raise LoadError(
            f"{type(target).__name__} is no function and has none of {', '.join(ENTRY_METHODS)}", path=path
        )

    def call(self, context: BaseContext, given: Mapping[str, Any]) -> Any:
        """Calls it: a coroutine if it is async, else its result.

        Raises:
            InvalidInput: The input does not fit its parameters.
        """
        args, kwargs = self.binding(context, given)
        return self.function(*args, **kwargs)


def _is_async(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is asked, not whether there is one
    )
