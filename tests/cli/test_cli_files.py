"""`agents apply` and `agents edit`: manifests, diffs, faults by file and line, pruning, the editor."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from nightcrew.domain.yaml_text import YamlFault, documents

DIGEST = """\
# The digest.
id: digest
labels: {team: ops}
spec:
  program:
    python: {entrypoint: "jobs:digest"}
  triggers:
    - id: cron
      schedule:
        cron: {expression: "0 9 * * *"}
"""
ECHO = "id: echo\nspec:\n  program: {langflow: {flow: prompt_echo}}\n"


async def test_apply_shows_then_does(cli, peer, tmp_path):
    (tmp_path / "a.yaml").write_text(DIGEST + "---\n" + ECHO)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.yml").write_text("id: third\nspec: {program: {python: {entrypoint: a:b}}}\n")
    (tmp_path / "README.md").write_text("no manifest")
    dry = await cli("agents", "apply", "-f", tmp_path, "--dry-run")
    assert dry.stdout.splitlines() == [
        "+ digest created", "    +id: digest", "+ echo created", "    +id: echo", "+ third created", "    +id: third",
    ]  # fmt: skip
    assert not peer.world.agents
    done = await cli("agents", "apply", "-f", tmp_path)
    assert set(peer.world.agents) == {"digest", "echo", "third"}
    assert "3 created" in done.stderr
    again = await cli("agents", "apply", "-f", tmp_path, "--yes")
    assert again.stdout == ""
    assert "nothing changes" in again.stderr
    assert [one.validate_only for one in peer.script.calls["ApplyAgents"]] == [True, True, False, True]


async def test_apply_prunes_by_labels(cli, peer, tmp_path):
    peer.world.add_agent("old", team="ops")
    peer.world.add_agent("other", team="dev")
    (tmp_path / "a.yaml").write_text(DIGEST)
    result = await cli(
        "agents", "apply", "-f", tmp_path / "a.yaml", "--prune", "team=ops", "--output", "json"
    )
    changes = json.loads(result.stdout)
    assert [(one["id"], one["action"]) for one in changes] == [
        ("digest", "ACTION_CREATED"),
        ("old", "ACTION_DELETED"),
    ]
    assert set(peer.world.agents) == {"digest", "other"}


async def test_apply_reads_stdin(cli, peer):
    await cli("agents", "apply", "-f", "-", stdin=ECHO)
    assert set(peer.world.agents) == {"echo"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id: a\nspec: [\n", "bad.yaml:3: "),
        ("id: a\nspec:\n  program: {python: {entrypoint: x}\n", "bad.yaml:4: "),
        ("id: a\nid: b\n", "bad.yaml:2: the key 'id' is given twice"),
        ("- a\n", "bad.yaml:1: must be an object"),
        ("id: 5\n", "bad.yaml:1: id: must be a text; put it in quotes"),
        (
            DIGEST.replace("triggers", "tigers"),
            "bad.yaml:7: spec.tigers: there is no such field; did you mean triggers?",
        ),
        (
            DIGEST.replace('expression: "0 9 * * *"', "expression: 5"),
            "bad.yaml:10: spec.triggers[0].schedule.cron.expression: ",
        ),
        (
            DIGEST.replace("team: ops", "team: 7"),
            "bad.yaml:3: labels.team: must be a text, not 7; put it in quotes",
        ),
        (DIGEST + "---\n" + DIGEST, "bad.yaml:2 and "),
        (
            "id: a\nspec: {execution: {maxConcurrency: many}}\n",
            "bad.yaml:2: spec.execution.maxConcurrency: must be a whole",
        ),
        ("id: \x00\n", "bad.yaml:1: "),
    ],
)
async def test_a_fault_names_its_file_and_line_and_nothing_is_sent(cli, peer, tmp_path, text, told):
    (tmp_path / "good.yaml").write_text(ECHO)
    (tmp_path / "bad.yaml").write_text(text)
    result = await cli("agents", "apply", "-f", tmp_path, code=2)
    assert told in result.stderr
    assert not peer.script.calls["ApplyAgents"]


async def test_every_faulty_file_is_told(cli, tmp_path):
    (tmp_path / "a.yaml").write_text("id: [\n")
    (tmp_path / "b.yaml").write_text("- 1\n")
    result = await cli("agents", "apply", "-f", tmp_path, "-f", tmp_path / "gone.yaml", code=2)
    told = {line.split(":")[1].rsplit("/")[-1] for line in result.stderr.splitlines()}
    assert told == {"a.yaml", "b.yaml", "gone.yaml"}
    (tmp_path / "empty").mkdir()
    assert "no file" in (await cli("agents", "apply", "-f", tmp_path / "empty", code=2)).stderr


async def test_what_the_server_refuses_is_told_by_file_and_line_too(cli, peer, tmp_path):
    (tmp_path / "a.yaml").write_text(ECHO)
    (tmp_path / "b.yaml").write_text(DIGEST.replace("0 9 * * *", "bad"))
    result = await cli("agents", "apply", "-f", tmp_path, code=1)
    assert result.stderr == (
        f"nightcrew: {tmp_path}/b.yaml:10: spec.triggers[0].schedule.cron.expression: is no cron expression\n"
    )
    assert not peer.world.agents


def test_plain_words_mean_what_they_mean_in_json():
    text = (
        "a: 10:30\nb: 2026-01-01T00:00:00Z\nc: no\nd: 1_000\ne: true\nf: -3\ng: 2.5e3\nh: ~\ni: 0o7\nj: 010\n"
    )
    (found,) = documents(text)
    assert found.value == {
        "a": "10:30", "b": "2026-01-01T00:00:00Z", "c": "no", "d": "1_000", "e": True, "f": -3, "g": 2500.0, "h": None,
        "i": "0o7", "j": "010",
    }  # fmt: skip


def test_anchors_and_merges_work():
    (found,) = documents("base: &b {x: 1}\nother: {<<: *b, y: 2}\n")
    assert found.value["other"] == {"x": 1, "y": 2}


def test_a_tag_that_makes_python_objects_is_a_fault():
    with pytest.raises(YamlFault, match="constructor"):
        list(documents("a: !!python/object/apply:os.system [ls]\n"))


def editor(tmp_path, old, new, *, code=0):
    """An editor that replaces text, as people do."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        f"path.write_text(path.read_text().replace({old!r}, {new!r}))\n"
        f"sys.exit({code})\n"
    )
    return {"EDITOR": f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}", "VISUAL": None}


