"""What `up` owns: agents first seen, changed, gone, back again, deleted by hand; twins, faults and manifests."""

from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.agent import Manifest
from nightcrew.services.once import Request

BY_TEST = Request(method="test")

HELLO = """
    from nightcrew.agent import agent

    @agent
    async def hello():
        return "hello"
"""


async def states(box):
    page = await box.services.agents.page(ListQuery(page_size=1000))
    return {one.id: (one.state.removeprefix("STATE_"), one.state_reason) for one in page.items}


async def command(box, event, agent_id):
    return await box.services.agents.command(event, agent_id, reason="by hand", request=BY_TEST)


async def described(box, agent_id, text):
    await box.services.agents.update(
        agent_id, {"description": text}, paths=["description"], etag="", request=BY_TEST
    )


def faults(box):
    return [str(fault) for fault in box.engine.report.faults]


async def test_an_agent_first_seen_is_started_unless_its_author_says_not(given):
    given.write(
        "a",
        """
        from nightcrew.agent import agent

        @agent
        async def goes_at_once():
            return 1

        @agent(start=False)
        async def waits():
            return 2
        """,
    )
    async with given.up() as box:
        assert await states(box) == {
            "goes-at-once": ("ACTIVE", "first seen by `nightcrew up`"),
            "waits": ("STOPPED", ""),
        }
        assert sorted(box.engine.report.agents) == ["goes-at-once", "waits"]
        assert (await box.run("goes-at-once")).result == "1"


async def test_the_state_that_people_gave_it_is_kept(given):
    given.write("a", HELLO)
    async with given.up() as box:
        await command(box, AgentEvent.PAUSE, "hello")
    given.write("a", HELLO.replace("async def", "# changed\n    async def"))
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "PAUSED"
        await command(box, AgentEvent.STOP, "hello")
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "STOPPED"


async def test_a_spec_is_applied_when_its_digest_has_changed_and_until_then_people_win(given):
    given.write("a", HELLO)
    async with given.up() as box:
        first = await box.agent("hello")
        await described(box, "hello", "people's")
    async with given.up() as box:
        found = await box.agent("hello")
        assert (found.description, found.generation) == ("people's", first.generation)
    # The code has changed, what it says of itself has not.
    given.write("a", HELLO.replace('"hello"', '"hello again"'))
    async with given.up() as box:
        assert (await box.agent("hello")).description == "people's"
        assert (await box.run("hello")).result == '"hello again"'
    given.write("a", HELLO.replace("@agent", "@agent(timeout=5)"))
    async with given.up() as box:
        found = await box.agent("hello")
        assert (found.description, found.generation) == ("", first.generation + 1)
        assert found.spec.execution.timeout.total_seconds() == 5
        revision = found.revision
    async with given.up() as box:  # nothing differs: nothing is written
        assert (await box.agent("hello")).revision == revision


async def test_an_agent_whose_source_is_gone_stays_in_error_until_it_is_back(given):
    path = given.write("a", HELLO)
    given.write("b", HELLO.replace("hello", "other"))
    async with given.up() as box:
        await command(box, AgentEvent.PAUSE, "other")
    given.remove(path)
    async with given.up() as box:
        assert (await states(box))["hello"] == ("ERROR", "source_missing")
        assert box.engine.report.missing == ["hello"]
        assert (await states(box))["other"][0] == "PAUSED"
    async with given.up() as box:  # it stays so
        assert (await states(box))["hello"] == ("ERROR", "source_missing")
    given.write("a", HELLO)
    async with given.up() as box:
        assert (await states(box))["hello"] == ("ACTIVE", "its program loads again")
        assert (await box.run("hello")).state is ExecutionState.SUCCEEDED


async def test_a_stopped_agent_whose_source_is_gone_has_nothing_to_fail(given):
    path = given.write("a", HELLO)
    async with given.up() as box:
        await command(box, AgentEvent.STOP, "hello")
    given.remove(path)
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "STOPPED"
    given.write("a", HELLO)
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "STOPPED"


