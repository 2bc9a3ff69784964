"""SystemIds: version 7 UUIDs that grow, whatever the wall clock does, in any thread."""

import threading
import time
import uuid

from nightcrew.system.ids import SystemIds


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it():
    before = time.time_ns() // 1_000_000
    text = SystemIds().uuid7()
    after = time.time_ns() // 1_000_000
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert before <= parsed.int >> 80 <= after


def test_ids_grow_as_text():
    ids = SystemIds()
    made = [ids.uuid7() for _ in range(50_000)]
    assert made == sorted(set(made))


def test_ids_grow_though_the_clock_stands_still_or_steps_back(monkeypatch):
    times = iter([5_000_000_000_000_000_000] * 5000 + [4_000_000_000_000_000_000] * 5000)
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    ids = SystemIds()
    made = [ids.uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert all(uuid.UUID(text).version == 7 for text in made)


def test_threads_never_get_one_id_twice_and_each_sees_them_grow():
    ids = SystemIds()
    found = [[] for _ in range(4)]

    def make(into):
        for _ in range(5000):
            into.append(ids.uuid7())

    threads = [threading.Thread(target=make, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(into == sorted(into) for into in found)
    assert len({text for into in found for text in into}) == 20_000


def test_the_random_bits_differ_between_instances():
    tails = {SystemIds().uuid7()[19:] for _ in range(100)}
    assert len(tails) == 100


def test_random_is_in_its_range_and_moves():
    ids = SystemIds()
    drawn = [ids.random() for _ in range(1000)]
    assert all(0 <= number < 1 for number in drawn)
    assert len(set(drawn)) > 990
