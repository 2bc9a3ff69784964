"""What may be asked now, and of what: draining, allowed programs, features that are built, guarded tweaks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nightcrew.crew.registry import Registry
from nightcrew.domain.addresses import Allowed, Own, literal, refusal
from nightcrew.domain.broker.grammar import BrokerKind
from nightcrew.domain.broker.url import broker_url
from nightcrew.domain.concurrency_key import compile_key
from nightcrew.domain.durations import format_instant
from nightcrew.domain.errors import FieldViolation, InvalidArgument, Unavailable
from nightcrew.domain.event_match import check_match
from nightcrew.domain.restart import resolve as resolve_restart
from nightcrew.domain.retry import resolve as resolve_retry
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.secrets import check_program
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.spec.program import HttpProgram, Program
from nightcrew.domain.spec.trigger import Trigger
from nightcrew.domain.values import checked, merged
from nightcrew.domain.web_address import web_address
from nightcrew.hosts.router import resolve_isolation
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.tweaks import tweak_faults
from nightcrew.services.hook_secrets import check_secrets

CLOSED_KINDS: Final = frozenset({"command", "http"})
"""Programs that run only where `up` was told to allow their kind."""
POOL_UNKNOWN: Final = "pool_unknown"
MAX_LABEL: Final = 256
MAX_LABELS: Final = 64


class Guard:
    """Checks that need to know what `up` was given, or whether the runtime still takes work.

    Args:
        registry: What `up` was given.
        kinds: Which of the kinds of programs that are off by default may run.
        allowed: Where HTTP programs and brokers' clients may connect to besides public addresses.
        speaks: Whether what speaks to a kind of broker is installed.
        pools: The names of the pools that there are.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        kinds: Collection[str] = (),
        allowed: Allowed | None = None,
        speaks: Callable[[BrokerKind], bool] = lambda _kind: False,
        pools: Collection[str] = (),
    ) -> None:
        self._registry = registry
        self._kinds = frozenset(kinds)
        self._allowed = allowed or Allowed()
        self._speaks = speaks
        self._pools = frozenset(pools)
        self._closed = ""

    def close(self, why: str) -> None:
        """From now on no new work is taken."""
        self._closed = why

    @property
    def closed(self) -> bool:
        """Whether the runtime drains."""
        return bool(self._closed)

    def check_open(self) -> None:
        """Whether work is taken.

        Raises:
            Unavailable: The runtime drains.
        """
        if self._closed:
            raise Unavailable(self._closed, code="draining")

    def check_manifest(
        self,
        manifest: Manifest,
        before: AgentSpec | None = None,
        *,
        field: str = "agent",
        from_api: bool = True,
    ) -> None:
        """Whether an agent like this can be kept: everything that pydantic can't know.

        Args:
            manifest: The agent as it is to be.
            before: Its spec as it is; its hooks' secrets are kept.
            field: Where the manifest stands in the request.
            from_api: Whether a caller brings it, who may do less than a file.

        Raises:
            InvalidArgument: Names every field that is wrong.
        """

        def hooks(manifest: Manifest) -> None:
            check_secrets(manifest.spec, before, field="spec")

        found: list[FieldViolation] = []
        code: str | None = None
        for check in (
            self._program,
            _labels,
            _policies,
            _references,
            _inputs,
            hooks,
            _triggers,
            self._sources,
            self._limits,
        ):
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
        spec = manifest.spec
        source = self.source_of(spec.program, field="spec.program")
        if spec.program.http is not None:
            self._endpoint(spec.program.http)
        resolve_isolation(spec.isolation, source)

    def _endpoint(self, program: HttpProgram) -> None:
        """An address that is written in a URL is judged at once; a name, when it is called."""
        where = web_address(program.url)
        address = literal(where.host)
        if address is not None:
            why = refusal(address, where.port, host=where.host, allowed=self._allowed, own=Own())
            if why:
                raise InvalidArgument.of(
                    "spec.program.http.url", f"{where.host} {why}", code="address_refused"
                )

    def _sources(self, manifest: Manifest) -> None:
        """Whether brokers that triggers name can be spoken to, and may be: of a name that is judged as it is used."""
        for index, trigger in enumerate(manifest.spec.triggers):
            if trigger.event is None or not trigger.event.source_url:
                continue
            field = f"spec.triggers[{index}].event.source_url"
            url = broker_url(trigger.event.source_url)
            if not self._speaks(url.kind):
                what = f"needs a client of {url.kind.value}, which is not installed: pip install 'nightcrew[brokers]'"
                raise InvalidArgument.of(field, what, code="not_installed")
            address = literal(url.host)
            if address is not None:
                why = refusal(address, url.port, host=url.host, allowed=self._allowed, own=Own())
                if why:
                    raise InvalidArgument.of(field, f"{url.host} {why}", code="address_refused")

    def _limits(self, manifest: Manifest) -> None:
        """Whether the pools that it takes from are there, and its key's expression has no fault."""
        execution = manifest.spec.execution
        for index, name in enumerate(execution.pools):
            if name not in self._pools:
                known = ", ".join(sorted(self._pools)[:10]) or "none"
                what = f"no pool {name!r} in nightcrew.toml (known: {known}); [pools.{name}] would make it"
                raise InvalidArgument.of(f"spec.execution.pools[{index}]", what, code=POOL_UNKNOWN)
        if execution.concurrency_key:
            try:
                compile_key(execution.concurrency_key)
            except InvalidArgument as error:
                raise error.within("spec.execution") from error

    def source_of(self, program: Program, *, field: str) -> ProgramSource:
        """The source of a program that may run.

        Raises:
            InvalidArgument: `program_not_allowed`: `up` was not given it.
        """
        if why := self.closed_kind(program.kind):
            raise InvalidArgument.of(f"{field}.{program.kind}", why, code="program_not_allowed")
        source = self._registry.find(program)
        if source is not None:
            return source
        known = self._registry.names(program.kind)
        choice = f"known: {', '.join(known[:10])}" if known else f"no {program.kind} program is known"
        what = f"{program.name!r} is not among what `nightcrew up` was given ({choice})"
        if program.kind in CLOSED_KINDS:
            what += "; all of its fields must be as a file names them"
        raise InvalidArgument.of(f"{field}.{program.kind}", what, code="program_not_allowed")

    def closed_kind(self, kind: str) -> str:
        """Why no program of a kind may run, and how to allow it; an empty string if they may."""
        if kind not in CLOSED_KINDS or kind in self._kinds:
            return ""
        return (
            f"{kind} programs are off: `nightcrew up --allow {kind}` (or NIGHTCREW_ALLOW={kind}, or"
            f' allow = ["{kind}"] in nightcrew.toml) allows those that its files name'
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
    check_labels(manifest.labels, field="labels")


def check_labels(labels: Mapping[str, str], *, field: str) -> None:
    """Whether labels keep to their bounds.

    Raises:
        InvalidArgument: They are too many, or a key or value is too long.
    """
    if len(labels) > MAX_LABELS:
        raise InvalidArgument.of(field, f"must be at most {MAX_LABELS}, are {len(labels)}")
    for key, value in labels.items():
        if not key or len(key) > MAX_LABEL or len(value) > MAX_LABEL:
            raise InvalidArgument.of(
                field,
                f"keys have 1 to {MAX_LABEL} characters, values at most {MAX_LABEL}; wrong: {key[:40]!r}",
            )


def check_dates(manifest: Manifest, before: AgentSpec | None, *, now: datetime, field: str = "agent") -> None:
    """Whether every date that a caller newly writes lies ahead; one that is kept as it was may have passed.

    Raises:
        InvalidArgument: One has passed: it would never fire.
    """
    for index, trigger in enumerate(manifest.spec.triggers):
        date = trigger.schedule.date if trigger.schedule is not None else None
        if date is None or date.time > now:
            continue
        known = before.trigger(trigger.id) if before is not None else None
        if known is None or known.schedule is None or known.schedule.date != date:
            raise InvalidArgument.of(
                f"{field}.spec.triggers[{index}].schedule.date.time",
                f"has passed: it is {format_instant(now)} now",
            )


def _policies(manifest: Manifest) -> None:
    spec = manifest.spec
    try:
        resolve_restart(spec.restart)
    except InvalidArgument as error:
        raise error.within("spec.restart") from error
    if spec.execution.retry is not None:
        try:
            resolve_retry(spec.execution.retry)
        except InvalidArgument as error:
            raise error.within("spec.execution.retry") from error


def _references(manifest: Manifest) -> None:
    check_program(manifest.spec.program, field="spec.program")


def _inputs(manifest: Manifest) -> None:
    """What a trigger fires with must fit, or each of its fires would be refused: nobody is there to be told then."""
    spec = manifest.spec
    checked(spec.input, field="spec.input")
    for index, trigger in enumerate(spec.triggers):
        if trigger.input:
            checked(merged(spec.input, trigger.input), field=f"spec.triggers[{index}].input")


def _triggers(manifest: Manifest) -> None:
    found: list[FieldViolation] = []
    code: str | None = None
    residents = 0
    for index, trigger in enumerate(manifest.spec.triggers):
        residents += trigger.resident is not None
        try:
            if trigger.resident is not None and residents > 1:
                raise InvalidArgument.of(
                    "resident", "is the second one: an agent has at most one resident trigger"
                )
            _trigger(trigger)
        except InvalidArgument as error:
            found += error.within(f"spec.triggers[{index}]").violations
            code = code or error.code
    if found:
        raise InvalidArgument("; ".join(v.description for v in found), violations=found, code=code)


def _trigger(trigger: Trigger) -> None:
    if trigger.schedule is not None:
        try:
            compile_schedule(trigger.schedule)
        except InvalidArgument as error:
            raise error.within("schedule") from error
    elif trigger.event is not None:
        try:
            check_match(trigger.event)
        except InvalidArgument as error:
            raise error.within("event") from error
