"""Declarative apply: a set of manifests becomes the truth, all or nothing, and says what it changed."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import yaml

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.spec.agent import Manifest, check_slug
from nightcrew.domain.values import decode, encode
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction
from nightcrew.services.agents import add_agent, agent_json, change_agent, remove_agent
from nightcrew.services.guard import Guard, check_dates
from nightcrew.services.hook_secrets import changed_secrets, check_secrets
from nightcrew.services.once import Request, check_request_id, once

MAX_AGENTS: Final = 1000


class Action(StrEnum):
    """What an apply does to one agent."""

    CREATED = "ACTION_CREATED"
    UPDATED = "ACTION_UPDATED"
    DELETED = "ACTION_DELETED"
    UNCHANGED = "ACTION_UNCHANGED"


@dataclass(frozen=True, slots=True)
class Change:
    """What an apply does to one agent; `diff` is a unified diff of its YAML."""

    agent_id: str
    action: Action
    diff: str = ""


class ApplyService:
    """Applies sets of manifests."""

    def __init__(self, *, commits: Commits, guard: Guard, clock: Clock) -> None:
        self._commits = commits
        self._guard = guard
        self._clock = clock

    async def apply(
        self,
        manifests: Sequence[Manifest],
        *,
        prune_selector: Mapping[str, str],
        validate_only: bool,
        request: Request,
    ) -> list[Change]:
        """Creates and updates what the manifests name; deletes what holds the prune selector and is not named.

        Raises:
            InvalidArgument: Names every fault of every manifest; nothing is changed.
        """
        check_request_id(request)
        self._check(manifests)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> list[Change]:
            def do() -> list[Change]:
                changes = plan(tx, manifests, prune_selector=prune_selector, now=now)
                self._write(tx, after, manifests, changes, now)
                return changes

            if validate_only:
                return plan(tx, manifests, prune_selector=prune_selector, now=now)
            return once(tx, request, now=now, do=do, remember=_remembered, recall=_recalled)

        return await self._commits.run(unit)

    def _check(self, manifests: Sequence[Manifest]) -> None:
        if len(manifests) > MAX_AGENTS:
            raise InvalidArgument.of("agents", f"at most {MAX_AGENTS} agents at once, given {len(manifests)}")
        found: list[FieldViolation] = []
        seen: set[str] = set()
        for index, manifest in enumerate(manifests):
            try:
                check_slug(manifest.id, field=f"agents[{index}].id")
                # What is kept for its hooks is known in the transaction only: nothing is missing yet.
                self._guard.check_manifest(manifest, manifest.spec, field=f"agents[{index}]")
            except InvalidArgument as error:
                found += error.violations
            if manifest.id in seen:
                found.append(FieldViolation(f"agents[{index}].id", f"{manifest.id!r} is given twice"))
            seen.add(manifest.id)
        if found:
            raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)

    def _write(
        self,
        tx: Transaction,
        after: After,
        manifests: Sequence[Manifest],
        changes: Sequence[Change],
        now: datetime,
    ) -> None:
        by_id = {manifest.id: manifest for manifest in manifests}
        for change in changes:
            agent = tx.agents.get(change.agent_id)
            match change.action:
                case Action.CREATED:
                    add_agent(tx, after, by_id[change.agent_id], agent_id=change.agent_id, now=now)
                case Action.UPDATED if agent is not None:
                    change_agent(tx, after, agent, by_id[change.agent_id], now=now)
                case Action.DELETED if agent is not None:
                    remove_agent(tx, after, agent, force=True, now=now)
                case _:
                    pass


def _remembered(changes: Sequence[Change]) -> str:
    return encode([[change.agent_id, change.action.value, change.diff] for change in changes])


def _recalled(text: str) -> list[Change]:
    return [Change(agent_id, Action(action), diff) for agent_id, action, diff in decode(text)]


def plan(
    tx: Transaction,
    manifests: Sequence[Manifest],
    *,
    prune_selector: Mapping[str, str],
    now: datetime | None = None,
) -> list[Change]:
    """What applying would change, in the manifests' order, deletions last; with `now` new dates must lie ahead.

    Raises:
        InvalidArgument: A date that is new has passed, or a hook has no secret.
    """
    changes = []
    for index, manifest in enumerate(manifests):
        agent = tx.agents.get(manifest.id)
        before = agent.spec if agent is not None else None
        if now is not None:
            check_dates(manifest, before, now=now, field=f"agents[{index}]")
        check_secrets(manifest.spec, before, field=f"agents[{index}].spec")
        new = manifest_json(manifest)
        old = agent_json(agent) if agent is not None else None
        secrets = changed_secrets(tx, manifest.id, manifest.spec, before)
        if old == new and not secrets:
            changes.append(Change(manifest.id, Action.UNCHANGED))
        else:
            action = Action.UPDATED if old is not None else Action.CREATED
            changes.append(Change(manifest.id, action, diff(manifest.id, old, _marked(new, secrets))))
    if prune_selector:
        named = {manifest.id for manifest in manifests}
        for agent_id in tx.agents.ids(selector=prune_selector):
            gone: Agent | None = tx.agents.get(agent_id) if agent_id not in named else None
            if gone is not None:
                changes.append(Change(agent_id, Action.DELETED, diff(agent_id, agent_json(gone), None)))
    return changes


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """A manifest in the form of `agent_json`."""
    return {
        "display_name": manifest.display_name,
        "description": manifest.description,
        "labels": dict(manifest.labels),
        "spec": manifest.spec.to_json(),
    }


def _marked(new: dict[str, Any], secrets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The same, with a word where secrets are given that it must not show."""
    for trigger in new["spec"].get("triggers", ()):
        if given := secrets.get(trigger["id"]):
            trigger["webhook"]["secrets"] = f"({len(given)} given)"
    return new


def diff(agent_id: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """A unified diff of two agents' YAML."""
    before = _yaml(old).splitlines(keepends=True)
    after = _yaml(new).splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, f"{agent_id} (now)", f"{agent_id} (applied)", n=2))


def _yaml(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    return yaml.safe_dump({k: v for k, v in value.items() if v}, sort_keys=False, allow_unicode=True)
