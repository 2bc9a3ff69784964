"""Actors: tell and ask, one message at a time, and what senders hear when an actor ends."""

import asyncio
import logging
from typing import Any

import pytest

from nightcrew.actor.actor import Actor, ActorCell, StopKind
from nightcrew.actor.errors import ActorStopped, MailboxFull, Refused


class Recorder(Actor[Any]):
    """Does what its messages say and writes all down."""

    def __init__(self, log):
        self.log = log
        self.gate = asyncio.Event()
        self.handling = 0

    async def started(self):
        self.log.append("started")

    async def receive(self, message):
        self.handling += 1
        assert self.handling == 1, "two messages at a time"
        try:
            self.log.append(message)
            return await self.obey(message)
        finally:
            self.handling -= 1

    async def obey(self, message):
        match message:
            case "crash":
                raise ValueError("boom")
            case "refuse":
                raise Refused(KeyError("no such thing"))
            case "hold":
                await self.gate.wait()
            case "leave":
                self.leave()
        return f"re: {message}"

    async def stopping(self, reason):
        self.log.append(f"stopping: {reason}")


class House:
    """A cell whose runs a test drives by itself, without a supervisor."""

    def __init__(self, stage, actor=Recorder, **options):
        self.log = []
        self.actors = []
        self.stage = stage

        def make():
            self.actors.append(actor(self.log))
            return self.actors[-1]

        self.cell = ActorCell("digest", make, clock=stage.clock, **options)
        self.ref = self.cell.ref

    async def start(self):
        ready = asyncio.Event()
        task = asyncio.create_task(self.cell.run(ready.set))
        await self.stage.clock.settle()
        assert ready.is_set() or task.done()
        return task


