"""The journal by itself: which entry answers for what, what does not fit, and what a new attempt begins with."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from nightcrew.domain.journal import Journal, Mismatch, survived
from nightcrew.domain.step import JournalFull, Step, StepError, StepKind, StepState, WaitKind, wait_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO = StepError(type="ValueError", message="no")


def entry(place, *, state=StepState.SUCCEEDED):
    return Step(
        key=place.key,
        branch=place.branch,
        name=place.name,
        ordinal=place.ordinal,
        kind=place.kind,
        digest=place.digest,
        state=state,
        start_time=NOW,
        error=NO if state is StepState.FAILED else None,
    )


def written(*calls):
    """The entries that a program's calls (branch, name) leave."""
    journal = Journal()
    steps = []
    for branch, name in calls:
        place = journal.place(branch, StepKind.STEP, name)
        assert journal.find(place) is None
        steps.append(entry(place))
        journal.keep(steps[-1])
    return steps


def test_the_same_calls_find_the_same_entries_in_any_order_of_the_branches():
    calls = [("", "a"), ("0", "b"), ("1", "b"), ("0", "b"), ("0.0", "a"), ("", "a")]
    steps = written(*calls)
    assert len({one.key for one in steps}) == len(calls)
    for order in ([0, 1, 2, 3, 4, 5], [2, 1, 0, 4, 3, 5], [0, 5, 4, 1, 3, 2]):
        journal = Journal(steps)
        for at in order:
            branch, name = calls[at]
            assert journal.find(journal.place(branch, StepKind.STEP, name)) is steps[at]


@pytest.mark.parametrize(("had", "comes"), [p for p in product(StepKind, StepKind) if p[0] is not p[1]])
def test_another_kind_is_a_mismatch_that_names_both_sides(had, comes):
    place = Journal().place("", had, "a")
    journal = Journal([entry(place)])
    with pytest.raises(Mismatch) as caught:
        journal.find(journal.place("", comes, "a"))
    assert f"{had.value} 'a'" in str(caught.value)
    assert f"{comes.value} 'a'" in str(caught.value)


@pytest.mark.parametrize(
    ("had", "comes", "fits"), [("x", "x", True), ("x", "y", False), ("", "y", True), ("x", "", True)]
)
def test_another_digest_is_a_mismatch(had, comes, fits):
    journal = Journal([entry(Journal().place("", StepKind.STEP, "a", digest=had))])
    place = journal.place("", StepKind.STEP, "a", digest=comes)
    if fits:
        assert journal.find(place) is not None
    else:
        with pytest.raises(Mismatch, match="other arguments"):
            journal.find(place)


def test_something_new_before_unread_entries_of_its_branch_is_a_mismatch():
    steps = written(("", "a"), ("0", "b"))
    journal = Journal(steps)
    assert journal.find(journal.place("1", StepKind.STEP, "new")) is None, "another branch is free"
    with pytest.raises(Mismatch, match=r"'new'.*which is new.*'a'"):
        journal.find(journal.place("", StepKind.STEP, "new"))


def test_an_own_key_is_found_from_anywhere_and_holds_nobody_up():
    journal = Journal()
    place = journal.place("0", StepKind.STEP, "a", key="mine")
    journal.keep(entry(place))
    again = Journal([entry(place)])
    assert again.find(again.place("", StepKind.STEP, "new")) is None
    assert again.find(again.place("1.2", StepKind.STEP, "a", key="mine")) is not None


def test_it_has_an_end(monkeypatch):
    monkeypatch.setattr("nightcrew.domain.journal.MAX_STEPS", 2)
    journal = Journal(written(("", "a"), ("", "b")))
    for name in "ab":
        assert journal.find(journal.place("", StepKind.STEP, name)) is not None
    with pytest.raises(JournalFull, match="continue_as_new"):
        journal.find(journal.place("", StepKind.STEP, "c"))


@pytest.mark.parametrize(
    ("calls", "failed", "kept"),
    [
        ([("", "a"), ("", "b")], {1}, {0}),
        ([("", "a"), ("", "b")], {0}, {0, 1}),
        ([("", "a"), ("0", "b"), ("1", "b")], {1}, {0, 2}),
        ([("0", "b"), ("1", "b"), ("", "c")], {0, 1}, {0, 1, 2}),
        ([("0", "b"), ("1", "b"), ("", "c")], {1, 2}, {0}),
        ([("0.0", "b"), ("0", "c")], {0}, {0, 1}),
        ([("0", "c"), ("0.0", "b")], {1}, {0}),
    ],
    ids=[
        "the last is done again",
        "it was caught",
        "a task's last",
        "its parent went on",
        "all that failed last",
        "the grandchild's was caught",
        "the grandchild's was not",
    ],
)
def test_a_new_attempt_begins_with_what_the_program_went_on_after(calls, failed, kept):
    steps = written(*calls)
    steps = [replace(one, state=StepState.FAILED) if at in failed else one for at, one in enumerate(steps)]
    assert survived(steps) == [steps[at] for at in sorted(kept)]


def test_what_is_shown_of_waits():
    assert wait_of([]) is None
    nap = replace(entry(Journal().place("", StepKind.SLEEP, "sleep"), state=StepState.WAITING), until=NOW)
    ask = replace(
        entry(Journal().place("", StepKind.SIGNAL, "go"), state=StepState.WAITING),
        awaited="go",
        detail="Shall I?",
    )
    assert wait_of([nap]).kind is WaitKind.SLEEP
    both = wait_of([nap, ask])
    assert (both.kind, both.signal, both.until) == (WaitKind.SIGNAL, "go", NOW)
    assert both.message == "time to pass; Shall I?"