async def test_a_paused_agent_comes_back_paused(given):
    path = given.write("a", HELLO)
    async with given.up() as box:
        await command(box, AgentEvent.PAUSE, "hello")
    given.remove(path)
    async with given.up() as box:
        assert (await states(box))["hello"] == ("ERROR", "source_missing")
    given.write("a", HELLO)
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "PAUSED"


async def test_a_file_that_moves_takes_its_agents_along(given):
    path = given.write("a", HELLO)
    async with given.up() as box:
        await described(box, "hello", "people's")
    given.remove(path)
    given.write("b", HELLO)
    async with given.up() as box:
        # Its entrypoint is another one now, so that its digest has changed.
        assert (await states(box))["hello"][0] == "ACTIVE"
        assert box.engine.report.missing == []
        assert (await box.run("hello")).state is ExecutionState.SUCCEEDED


async def test_prune_deletes_what_is_gone_and_nothing_else(given):
    path = given.write("a", HELLO)
    given.write("b", HELLO.replace("hello", "kept"))
    broken = given.write("c", HELLO.replace("hello", "broken"))
    async with given.up() as box:
        spec = (await box.agent("kept")).spec
        await box.services.agents.create(Manifest(id="by-api", spec=spec), request=BY_TEST)
    given.remove(path)
    broken.write_text("def (:\n")
    async with given.up(prune=True) as box:
        assert set(await states(box)) == {"kept", "by-api", "broken"}
        assert box.engine.report.pruned == ["hello"]
    given.write("a", HELLO)
    async with given.up() as box:  # it is seen for the first time again
        assert (await states(box))["hello"][0] == "ACTIVE"


async def test_one_deleted_by_hand_stays_away_until_its_file_changes(given):
    given.write("a", HELLO)
    async with given.up() as box:
        await box.services.agents.delete("hello", etag="", force=True, request=BY_TEST)
    for prune in (False, True):
        async with given.up(prune=prune) as box:
            assert await states(box) == {}
    given.write("a", HELLO.replace("@agent", "@agent(timeout=5)"))
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "ACTIVE"


async def test_a_syntax_error_names_file_and_line_and_stops_no_other_file(given):
    given.write("good", HELLO)
    path = given.write("bad", HELLO.replace("hello", "other"))
    async with given.up() as box:
        pass
    path.write_text("import os\n\nasync def broken(:\n    pass\n")
    async with given.up() as box:
        assert await states(box) == {
            "hello": ("ACTIVE", "first seen by `nightcrew up`"),
            "other": ("ERROR", "program_load"),
        }
        (fault,) = faults(box)
        assert fault.startswith(f"{path}:3: SyntaxError")
        assert (box.engine.report.failed, box.engine.report.missing) == (["other"], [])
        assert (await box.run("hello")).state is ExecutionState.SUCCEEDED
    given.write("bad", HELLO.replace("hello", "other"))
    async with given.up() as box:
        assert (await states(box))["other"] == ("ACTIVE", "its program loads again")


async def test_a_fault_in_a_file_that_it_imports_is_laid_to_it_too(given):
    helper = given.write("helper", "VALUE = 1\n")
    text = HELLO.replace("from nightcrew", f"import {given.module('helper')}\n    from nightcrew", 1)
    given.write("uses", text)
    async with given.up() as box:
        assert (await states(box))["hello"][0] == "ACTIVE"
    helper.write_text("VALUE = (\n")
    async with given.up() as box:
        assert (await states(box))["hello"] == ("ERROR", "program_load")
        assert all(fault.startswith(f"{helper}:1: SyntaxError") for fault in faults(box))
    helper.write_text("raise RuntimeError('not today')\n")
    async with given.up() as box:
        assert (await states(box))["hello"] == ("ERROR", "program_load")
        assert any("not today" in fault for fault in faults(box))


async def test_an_agent_that_can_not_be_kept_as_its_file_says_is_a_fault_of_the_file(given):
    path = given.write("a", HELLO)
    async with given.up() as box:
        pass
    path.write_text(
        path.read_text().replace("async def", "def").replace("@agent", "@agent(isolation='inline')")
        + "\n@agent\nasync def other():\n    return 1\n"
    )
    async with given.up() as box:
        # Its program is known, and yet it must not come back by itself.
        assert await states(box) == {
            "hello": ("ERROR", "program_load"),
            "other": ("ACTIVE", "first seen by `nightcrew up`"),
        }
        (fault,) = faults(box)
        assert fault.startswith(f"{path}: agent 'hello': ")
        assert "a sync function never runs on the event loop" in fault


