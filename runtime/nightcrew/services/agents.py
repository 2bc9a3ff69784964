"""The use cases of agents: create, read, update, delete, and the commands of their lifecycle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nightcrew.crew.agent_moves import delete_now, move_agent, save
from nightcrew.crew.budget import check_resume
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.facts import agent_fact
from nightcrew.crew.firing import fire_before
from nightcrew.crew.keys import keys_differ, rekey
from nightcrew.crew.lagging import sync_lags
from nightcrew.crew.residents import begin_resident, change_resident
from nightcrew.crew.waits import wake_parked
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NightcrewError,
    NotFound,
)
from nightcrew.domain.event import AGENT_CREATED, AGENT_UPDATED
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.patch import apply_mask
from nightcrew.domain.spec.agent import Manifest, check_slug
from nightcrew.domain.values import decode, encode
from nightcrew.domain.webhook.keeping import without_secrets
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.cursors import sync_cursors
from nightcrew.services.guard import Guard, check_dates, check_labels
from nightcrew.services.hook_secrets import check_secrets, write_secrets
from nightcrew.services.once import Request, check_request_id, once


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """What a command did to one agent of several: the agent, or the error."""

    agent_id: str
    agent: Agent | None = None
    error: NightcrewError | None = None


class AgentService:
    """What callers can do with agents."""

    def __init__(self, *, commits: Commits, reads: Reads, guard: Guard, clock: Clock, ids: Ids) -> None:
        self._commits = commits
        self._reads = reads
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def create(self, manifest: Manifest, *, request: Request) -> Agent:
        """Adds an agent, STOPPED.

        Raises:
            InvalidArgument: Names every field that is wrong.
            AlreadyExists: The id is taken.
        """
        check_request_id(request)
        agent_id = manifest.id or f"agent-{self._ids.uuid7()}"
        check_slug(agent_id, field="agent.id")
        self._guard.check_manifest(manifest)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Agent:
            def do() -> Agent:
                check_dates(manifest, None, now=now)
                return add_agent(tx, after, manifest, agent_id=agent_id, now=now)

            return once(tx, request, now=now, do=do, remember=_id, recall=lambda key: existing(tx, key))

        return await self._commits.run(unit)

    async def get(self, agent_id: str) -> Agent:
        """The agent.

        Raises:
            NotFound: There is no such agent.
        """
        agent = await self._reads.agent(agent_id)
        if agent is None:
            raise NotFound("agent", agent_id)
        return agent

    async def page(self, query: ListQuery) -> Page[Agent]:
        """A page of agents."""
        return await self._reads.agents(query)

    async def update(
        self,
        agent_id: str,
        patch: Mapping[str, Any],
        *,
        paths: Sequence[str],
        etag: str,
        request: Request,
    ) -> Agent:
        """Replaces the fields that `paths` names; a changed spec raises the generation.

        Raises:
            InvalidArgument: A path does not exist, or the outcome is no right agent.
            Aborted: The etag is not the agent's.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Agent:
            def do() -> Agent:
                agent = existing(tx, agent_id)
                check_etag(agent, etag)
                whole = apply_mask(agent_json(agent), patch, paths)
                manifest = Manifest.parse({**whole, "id": agent_id}, field="agent")
                self._check_change(agent, manifest, now)
                return change_agent(tx, after, agent, manifest, now=now)

            return once(tx, request, now=now, do=do, remember=_id, recall=lambda key: existing(tx, key))

        return await self._commits.run(unit)

    def _check_change(self, agent: Agent, manifest: Manifest, now: datetime) -> None:
        """What is kept as it was needs no check: an agent whose file is gone can still be described anew."""
        if without_secrets(manifest.spec) == agent.spec:
            check_labels(manifest.labels, field="agent.labels")
            check_secrets(manifest.spec, agent.spec, field="agent.spec")
        else:
            self._guard.check_manifest(manifest, agent.spec)
            check_dates(manifest, agent.spec, now=now)

    async def delete(self, agent_id: str, *, etag: str, force: bool, request: Request) -> Agent | None:
        """Deletes a STOPPED agent; with `force` it is stopped first, by a committed intent.

        Returns:
            The agent while it is STOPPING, or None when it is gone.

        Raises:
            FailedPrecondition: It is not STOPPED and `force` was not said.
            Aborted: The etag is not the agent's.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Agent | None:
            def do() -> str:
                agent = existing(tx, agent_id)
                check_etag(agent, etag)
                remove_agent(tx, after, agent, force=force, now=now)
                return agent_id

            return tx.agents.get(once(tx, request, now=now, do=do, remember=str, recall=str))

        return await self._commits.run(unit)

    async def command(
        self,
        event: AgentEvent,
        agent_id: str,
        *,
        reason: str,
        request: Request,
        check: Callable[[Agent], None] | None = None,
    ) -> Agent:
        """Start, stop, pause or resume one agent.

        Args:
            event: Which of them.
            agent_id: The agent.
            reason: Why, in the words of whoever asks.
            request: Who asks.
            check: Is asked about the agent as it then is, and may refuse.

        Raises:
            NotFound: There is no such agent.
            FailedPrecondition: The table refuses it in the agent's state.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Agent:
            def do() -> Agent:
                if check is not None:
                    check(existing(tx, agent_id))
                return self._command(tx, after, event, agent_id, reason=reason, now=now)

            return once(tx, request, now=now, do=do, remember=_id, recall=lambda key: existing(tx, key))

        return await self._commits.run(unit)

    async def command_all(
        self, event: AgentEvent, selector: Mapping[str, str], *, reason: str, request: Request
    ) -> list[Commanded]:
        """The same for every agent whose labels hold the selector; each succeeds or fails on its own."""
        check_request_id(request)
        if not selector:
            raise InvalidArgument.of("id", "give an id, or a selector of labels")
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> list[Commanded]:
            def do() -> list[Commanded]:
                return [
                    self._try(tx, after, event, agent_id, reason=reason, now=now)
                    for agent_id in tx.agents.ids(selector=selector)
                ]

            return once(
                tx, request, now=now, do=do, remember=_remembered, recall=lambda text: _recalled(tx, text)
            )

        return await self._commits.run(unit)

    def _try(
        self, tx: Transaction, after: After, event: AgentEvent, agent_id: str, *, reason: str, now: datetime
    ) -> Commanded:
        try:
            agent = self._command(tx, after, event, agent_id, reason=reason, now=now)
        except NightcrewError as error:
            return Commanded(agent_id=agent_id, error=error)
        return Commanded(agent_id=agent_id, agent=agent)

    def _command(
        self, tx: Transaction, after: After, event: AgentEvent, agent_id: str, *, reason: str, now: datetime
    ) -> Agent:
        agent = existing(tx, agent_id)
        if event is AgentEvent.RESUME and agent.spec.limits is not None:
            check_resume(tx, agent, now=now)
        return move_agent(tx, after, agent, event, now=now, reason=reason)