async def test_edit_sends_what_changed_with_the_etag(cli, peer, tmp_path):
    peer.world.add_agent("digest", team="ops")
    env = editor(tmp_path, "description: ''", "description: new words")
    await cli("agents", "edit", "digest", env=env)
    sent = peer.script.calls["UpdateAgent"][0]
    assert list(sent.update_mask.paths) == ["description"]
    assert sent.agent.etag == "r1"
    assert peer.world.agents["digest"].description == "new words"
    env = editor(tmp_path, "jobs:digest", "jobs:other")
    await cli("agents", "edit", "digest", env=env)
    assert list(peer.script.calls["UpdateAgent"][1].update_mask.paths) == ["spec.program"]
    assert peer.world.agents["digest"].spec.program.python.entrypoint == "jobs:other"


async def test_edit_without_a_change_sends_nothing(cli, peer, tmp_path):
    peer.world.add_agent("digest")
    assert (
        "nothing was changed"
        in (await cli("agents", "edit", "digest", env=editor(tmp_path, "x", "x"))).stderr
    )
    result = await cli("agents", "edit", "digest", env=editor(tmp_path, "x", "x", code=3), code=2)
    assert "ended with code 3" in result.stderr
    await cli("agents", "edit", "digest", "--editor", "/no/such/editor", code=2)
    assert not peer.script.calls["UpdateAgent"]


@pytest.mark.parametrize(
    ("old", "new", "told", "code"),
    [
        ("spec:", "spec: [", "expected", 2),
        ("spec:", "state: x\nspec:", "state can't be edited", 2),
        ("entrypoint:", "entrypiont:", "did you mean entrypoint?", 2),
    ],
)
async def test_a_faulty_edit_keeps_the_text(cli, peer, tmp_path, old, new, told, code):
    peer.world.add_agent("digest")
    result = await cli("agents", "edit", "digest", env=editor(tmp_path, old, new), code=code)
    assert told in result.stderr
    kept = next(line for line in result.stderr.splitlines() if "your text is kept in" in line).rsplit(" ", 1)[
        1
    ]
    assert new in Path(kept).read_text(encoding="utf-8")
    assert not peer.script.calls["UpdateAgent"]


async def test_an_edit_that_somebody_overtook_is_refused_and_kept(cli, peer, tmp_path):
    from peer_script import refusal

    peer.world.add_agent("digest")
    peer.script.before["UpdateAgent"] = [
        refusal("ABORTED", "changed by somebody else", reason="etag_mismatch")
    ]
    env = editor(tmp_path, "description: ''", "description: mine")
    result = await cli("agents", "edit", "digest", env=env, code=1)
    assert "ABORTED (etag_mismatch)" in result.stderr
    assert "your text is kept in" in result.stderr


HOOKED = """\
id: hooked
spec:
  program: {python: {entrypoint: "jobs:digest"}}
  triggers:
    - {id: github, webhook: {scheme: SCHEME_GITHUB, secrets: ["${secret:GITHUB}"]}}
    - {id: off, disabled: true, webhook: {}}
"""


async def test_the_paths_of_hooks_are_told(cli, peer, tmp_path):
    (tmp_path / "a.yaml").write_text(DIGEST + "---\n" + HOOKED)
    done = await cli("agents", "apply", "-f", tmp_path, "--yes")
    lines = ["POST /hooks/hooked/github  github", "POST /hooks/hooked/off  standard, disabled"]
    assert [one for one in done.stderr.splitlines() if "/hooks/" in one] == [
        f"hooked: {one}" for one in lines
    ]
    shown = (await cli("agents", "get", "hooked")).stdout
    assert all(one in shown for one in lines)
    assert "/hooks/" not in (await cli("agents", "apply", "-f", tmp_path, "--yes")).stderr
