"""The mailbox: order, refusals, merging that loses no wake-up, and an end that answers who waits."""

import asyncio
import random
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nightcrew.actor.errors import ActorStopped, MailboxFull
from nightcrew.actor.mailbox import Ask, Mailbox
from nightcrew.domain.errors import InvalidArgument, ResourceExhausted, Unavailable


async def test_messages_come_in_order():
    box = Mailbox("box", 10)
    for number in range(5):
        box.put(number)
    assert [await box.receive() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_a_receiver_waits_for_a_message():
    box = Mailbox("box", 10)
    waiting = asyncio.create_task(box.receive())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.put("hello")
    assert await waiting == "hello"


async def test_a_full_one_refuses_and_keeps_what_it_has():
    box = Mailbox("box", 2)
    box.put(1)
    box.put(2)
    with pytest.raises(MailboxFull, match="'box' is full: 2 messages wait") as refused:
        box.put(3)
    with pytest.raises(MailboxFull):
        await box.ask(3)
    assert isinstance(refused.value, ResourceExhausted)
    assert refused.value.code == "mailbox_full"
    assert [await box.receive(), await box.receive()] == [1, 2]
    box.put(4)
    assert await box.receive() == 4


async def test_a_closed_one_refuses_and_answers_the_asks_that_wait():
    box = Mailbox("box", 10)
    box.put("lost")
    ask = box.ask("question")
    given_up = box.ask("given up")
    given_up.cancel()
    assert box.close("it crashed") == 1
    with pytest.raises(ActorStopped, match="'box' takes no messages: it crashed") as stopped:
        await ask
    assert isinstance(stopped.value, Unavailable)
    assert (stopped.value.name, stopped.value.reason) == ("box", "it crashed")
    for call in (lambda: box.put(1), lambda: box.ask(1)):
        with pytest.raises(ActorStopped, match="it crashed"):
            call()
    with pytest.raises(ActorStopped, match="it crashed"):
        await box.receive()
    assert box.close("again") == 0
    assert len(box) == 0
    with pytest.raises(ActorStopped, match="it crashed"):
        box.put(1)


async def test_closing_wakes_the_receiver():
    box = Mailbox("box", 10)
    waiting = asyncio.create_task(box.receive())
    await asyncio.sleep(0)
    box.close("the end")
    with pytest.raises(ActorStopped, match="the end"):
        await waiting


async def test_it_has_one_receiver():
    box = Mailbox("box", 10)
    waiting = asyncio.create_task(box.receive())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="'box' has a receiver already"):
        await box.receive()
    box.put(1)
    assert await waiting == 1


async def test_a_cancelled_receiver_loses_nothing_even_in_the_turn_of_the_message():
    box = Mailbox("box", 10)
    waiting = asyncio.create_task(box.receive())
    await asyncio.sleep(0)
    box.put("kept")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await box.receive() == "kept"


async def test_an_ask_carries_its_answer_and_the_first_counts():
    box = Mailbox("box", 10)
    future = box.ask("two and two")
    ask = await box.receive()
    assert isinstance(ask, Ask)
    assert ask.message == "two and two"
    ask.answer(4)
    ask.answer(5)
    ask.fail(ValueError("late"))
    assert await future == 4


async def test_equal_keys_merge_while_one_waits_and_not_longer():
    box = Mailbox("box", 2, coalesce=lambda message: message[0])
    box.put(("a", 1))
    box.put(("b", 1))
    box.put(("a", 2))  # merged, though there is no room for another
    with pytest.raises(MailboxFull):
        box.put(("c", 1))
    assert await box.receive() == ("a", 1)
    box.put(("a", 3))  # the first is taken: this one is a new wake-up
    assert [await box.receive(), await box.receive()] == [("b", 1), ("a", 3)]


async def test_messages_without_a_key_and_asks_never_merge():
    box = Mailbox("box", 10, coalesce=lambda _: None)
    box.put("x")
    box.put("x")
    assert len(box) == 2
    flagged = Mailbox("flagged", 10, coalesce=lambda message: message)
    flagged.put("x")
    asks = [flagged.ask("x"), flagged.ask("x")]
    assert len(flagged) == 3
    flagged.close("done")
    for ask in asks:
        with pytest.raises(ActorStopped):
            await ask


async def test_a_key_function_that_fails_leaves_the_mailbox_as_it_was():
    box = Mailbox("box", 10, coalesce=lambda message: message.key)
    with pytest.raises(AttributeError):
        box.put("no key")
    assert len(box) == 0


def test_a_mailbox_without_room_is_refused():
    with pytest.raises(InvalidArgument, match="capacity: must be at least 1, is 0"):
        Mailbox("box", 0)


async def test_a_nudge_wakes_without_a_message():
    box = Mailbox("box", 10)
    waiting = asyncio.create_task(box.wait())
    await asyncio.sleep(0)
    box.nudge()
    await waiting
    assert not box
    box.nudge()  # nobody waits: nothing happens


@pytest.mark.parametrize("seed", range(20))
async def test_no_wake_up_is_lost_whatever_the_interleaving(seed):
    """Work that is there when the last tell returns is always seen by a handler that begins later."""
    dice = random.Random(seed)
    box = Mailbox("box", 8, coalesce=lambda message: message)
    keys = "abc"
    written = dict.fromkeys(keys, 0)
    seen = dict.fromkeys(keys, 0)

    async def receiver():
        while True:
            key = str(await box.receive())
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)
            seen[key] = written[key]
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)

    async def sender():
        for _ in range(200):
            key = dice.choice(keys)
            written[key] += 1
            box.put(key)
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)

    async def interrupter():
        """Restarts the receiver while it waits, as a timeout would."""
        while True:
            task = asyncio.create_task(receiver())
            for _ in range(dice.randrange(1, 30)):
                await asyncio.sleep(0)
            while not (waits := box._waiter is not None):
                await asyncio.sleep(0)
            assert waits
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    receiving = asyncio.create_task(interrupter())
    await asyncio.gather(*(sender() for _ in range(3)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert seen == written
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class MailboxModel(RuleBasedStateMachine):
    """The mailbox beside a plain list: merging, bounds and closing agree in any order of calls."""

    CAPACITY = 4

    def __init__(self):
        super().__init__()
        self.box = Mailbox("box", self.CAPACITY, coalesce=lambda message: message[0])
        self.model = deque()
        self.closed = False
        self.number = 0

    @rule(key=st.sampled_from(["a", "b", "c", "d", "e", None]))
    def put(self, key):
        self.number += 1
        message = (key, self.number)
        if self.closed:
            with pytest.raises(ActorStopped):
                self.box.put(message)
        elif key is not None and any(waiting[0] == key for waiting in self.model):
            self.box.put(message)
        elif len(self.model) >= self.CAPACITY:
            with pytest.raises(MailboxFull):
                self.box.put(message)
        else:
            self.box.put(message)
            self.model.append(message)

    @precondition(lambda self: self.model)
    @rule()
    def take(self):
        assert self.box.take() == self.model.popleft()

    @rule(odds=st.integers(0, 9))
    def close(self, odds):
        if odds == 0:
            lost = self.box.close("closed")
            assert lost == len(self.model)
            self.closed = True
            self.model.clear()

    @invariant()
    def as_many_wait(self):
        assert len(self.box) == len(self.model)
        assert self.box.closed == self.closed


TestMailboxModel = MailboxModel.TestCase
TestMailboxModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