def add_agent(
    tx: Transaction,
    after: After,
    manifest: Manifest,
    *,
    agent_id: str,
    now: datetime,
    state: AgentState = AgentState.STOPPED,
) -> Agent:
    """Writes a new agent with its schedules' cursors, its hooks' secrets and its event.

    Raises:
        AlreadyExists: The id is taken.
        SecretUnavailable: There is no key to seal its secrets with.
    """
    if tx.agents.get(agent_id) is not None:
        raise AlreadyExists("agent", agent_id)
    agent = Agent(
        id=agent_id,
        spec=without_secrets(manifest.spec),
        create_time=now,
        update_time=now,
        state_time=now,
        display_name=manifest.display_name,
        description=manifest.description,
        labels=dict(manifest.labels),
        state=state,
    )
    tx.agents.insert(agent)
    write_secrets(tx, agent_id, manifest.spec, None)
    sync_cursors(tx, after, agent, None, now=now)
    after.append(tx, agent_fact(AGENT_CREATED, agent, now=now))
    after.schedules.append(agent_id)
    if state is AgentState.ACTIVE:
        begin_resident(tx, after, agent, now=now)
    return agent


def change_agent(tx: Transaction, after: After, agent: Agent, manifest: Manifest, *, now: datetime) -> Agent:
    """Writes what people changed of an agent; nothing at all when nothing differs.

    Secrets that change are a change of the agent, but not of the spec that its runs have: its generation stays.

    Raises:
        SecretUnavailable: There is no key to seal its secrets with.
    """
    spec = without_secrets(manifest.spec)
    changed_spec = spec != agent.spec
    new = replace(
        agent,
        spec=spec,
        display_name=manifest.display_name,
        description=manifest.description,
        labels=dict(manifest.labels),
        generation=agent.generation + changed_spec,
    )
    if not write_secrets(tx, agent.id, manifest.spec, agent.spec) and new == agent:
        return agent
    if changed_spec:
        fire_before(tx, after, agent, now=now)
    new = replace(new, revision=agent.revision + 1, update_time=now)
    save(tx, new, revision=agent.revision)
    sync_cursors(tx, after, new, agent, now=now)
    sync_lags(tx, after, new, agent)
    after.append(tx, agent_fact(AGENT_UPDATED, new, now=now, before=agent))
    after.schedules.append(agent.id)
    if changed_spec:
        if keys_differ(spec.execution, agent.spec.execution):
            rekey(tx, after, new)
        after.changed.append(agent.id)
        change_resident(tx, after, new, agent, now=now)
        wake_parked(tx, after, now=now, agent_id=agent.id)
    return new