async def test_two_agents_of_one_id_are_both_named_and_neither_is_loaded(given):
    one, two = given.write("one", HELLO), given.write("two", HELLO + HELLO.replace("hello", "other"))
    async with given.up() as box:
        assert set(await states(box)) == {"other"}
        assert sorted(faults(box)) == [
            f"{path}: the agent id 'hello' is given twice: {one} and {two}" for path in sorted([one, two])
        ]
    given.remove(one)
    async with given.up() as box:
        assert set(await states(box)) == {"hello", "other"}
    given.write("one", HELLO)
    async with given.up() as box:  # who had it before has it no longer
        assert (await states(box))["hello"] == ("ERROR", "program_load")


async def test_two_agents_of_one_id_in_one_file(given):
    path = given.write(
        "one",
        HELLO + HELLO.replace("async def hello", "async def again").replace("@agent", "@agent(id='hello')"),
    )
    async with given.up() as box:
        assert await states(box) == {}
        assert faults(box) == [f"{path}: the agent id 'hello' is given twice: in {path}"]


async def test_two_modules_of_one_stem_are_both_named_and_neither_is_loaded(given):
    imported = given.folder / "was_imported"
    text = HELLO.replace("@agent", f"__import__('pathlib').Path({str(imported)!r}).touch()\n    @agent")
    one = given.write("same", text, folder="left")
    two = given.write("same", HELLO.replace("hello", "other"), folder="right")
    three = given.write("third", HELLO.replace("hello", "third"), folder="right")
    async with given.up(one.parent, two.parent) as box:
        assert set(await states(box)) == {"third"}
        assert not imported.exists()
        module = given.module("same")
        assert sorted(faults(box)) == sorted(
            f"{path}: two files are the module {module!r}: {one} and {two}; rename one" for path in (one, two)
        )
    async with given.up(one, three) as box:
        assert {name for name, (state, _) in (await states(box)).items() if state == "ACTIVE"} == {
            "hello",
            "third",
        }
        assert imported.exists()


async def test_a_path_given_twice_is_read_once(given):
    path = given.write("a", HELLO)
    async with given.up(path, given.folder, path) as box:
        assert faults(box) == []
        assert set(await states(box)) == {"hello"}


async def test_a_path_that_is_nothing_that_up_knows_is_named(given):
    path = given.folder / "notes.txt"
    path.write_text("hello")
    async with given.up(path) as box:
        (fault,) = faults(box)
        assert fault.startswith(f"{path}: is no Python file (.py), manifest (.yaml), flow (.json)")


async def test_what_lies_in_a_folder_and_is_not_for_us_is_passed_over(given):
    given.write("a", HELLO)
    (given.folder / "package.json").write_text('{"name": "x"}')
    (given.folder / "list.json").write_text("[1]")
    (given.folder / "compose.yaml").write_text("services: {}\n")
    (given.folder / "README.md").write_text("# hello\n")
    async with given.up() as box:
        assert faults(box) == []
    # What is broken is told: it may well be one of ours.
    (given.folder / "flow.json").write_text("{")
    (given.folder / "agents.yml").write_text("a: [")
    async with given.up() as box:
        assert [fault.split(":")[0].rsplit("/", 1)[1] for fault in faults(box)] == ["flow.json", "agents.yml"]


MANIFEST = """
    id: greeter
    display_name: Greeter
    labels: {team: ops}
    spec:
      program: {python: {entrypoint: "MODULE:greet"}}
      input: {name: you}
      triggers:
        - schedule: {cron: {expression: "0 9 * * *"}}
        - schedule: {cron: {expression: "0 18 * * *"}}
"""


def manifest(given, stem="team", text=MANIFEST, **changes):
    text = text.replace("MODULE", given.module("jobs"))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return given.write(stem, text, suffix=".yaml")