async def end(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_tell_and_ask(stage):
    house = House(stage)
    task = await house.start()
    house.ref.tell("one")
    assert await house.ref.ask("two") == "re: two"
    await end(task)
    assert house.log == ["started", "one", "two", "stopping: it was stopped"]


async def test_messages_sent_before_it_has_started_are_handled_after(stage):
    house = House(stage)
    ref = house.cell.prepare()
    assert ref is house.ref
    ref.tell("early")
    task = await house.start()
    assert house.log == ["started", "early"]
    await end(task)


async def test_an_actor_that_does_not_run_says_so(stage):
    house = House(stage)
    with pytest.raises(ActorStopped, match="'digest' takes no messages: it has not been started"):
        house.ref.tell("hello")
    with pytest.raises(ActorStopped, match="has not been started"):
        await house.ref.ask("hello")
    await end(await house.start())
    with pytest.raises(ActorStopped, match="it was stopped"):
        house.ref.tell("hello")


async def test_a_crash_ends_it_and_answers_the_asks_in_flight_and_in_the_queue(stage, caplog):
    house = House(stage)
    task = await house.start()
    in_flight, queued = house.ref.ask("crash"), house.ref.ask("next")
    house.ref.tell("never read")
    with pytest.raises(ValueError, match="boom"):
        await task
    for ask in (in_flight, queued):
        with pytest.raises(
            ActorStopped, match=r"'digest' takes no messages: it crashed \(ValueError: boom\)"
        ):
            await ask
    assert house.log == ["started", "crash", "stopping: it crashed (ValueError: boom)"]
    assert "digest: it crashed (ValueError: boom) with 1 messages unread" in caplog.text


async def test_a_stop_answers_the_asks_in_flight_and_in_the_queue(stage):
    house = House(stage)
    task = await house.start()
    in_flight, queued = house.ref.ask("hold"), house.ref.ask("next")
    await stage.clock.settle()
    await end(task)
    assert task.cancelled()
    for ask in (in_flight, queued):
        with pytest.raises(ActorStopped, match="it was stopped"):
            await ask


async def test_a_crash_in_started_answers_too_and_stopping_is_not_called(stage):
    class Broken(Recorder):
        async def started(self):
            await asyncio.sleep(0)
            raise OSError("no file")

    house = House(stage, Broken)
    ask = house.cell.prepare().ask("early")
    task = await house.start()
    with pytest.raises(OSError, match="no file"):
        await task
    with pytest.raises(ActorStopped, match="no file"):
        await ask
    assert house.log == []


async def test_the_next_run_has_a_new_actor_and_a_fresh_mailbox_under_the_same_ref(stage):
    house = House(stage)
    task = await house.start()
    house.ref.tell("crash")
    house.ref.tell("lost with the crash")
    with pytest.raises(ValueError, match="boom"):
        await task
    second = await house.start()
    assert await house.ref.ask("hello") == "re: hello"
    assert len(house.actors) == 2
    assert "lost with the crash" not in house.log
    await end(second)


async def test_a_refusal_answers_an_ask_with_its_error_and_the_actor_goes_on(stage, caplog):
    house = House(stage)
    task = await house.start()
    with pytest.raises(KeyError, match="no such thing"):
        await house.ref.ask("refuse")
    house.ref.tell("refuse")
    assert await house.ref.ask("still there") == "re: still there"
    assert "digest refused a message: KeyError: 'no such thing'" in caplog.text
    await end(task)


async def test_an_ask_times_out_by_the_clock_and_is_still_handled(stage):
    house = House(stage)
    task = await house.start()
    house.ref.tell("hold")
    ask = house.ref.ask("late", timeout=2.5)
    await stage.clock.advance(2.4)
    assert not ask.done()
    await stage.clock.advance(0.1)
    with pytest.raises(TimeoutError, match=r"'digest' has not answered in 2\.5 s"):
        await ask
    house.actors[0].gate.set()
    await stage.clock.settle()
    assert house.log == ["started", "hold", "late"]
    await end(task)


async def test_an_answered_ask_leaves_no_timer(stage):
    house = House(stage)
    task = await house.start()
    assert await house.ref.ask("x", timeout=60) == "re: x"
    await stage.clock.settle()
    assert stage.clock.pending == 0
    await end(task)


async def test_a_sender_that_goes_away_harms_nobody(stage):
    house = House(stage)
    task = await house.start()

    async def asks():
        await house.ref.ask("hold")

    sender = asyncio.create_task(asks())
    await stage.clock.settle()
    sender.cancel()
    await stage.clock.settle()
    house.actors[0].gate.set()
    assert await house.ref.ask("next") == "re: next"
    await end(task)


async def test_a_full_mailbox_is_the_senders_error(stage):
    house = House(stage, capacity=2)
    task = await house.start()
    house.ref.tell("hold")
    await stage.clock.settle()
    house.ref.tell("a")
    ask = house.ref.ask("b")
    with pytest.raises(MailboxFull, match="'digest' is full: 2"):
        house.ref.tell("c")
    with pytest.raises(MailboxFull):
        await house.ref.ask("c")
    house.actors[0].gate.set()
    assert await ask == "re: b"
    assert house.log == ["started", "hold", "a", "b"]
    await end(task)


async def test_a_tell_that_comes_while_its_equal_is_handled_is_delivered(stage):
    house = House(stage, coalesce=lambda message: message)
    task = await house.start()
    house.ref.tell("hold")
    await stage.clock.settle()
    for _ in range(3):
        house.ref.tell("hold")
    house.actors[0].gate.set()
    await stage.clock.settle()
    assert house.log == ["started", "hold", "hold"]
    await end(task)


async def test_leaving_handles_what_waits_and_ends_normally(stage):
    house = House(stage)
    task = await house.start()
    house.ref.tell("leave")
    ask = house.ref.ask("one more")
    await task
    assert await ask == "re: one more"
    with pytest.raises(ActorStopped, match="it left"):
        house.ref.tell("too late")
    assert house.log == ["started", "leave", "one more", "stopping: it left"]


async def test_leaving_from_outside_a_message_works_too(stage):
    house = House(stage)
    task = await house.start()
    house.actors[0].leave()
    await task
    assert house.log == ["started", "stopping: it left"]


async def test_a_tell_is_either_handled_or_refused_when_an_actor_leaves(stage):
    """The race of a virtual actor: at every turn of the loop a tell has one of two outcomes, never none."""
    for turns in range(12):
        house = House(stage)
        task = await house.start()
        house.ref.tell("leave")
        for _ in range(turns):
            await asyncio.sleep(0)
        try:
            house.ref.tell("work")
        except ActorStopped:
            told = False
        else:
            told = True
        await task
        assert ("work" in house.log) == told


async def test_a_failing_goodbye_is_the_end_unless_a_crash_came_first(stage, caplog):
    class Rude(Recorder):
        async def stopping(self, reason):
            self.log.append(reason.kind)
            raise RuntimeError("no goodbye")

    house = House(stage, Rude)
    task = await house.start()
    house.ref.tell("leave")
    with pytest.raises(RuntimeError, match="no goodbye"):
        await task
    task = await house.start()
    house.ref.tell("crash")
    with pytest.raises(ValueError, match="boom"):
        await task
    assert "`stopping` failed after a crash" in caplog.text
    assert house.log == ["started", "leave", StopKind.LEFT, "started", "crash", StopKind.CRASHED]


async def test_a_run_that_was_left_behind_gets_no_more_messages(stage, caplog):
    caplog.set_level(logging.CRITICAL)
    house = House(stage)
    first = await house.start()
    second = await house.start()
    with pytest.raises(ActorStopped, match="another run has taken its place"):
        await first
    assert await house.ref.ask("hello") == "re: hello"
    await end(second)


async def test_a_busy_actor_gives_the_loop_to_others(stage):
    house = House(stage, capacity=100_000)
    task = await house.start()
    for number in range(10_000):
        house.ref.tell(number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < len(house.log) < 2000
    assert await house.ref.ask("end") == "re: end"
    assert house.log == ["started", *range(10_000), "end"]
    await end(task)


async def test_an_actor_without_receive_says_so(stage):
    cell = ActorCell("empty", Actor, clock=stage.clock)
    cell.prepare().tell("x")
    with pytest.raises(NotImplementedError, match=r"Actor\.receive is missing"):
        await cell.run(lambda: None)
