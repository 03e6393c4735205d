import threading

import pytest

from portward.telemetry.worker_queue import BATCH, QueueThread


def test_items_come_out_in_order_and_together() -> None:
    """What is put is handled once, in order, in batches of bounded size."""
    batches: list[list[int]] = []

    def handle(items: list[int]) -> int:
        batches.append(items)
        return len(items)

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=10_000)
    for number in range(1000):
        assert drain.put(number)
    assert drain.flush()
    assert [item for batch in batches for item in batch] == list(range(1000))
    assert max(map(len, batches)) <= BATCH
    assert drain.close() == 0
    assert drain.stopped


def test_puts_of_several_threads_all_arrive() -> None:
    """Nothing is lost between threads, and each one's items keep their order."""
    seen: list[tuple[int, int]] = []

    def handle(items: list[tuple[int, int]]) -> int:
        seen.extend(items)
        return len(items)

    drain: QueueThread[tuple[int, int]] = QueueThread(
        handle, name="test", capacity=10_000, gather=0
    )
    drain.put((9, 0))

    def put(thread: int) -> None:
        for number in range(500):
            drain.put((thread, number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drain.close() == 0
    assert len(seen) == 2001
    for number in range(4):
        assert [item for thread, item in seen if thread == number] == list(range(500))


def test_a_full_queue_refuses_at_once() -> None:
    """While the thread is held up, the queue holds its capacity and counts the rest."""
    entered, release = threading.Event(), threading.Event()

    def handle(items: list[int]) -> int:
        entered.set()
        release.wait(10)
        return len(items)

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=3, gather=0)
    drain.put(0)
    assert entered.wait(10)
    assert [drain.put(number) for number in (1, 2, 3, 4)] == [True, True, False, False]
    assert drain.refused == 2
    assert not drain.room()
    assert not drain.flush(timeout=0)
    release.set()
    assert drain.flush()
    assert drain.room(3)
    assert not drain.room(4)
    drain.close()


def test_what_failed_is_offered_again_before_what_came_later() -> None:
    """The order holds across failures."""
    done: list[int] = []
    tries = 0

    def handle(items: list[int]) -> int:
        nonlocal tries
        tries += 1
        if tries <= 3:
            done.append(items[0])
            return 1
        done.extend(items)
        return len(items)

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=100, retry=0.001)
    for number in range(6):
        drain.put(number)
    assert drain.flush()
    assert done == list(range(6))
    assert drain.close() == 0


def test_closing_tries_once_more_and_counts_what_is_left() -> None:
    """A sink that never works does not keep the gateway from stopping."""
    failed = threading.Event()

    def handle(_items: list[int]) -> int:
        failed.set()
        return 0

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=100, retry=60)
    drain.put(1)
    drain.put(2)
    assert failed.wait(10)
    assert drain.close() == 2
    assert drain.stopped


def test_closing_does_not_wait_for_a_stuck_write() -> None:
    """After its time is over it returns; the thread is left behind."""
    entered, release = threading.Event(), threading.Event()

    def handle(items: list[int]) -> int:
        entered.set()
        release.wait(10)
        return len(items)

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=100, gather=0)
    drain.put(1)
    assert entered.wait(10)
    assert drain.close(timeout=0) == 1
    assert not drain.stopped
    release.set()
    assert drain.close() == 0


def test_after_closing_nothing_is_taken() -> None:
    """A late item is refused, and closing again is harmless."""
    drain: QueueThread[int] = QueueThread(len, name="test", capacity=100)
    assert drain.close() == 0
    assert not drain.put(1)
    assert drain.refused == 1
    assert drain.close() == 0


def test_a_mistake_in_the_handler_costs_its_batch_alone() -> None:
    """The thread lives on, and the loss is counted."""
    seen: list[int] = []

    def handle(items: list[int]) -> int:
        if 13 in items:
            raise RuntimeError("bug")
        seen.extend(items)
        return len(items)

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=100)
    drain.put(13)
    assert drain.flush()
    drain.put(14)
    assert drain.flush()
    assert drain.broken == 1
    assert seen == [14]
    drain.close()


def test_a_thread_that_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The item waits for the next one."""
    seen: list[int] = []

    def handle(items: list[int]) -> int:
        seen.extend(items)
        return len(items)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    drain: QueueThread[int] = QueueThread(handle, name="test", capacity=100)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert drain.put(1)
    assert drain.stopped
    monkeypatch.undo()
    assert drain.put(2)
    assert drain.flush()
    assert seen == [1, 2]
    drain.close()
