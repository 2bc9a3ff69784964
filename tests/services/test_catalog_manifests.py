"""What up is given as manifests and flows."""

from pathlib import Path

import pytest

from nightcrew.domain.agent import AgentState
from nightcrew.domain.page import ListQuery

FLOWS = Path(__file__).parents[1] / "data" / "flows"

HELLO = """
    from nightcrew.agent import agent

    @agent
    async def hello():
        return "hello"
"""


async def states(box):
    page = await box.services.agents.page(ListQuery(page_size=1000))
    return {one.id: (one.state.removeprefix("STATE_"), one.state_reason) for one in page.items}


def faults(box):
    return [str(fault) for fault in box.engine.report.faults]


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


GREET = """
    async def greet(name: str = "nobody"):
        return f"hello {name}"
"""


def manifest(given, stem="team", text=MANIFEST, **changes):
    text = text.replace("MODULE", given.module("jobs"))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return given.write(stem, text, suffix=".yaml")


async def test_a_manifest_makes_an_agent_of_a_plain_function(given):
    given.write("jobs", GREET)
    path = manifest(given)
    async with given.up() as box:
        found = await box.agent("greeter")
        assert (found.state, found.display_name, found.labels) == (
            AgentState.ACTIVE,
            "Greeter",
            {"team": "ops"},
        )
        assert [one.id for one in found.spec.triggers] == ["cron", "cron-2"]
        assert (await box.run("greeter")).result == '"hello you"'
        source = await box.engine.store.write(lambda tx: tx.agents.source("greeter"))
        assert source.path == str(path)


async def test_a_manifest_alone_finds_what_lies_beside_it(given):
    given.write("jobs", GREET)
    path = manifest(given)
    async with given.up(path) as box:
        assert (await box.run("greeter")).result == '"hello you"'


async def test_a_manifest_may_hold_several_and_a_faulty_one_hides_no_other(given):
    given.write("jobs", GREET)
    second = MANIFEST.replace("id: greeter", "id: second").replace("Greeter", "Second")
    path = manifest(given, text=f"{MANIFEST}    ---\n{second}    ---\n")
    async with given.up() as box:
        assert set(await states(box)) == {"greeter", "second"}
    broken = second.replace("triggers:", "trigers:")
    path = manifest(given, text=f"{MANIFEST}    ---\n{broken}")
    async with given.up() as box:
        assert await states(box) == {
            "greeter": ("ACTIVE", "first seen by `nightcrew up`"),
            "second": ("ERROR", "program_load"),
        }
        (fault,) = faults(box)
        assert fault.startswith(f"{path}:")
        assert "spec.trigers: is not a field" in fault
    manifest(given, text=f"{MANIFEST}    ---\n{second}")
    async with given.up() as box:
        assert (await states(box))["second"] == ("ACTIVE", "its program loads again")
    manifest(given)
    async with given.up() as box:
        assert (await states(box))["second"] == ("ERROR", "source_missing")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MODULE:greet": "nowhere:greet"}, "no module 'nowhere' below"),
        ({"id: greeter": "id: Not A Slug"}, "id: must match"),
        ({'cron: {expression: "0 9': 'cron: {expression: "0 99'}, "schedule.cron.expression"),
        ({'{python: {entrypoint: "MODULE:greet"}}': "{langflow: {flow: nowhere}}"}, "is not among the paths given"),
        ({"id: greeter": "id: greeter\n    colour: red"}, "colour: is not a field"),
    ],
    ids=["module", "id", "cron", "flow", "field"],
)  # fmt: skip
async def test_a_faulty_manifest_says_what_would_be_right(given, changes, words):
    given.write("jobs", GREET)
    text = MANIFEST
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = manifest(given, text=text)
    async with given.up() as box:
        assert await states(box) == {}
        (fault,) = faults(box)
        assert fault.startswith(str(path))
        assert words in fault


async def test_a_manifest_whose_python_file_breaks_fails_with_it(given):
    given.write("jobs", GREET)
    manifest(given)
    async with given.up() as box:
        pass
    given.write("jobs", "def (:\n")
    async with given.up() as box:
        assert (await states(box))["greeter"] == ("ERROR", "program_load")
        assert len(faults(box)) == 2  # the file's own, and the manifest's that names it
    given.write("jobs", GREET)
    async with given.up() as box:
        assert (await states(box))["greeter"][0] == "ACTIVE"


async def test_a_manifest_does_not_load_a_module_that_two_files_claim(given):
    left = given.write("jobs", GREET, folder="left")
    right = given.write("jobs", GREET, folder="right")
    path = manifest(given)
    async with given.up(left, right, path) as box:
        assert await states(box) == {}
        assert any(
            fault.startswith(f"{path}:") and "two files are the module" in fault for fault in faults(box)
        )


async def test_a_flow_is_an_agent_by_its_stem_and_may_have_manifests_beside_it(given):
    flow = given.folder / "prompt_echo.json"
    flow.write_text((FLOWS / "prompt_echo.json").read_text())
    given.write(
        "variant",
        """
        id: variant
        spec:
          program: {langflow: {flow: prompt_echo}}
        """,
        suffix=".yaml",
    )
    async with given.up() as box:
        assert {name for name, (state, _) in (await states(box)).items() if state == "ACTIVE"} == {
            "prompt-echo",
            "variant",
        }
        assert (await box.agent("variant")).spec.program.langflow.flow == "prompt_echo"
    given.remove(flow)
    async with given.up() as box:
        assert (await states(box)) == {
            "prompt-echo": ("ERROR", "source_missing"),
            "variant": ("ERROR", "program_load"),  # its manifest names what is gone
        }


async def test_flows_of_one_stem_are_twins(given):
    paths = []
    for folder in ("left", "right"):
        path = given.folder / folder / "same.json"
        path.parent.mkdir()
        path.write_text((FLOWS / "prompt_echo.json").read_text())
        paths.append(path)
    async with given.up(*paths) as box:
        assert await states(box) == {}
        assert len(faults(box)) == 2
        assert all("given twice" in fault for fault in faults(box))


async def test_what_was_applied_is_the_truth_again_after_a_crash_before_the_commit(given):
    """Applying is one transaction, and doing it again changes nothing."""
    for number in range(20):
        given.write(f"m{number}", HELLO.replace("hello", f"hello{number}"))
    async with given.up() as box:
        newest = (await box.engine.store.reads.event_bounds())[1]
        report = await box.engine.catalog.apply()
        assert len(report.agents) == 20
        assert (await box.engine.store.reads.event_bounds())[1] == newest
