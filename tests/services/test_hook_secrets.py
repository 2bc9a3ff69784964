"""Secrets of hooks: asked for, kept, replaced; applied from files; and in no answer, event, log or file."""

import hmac

import pytest

from nightcrew.agent import Context, agent
from nightcrew.domain.errors import InvalidArgument, SecretUnavailable, Unauthenticated
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.webhook.headers import Headers
from nightcrew.services.apply import Action
from nightcrew.services.once import Request
from nightcrew.services.webhooks import HookCall
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")
SECRET, OTHER = "hush-hush-hush", "pst-pst-pst"


@agent(start=False)
async def echo(ctx: Context):
    return 1


@pytest.fixture
async def box(tmp_path):
    async with Box(echo, folder=tmp_path) as box:
        yield box


def hook(scheme="GITHUB", *secrets, **more):
    return {"id": "hook", "webhook": {"scheme": f"SCHEME_{scheme}", "secrets": list(secrets)}, **more}


async def manifest(box, *triggers, agent_id="mine"):
    program = (await box.agent("echo")).spec.program.to_json()
    return Manifest.parse({"id": agent_id, "spec": {"program": program, "triggers": list(triggers)}})


async def create(box, *triggers, request=BY_TEST):
    return await box.services.agents.create(await manifest(box, *triggers), request=request)


async def update(box, *triggers, agent_id="mine"):
    spec = {"spec": {"triggers": list(triggers)}}
    return await box.services.agents.update(agent_id, spec, paths=["spec.triggers"], etag="", request=BY_TEST)


async def apply(box, *manifests, validate_only=False, request=BY_TEST):
    return await box.services.apply.apply(
        manifests, prune_selector={}, validate_only=validate_only, request=request
    )


async def kept(box, trigger_id="hook", agent_id="mine"):
    return await box.engine.store.reads.hook_secrets(agent_id, trigger_id)


async def refused(doing, *fields):
    with pytest.raises(InvalidArgument) as caught:
        await doing
    assert [one.field for one in caught.value.violations] == list(fields)
    for secret in (SECRET, OTHER):
        assert secret not in str(caught.value)
    return caught.value.message


FIELD = "agent.spec.triggers[0].webhook.secrets"


async def test_a_hook_that_asks_for_proof_needs_a_secret(box):
    for scheme in ("STANDARD", "UNSPECIFIED", "GITHUB", "STRIPE", "SLACK", "BEARER"):
        assert "SCHEME_NONE" in await refused(create(box, hook(scheme)), FIELD)
    await refused(create(box, hook("NONE", SECRET)), FIELD)
    await refused(create(box, hook("STANDARD", f"whsec_{SECRET}")), FIELD)
    await create(box, hook("NONE"))
    await refused(update(box, hook()), FIELD)
    await refused(
        apply(box, await manifest(box, {**hook(), "id": "a"}, {**hook(), "id": "b"})),
        "agents[0].spec.triggers[0].webhook.secrets",
        "agents[0].spec.triggers[1].webhook.secrets",
    )


async def test_they_are_kept_until_others_are_given(box):
    made = await create(box, hook("GITHUB", SECRET))
    same = await update(box, hook("GITHUB"))
    assert same.revision == made.revision
    assert (await update(box, hook("GITHUB", SECRET))).revision == made.revision, "they are the same"
    moved = await update(box, hook("GITHUB", overlap="OVERLAP_POLICY_SKIP"))
    assert await kept(box) == (SECRET,)
    rotated = await update(box, hook("GITHUB", OTHER, SECRET, overlap="OVERLAP_POLICY_SKIP"))
    assert (rotated.revision, rotated.generation) == (moved.revision + 1, moved.generation)
    assert await kept(box) == (OTHER, SECRET)
    last = (await box.engine.store.reads.events_after(0, limit=1000))[-1]
    assert last.type == "nightcrew.agent.updated"


async def test_another_scheme_needs_others(box):
    await create(box, hook("GITHUB", SECRET))
    await refused(update(box, hook("STRIPE")), FIELD)
    assert await kept(box) == (SECRET,)
    await update(box, hook("STRIPE", OTHER))
    assert await kept(box) == (OTHER,)
    await update(box, hook("NONE"))
    assert await kept(box) == ()
    await refused(update(box, hook("STRIPE")), FIELD)


async def test_they_go_with_their_trigger(box):
    await create(box, hook("GITHUB", SECRET), {**hook("GITHUB", OTHER), "id": "second"})
    await update(box, {**hook("GITHUB"), "id": "second"})
    assert (await kept(box), await kept(box, "second")) == ((), (OTHER,))
    await refused(update(box, hook("GITHUB"), {**hook("GITHUB"), "id": "second"}), FIELD)


async def test_what_fails_keeps_nothing(box):
    await create(box, hook("GITHUB", SECRET))
    bad = {"id": "cron", "schedule": {"cron": {"expression": "61 * * * *"}}}
    await refused(update(box, hook("GITHUB", OTHER), bad), "agent.spec.triggers[1].schedule.cron.expression")
    assert await kept(box) == (SECRET,)


