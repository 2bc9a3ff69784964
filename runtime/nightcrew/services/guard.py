"""What may be asked now, and of what: draining, allowed programs, features that are built, guarded tweaks."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightcrew.crew.registry import Registry
from nightcrew.domain.errors import FieldViolation, InvalidArgument, Unavailable
from nightcrew.domain.restart import resolve as resolve_restart
from nightcrew.domain.retry import resolve as resolve_retry
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.spec.program import Program
from nightcrew.domain.spec.trigger import Trigger
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.tweaks import tweak_faults

MAX_LABEL = 256


class Guard:
    """Checks that need to know what `up` was given, or whether the runtime still takes work."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._closed = ""

    def close(self, why: str) -> None:
        """From now on no new work is taken."""
        self._closed = why

    def check_open(self) -> None:
        """Whether work is taken.

        Raises:
            Unavailable: The runtime drains.
        """
        if self._closed:
            raise Unavailable(self._closed, code="draining")

    def check_manifest(self, manifest: Manifest, *, field: str = "agent", from_api: bool = True) -> None:
        """Whether an agent like this can be kept: everything that pydantic can't know.

        Raises:
            InvalidArgument: Names every field that is wrong.
        """
        found: list[FieldViolation] = []
        code: str | None = None
        for check in (self._program, _labels, _policies, _triggers):
            try:
                check(manifest)
            except InvalidArgument as error:
                moved = error.within(field)
                found += moved.violations
                code = code or (error.code if error.code != InvalidArgument.code else None)
        if not found and from_api:
            try:
                self.check_tweaks(manifest.spec)
            except InvalidArgument as error:
                found += error.within(f"{field}.spec").violations
        if found:
            message = "; ".join(f"{v.field}: {v.description}" for v in found)
            raise InvalidArgument(message, violations=found, code=code)

    def _program(self, manifest: Manifest) -> None:
        self.source_of(manifest.spec.program, field="spec.program")

    def source_of(self, program: Program, *, field: str) -> ProgramSource:
        """The source of a program that may run.

        Raises:
            InvalidArgument: `program_not_allowed`: `up` was not given it.
        """
        source = self._registry.find(program)
        if source is not None:
            return source
        known = self._registry.names(program.kind)
        choice = f"known: {', '.join(known[:10])}" if known else f"no {program.kind} program is known"
        raise InvalidArgument.of(
            f"{field}.{program.kind}",
            f"{program.name!r} is not among what `nightcrew up` was given ({choice})",
            code="program_not_allowed",
        )

    def check_input(self, program: Program, data: Mapping[str, Any]) -> None:
        """Whether a call's input may reach the program.

        Raises:
            InvalidArgument: Its tweaks touch a field that callers must not.
        """
        if program.langflow is not None and "tweaks" in data:
            _refuse(tweak_faults(self._registry.flow(program), data["tweaks"], field="input.tweaks"))

    def check_tweaks(self, spec: AgentSpec) -> None:
        """Whether the tweaks that a spec brings over the API are harmless.

        Raises:
            InvalidArgument: They touch a field that callers must not.
        """
        program = spec.program
        if program.langflow is None:
            return
        flow = self._registry.flow(program)
        places = {
            "program.langflow.tweaks": program.langflow.tweaks,
            "input.tweaks": spec.input.get("tweaks"),
        }
        for index, trigger in enumerate(spec.triggers):
            places[f"triggers[{index}].input.tweaks"] = trigger.input.get("tweaks")
        _refuse(
            [
                fault
                for field, tweaks in places.items()
                if tweaks
                for fault in tweak_faults(flow, tweaks, field=field)
            ]
        )


def _refuse(faults: Sequence[FieldViolation]) -> None:
    if faults:
        message = "; ".join(f"{fault.field}: {fault.description}" for fault in faults)
        raise InvalidArgument(message, violations=faults, code="tweak_not_allowed")


def _labels(manifest: Manifest) -> None:
    for key, value in manifest.labels.items():
        if not key or len(key) > MAX_LABEL or len(value) > MAX_LABEL:
            raise InvalidArgument.of(
                "labels",
                f"keys have 1 to {MAX_LABEL} characters, values at most {MAX_LABEL}; wrong: {key[:40]!r}",
            )


def _policies(manifest: Manifest) -> None:
    spec = manifest.spec
    if spec.execution.heartbeat_timeout is not None:
        raise InvalidArgument.of("spec.execution.heartbeat_timeout", "is not built yet", code="not_built")
    try:
        resolve_restart(spec.restart)
    except InvalidArgument as error:
        raise error.within("spec.restart") from error
    if spec.execution.retry is not None:
        try:
            resolve_retry(spec.execution.retry)
        except InvalidArgument as error:
            raise error.within("spec.execution.retry") from error


def _triggers(manifest: Manifest) -> None:
    found: list[FieldViolation] = []
    for index, trigger in enumerate(manifest.spec.triggers):
        try:
            _trigger(trigger)
        except InvalidArgument as error:
            found += error.within(f"spec.triggers[{index}]").violations
    if found:
        raise InvalidArgument("; ".join(v.description for v in found), violations=found)


def _trigger(trigger: Trigger) -> None:
    if trigger.schedule is None:
        raise InvalidArgument.of(trigger.kind, f"{trigger.kind} triggers are not built yet", code="not_built")
    try:
        compile_schedule(trigger.schedule)
    except InvalidArgument as error:
        raise error.within("schedule") from error