def remove_agent(tx: Transaction, after: After, agent: Agent, *, force: bool, now: datetime) -> None:
    """Deletes a STOPPED agent, or stops it with the committed intent to delete it.

    Raises:
        FailedPrecondition: It is not STOPPED and `force` was not said.
    """
    if agent.state is AgentState.STOPPED:
        delete_now(tx, after, agent, now=now)
        return
    if not force:
        raise FailedPrecondition(
            f"agent {agent.id!r} is {agent.state.value.removeprefix('STATE_')}; stop it first, or delete with force",
            subject=f"agents/{agent.id}",
            state=agent.state.value,
            allowed_states=(AgentState.STOPPED.value,),
            code="agent_state",
        )
    marked = replace(agent, delete_requested=True, revision=agent.revision + 1, update_time=now)
    save(tx, marked, revision=agent.revision)
    move_agent(tx, after, marked, AgentEvent.STOP, now=now, reason="deleted")


def existing(tx: Transaction, agent_id: str) -> Agent:
    """The agent.

    Raises:
        NotFound: There is no such agent.
    """
    agent = tx.agents.get(agent_id)
    if agent is None:
        raise NotFound("agent", agent_id)
    return agent


def check_etag(agent: Agent, etag: str) -> None:
    """Whether an etag, if one was given, is the agent's.

    Raises:
        Aborted: It is another.
    """
    if etag and etag != agent.etag:
        raise Aborted(f"agent {agent.id!r} has the etag {agent.etag!r}, not {etag!r}; read it and try again")


def agent_json(agent: Agent) -> dict[str, Any]:
    """The part of an agent that people write, as JSON: what field masks speak of."""
    return {
        "display_name": agent.display_name,
        "description": agent.description,
        "labels": dict(agent.labels),
        "spec": agent.spec.to_json(),
    }


def _id(agent: Agent) -> str:
    return agent.id


def _remembered(results: Sequence[Commanded]) -> str:
    """Who was commanded, and of those that were refused why."""
    return encode([[one.agent_id, *_refusal(one.error)] for one in results])


def _refusal(error: NightcrewError | None) -> list[Any]:
    if error is None:
        return []
    states = (error.state, list(error.allowed_states)) if isinstance(error, FailedPrecondition) else ("", [])
    return [error.message, error.code, *states]


def _recalled(tx: Transaction, text: str) -> list[Commanded]:
    """The first answer, with the agents as they are now; one that was deleted since is left out."""
    found = []
    for agent_id, *refusal in decode(text):
        if refusal:
            message, code, state, allowed = refusal
            error = FailedPrecondition(
                message, subject=f"agents/{agent_id}", state=state, allowed_states=allowed, code=code
            )
            found.append(Commanded(agent_id=agent_id, error=error))
        elif agent := tx.agents.get(agent_id):
            found.append(Commanded(agent_id=agent_id, agent=agent))
    return found