async def test_apply_says_that_secrets_change_and_not_to_what(box):
    for secrets, action in (
        ((SECRET,), Action.CREATED),
        ((SECRET,), Action.UNCHANGED),
        ((), Action.UNCHANGED),
        ((SECRET, OTHER), Action.UPDATED),
        ((SECRET, OTHER), Action.UNCHANGED),
    ):
        wanted = await manifest(box, hook("GITHUB", *secrets))
        seen = await apply(box, wanted, validate_only=True)
        (done,) = await apply(box, wanted)
        assert seen == [done]
        assert done.action is action
        assert SECRET not in done.diff
        assert (f"secrets: ({len(secrets)} given)" in done.diff) == (action is not Action.UNCHANGED)
    assert await kept(box) == (SECRET, OTHER)


async def test_validate_only_writes_none(box):
    await apply(box, await manifest(box, hook("GITHUB", SECRET)), validate_only=True)
    assert await kept(box) == ()


async def test_a_request_id_brings_no_secret_into_the_table_of_requests(box):
    asked = Request(method="test", request_id="0193b4a2-0000-7000-8000-000000000001", digest="d")
    await create(box, hook("GITHUB", SECRET), request=asked)
    again = Request(method="apply", request_id="0193b4a2-0000-7000-8000-000000000002", digest="d")
    await apply(box, await manifest(box, hook("GITHUB", OTHER)), request=again)
    rows = await box.engine.store.write(lambda tx: tx._execute("SELECT * FROM requests").fetchall())
    assert len(rows) == 2
    assert SECRET not in str(rows)
    assert OTHER not in str(rows)


async def test_they_are_in_no_file_and_no_event(tmp_path, capfd):
    async with Box(echo, folder=tmp_path) as box:
        await create(box, hook("GITHUB", SECRET))
        await update(box, hook("GITHUB", OTHER, SECRET))
        await apply(box, await manifest(box, hook("GITHUB", SECRET)))
        wrong = hmac.digest(b"no", b"{}", "sha256").hex()
        pairs = [(b"x-hub-signature-256", b"sha256=" + wrong.encode())]
        with pytest.raises(Unauthenticated):
            await box.services.webhooks.receive(
                HookCall(agent_id="mine", trigger_id="hook", headers=Headers(pairs), body=b"{}")
            )
        shown = [repr(await box.agent("mine")), str(await box.engine.store.reads.events_after(0, limit=1000))]
        shown += [repr(box.services.webhooks._targets), *map(repr, box.services.webhooks._targets.values())]
        for secret in (SECRET, OTHER):
            assert not [one for one in shown if secret in one]
            for path in tmp_path.rglob("*"):
                assert path.is_dir() or secret.encode() not in path.read_bytes(), path
    printed = capfd.readouterr()
    for secret in (SECRET, OTHER):
        assert secret not in printed.out + printed.err
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or secret.encode() not in path.read_bytes(), path


async def test_without_a_key_nothing_is_taken_and_it_is_said(box, tmp_path):
    (tmp_path / "secret.key").write_text("no key")
    with pytest.raises(SecretUnavailable, match=r"secret\.key must be 32 bytes"):
        await create(box, hook("GITHUB", SECRET))
    await create(box, hook("NONE"))
    with pytest.raises(SecretUnavailable):
        await update(box, hook("GITHUB", SECRET))
    assert (await box.agent("mine")).spec.triggers[0].webhook.scheme == "SCHEME_NONE"


FILE = """
from nightcrew.agent import agent, on_webhook

@agent(triggers=[on_webhook("github", secrets=["{secret}"])])
async def filed(webhook):
    return webhook["body"]
"""


async def test_a_files_secrets_are_applied_when_the_file_changes(given):
    path = given.write("hooks", FILE.format(secret=SECRET))
    async with given.up() as box:
        assert await kept(box, "webhook", "filed") == (SECRET,)
        await update(
            box,
            {"id": "webhook", "webhook": {"scheme": "SCHEME_GITHUB", "secrets": ["by hand"]}},
            agent_id="filed",
        )
    async with given.up() as box:
        assert await kept(box, "webhook", "filed") == ("by hand",), "the file has not changed"
    path.write_text(FILE.format(secret=OTHER))
    async with given.up() as box:
        assert await kept(box, "webhook", "filed") == (OTHER,)
    for file in given.data.rglob("*"):
        for secret in (SECRET, OTHER):
            assert file.is_dir() or secret.encode() not in file.read_bytes(), file


async def test_a_file_that_gives_no_secret_is_told(given):
    given.write("bare", FILE.format(secret=SECRET).replace(f', secrets=["{SECRET}"]', ""))
    async with given.up() as box:
        (fault,) = box.engine.report.faults
        assert "spec.triggers[0].webhook.secrets" in fault.message


async def test_a_files_agent_waits_for_a_key_that_is_broken(given):
    given.write("hooks", FILE.format(secret=SECRET))
    given.write("plain", "from nightcrew.agent import agent\n@agent\nasync def plain(): ...\n")
    given.data.mkdir(mode=0o700)
    (given.data / "secret.key").write_text("broken")
    async with given.up() as box:
        (fault,) = box.engine.report.faults
        assert "agent 'filed'" in fault.message
        assert "secret.key" in fault.message
        assert SECRET not in str(fault)
        await box.agent("plain")
    (given.data / "secret.key").unlink()
    async with given.up() as box:
        assert box.engine.report.faults == []
        assert await kept(box, "webhook", "filed") == (SECRET,)


async def test_a_key_that_is_lost_is_healed_by_the_file(given):
    given.write("hooks", FILE.format(secret=SECRET))
    async with given.up():
        pass
    (given.data / "secret.key").unlink()
    async with given.up() as box:
        assert await kept(box, "webhook", "filed") == (SECRET,)
