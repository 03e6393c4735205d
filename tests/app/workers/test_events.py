from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from portward.app.workers.events import RANKS, WorkerEvent, merged, read, time_of

BASE = 1_700_000_000_000


def entry(seq: int, milliseconds: int) -> WorkerEvent:
    """An event of a worker."""
    moment = datetime.fromtimestamp((BASE + milliseconds) / 1000, UTC)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return WorkerEvent(seq, stamp, "auth.ok", {"n": seq})


def test_time_is_read_to_the_millisecond() -> None:
    """The text of a time gives the milliseconds it was made from."""
    assert [entry(1, n).milliseconds for n in range(1000)] == [BASE + n for n in range(1000)]


def test_numbers_fit_into_json() -> None:
    """For longer than this program will live, the numbers are safe for every reader of JSON."""
    year_2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert year_2100 * RANKS + RANKS - 1 < 2**53
    assert time_of(year_2100 * RANKS + 5) == year_2100


workers = st.lists(
    st.lists(st.integers(0, 30))
    .map(sorted)
    .map(lambda times: [entry(n, each) for n, each in enumerate(times, start=1)]),
    min_size=1,
    max_size=3,
)


@given(workers, st.integers(1, 7))
def test_reading_on_sees_everything_once(answers: list[list[WorkerEvent]], limit: int) -> None:
    """Whoever goes on from the last number sees every event once, in the order of time."""
    seen: list[tuple[str, int]] = []
    since = 0
    while True:
        page = merged(answers, limit, since, BASE + 100)
        assert len(page) <= limit
        if not page:
            break
        seen += [(each["time"], each["fields"]["n"]) for each in page]
        since = page[-1]["seq"]
    every = [(each.time, each.seq) for worker in answers for each in worker]
    assert sorted(seen) == sorted(every)
    assert [time for time, _ in seen] == sorted(time for time, _ in every)


@given(workers, st.integers(1, 7))
def test_without_a_number_the_newest(answers: list[list[WorkerEvent]], limit: int) -> None:
    """Without a number the newest events are given, oldest first."""
    total = sum(map(len, answers))
    everything = merged(answers, total + 1, 0, BASE + 100)
    assert merged(answers, limit, None, BASE + 100) == everything[-limit:]


def test_what_happens_meanwhile_waits() -> None:
    """An event of the present moment is told by the next question: not all workers may tell it yet."""
    assert [
        each["fields"]["n"] for each in merged([[entry(1, 0), entry(2, 5)]], 9, None, BASE + 5)
    ] == [1]


def test_crowded_milliseconds() -> None:
    """More events in one millisecond than there are numbers share the last one."""
    page = merged([[entry(n, 0) for n in range(1, RANKS + 10)]], RANKS * 2, None, BASE + 1)
    assert max(each["seq"] for each in page) == BASE * RANKS + RANKS - 1


def test_who_does_not_answer() -> None:
    """A worker without an answer has no events."""
    assert read(None) == []
    assert (
        read({"events": [{"seq": 1, "time": entry(1, 0).time, "event": "e", "fields": {}}]}) != []
    )
