from itertools import pairwise
from random import Random

import pytest

from portward.demo.calls import ANOMALIES, BEST, EVENTS, LENGTH, WORST, Report, SimulatedCall

NOW = 1_700_000_000_000


def whole(seed: int) -> tuple[SimulatedCall, list[Report]]:
    """A call from its beginning to its end, and everything reported of it."""
    call, reports = SimulatedCall("call-1", Random(seed)), list[Report]()
    while not call.over:
        reports += call.step(NOW)
    return call, reports


@pytest.mark.parametrize("seed", range(20))
def test_payloads(seed: int) -> None:
    """Reports have the shape an engine is expected to send, and plausible values."""
    _, reports = whole(seed)
    for event, payload in reports:
        assert payload["callId"] == "call-1"
        if event == "result":
            assert payload.keys() == {"callId", "callQuality", "sentiment"}
            assert -1 <= payload["sentiment"] <= 1
            quality = payload["callQuality"]
            assert WORST <= quality["mosScore"] <= BEST
            assert quality["jitterMs"] > 0
            assert 0 <= quality["packetLossPercent"] < 20
        elif event == "events":
            assert payload.keys() == {"callId", "events"}
            for each in payload["events"]:
                assert each.keys() == {"type", "timestamp"}
                assert each["type"] in {*EVENTS, "started", "ended"}
                assert each["timestamp"] == NOW
        else:
            assert event == "anomalies"
            assert payload.keys() == {"callId", "anomalies"}
            for each in payload["anomalies"]:
                assert each.keys() == {"type", "confidence"}
                assert each["type"] in ANOMALIES
                assert 0.5 < each["confidence"] < 1


@pytest.mark.parametrize("seed", range(20))
def test_beginning_and_end(seed: int) -> None:
    """A call starts once, ends once, and lasts as long as calls do."""
    _, reports = whole(seed)
    kinds = [
        each["type"]
        for event, payload in reports
        if event == "events"
        for each in payload["events"]
    ]
    assert kinds.count("started") == kinds.count("ended") == 1
    assert (kinds[0], kinds[-1]) == ("started", "ended")
    assert LENGTH[0] <= sum(event == "result" for event, _ in reports) <= LENGTH[1]


def test_quality_drifts() -> None:
    """The quality walks: it is never the same for long, and never leaps across the scale."""
    _, reports = whole(3)
    scores = [payload["callQuality"]["mosScore"] for event, payload in reports if event == "result"]
    assert len(set(scores)) > len(scores) / 3
    assert max(abs(later - earlier) for earlier, later in pairwise(scores)) < 1.5


def test_bad_spells() -> None:
    """Most of the time calls are good, now and then bad; trouble comes with a bad line alone."""
    scores, anomalies, spoilt = [], 0, 0
    for seed in range(40):
        call = SimulatedCall("call-1", Random(seed))
        while not call.over:
            reports = list(call.step(NOW))
            scores += [
                each["callQuality"]["mosScore"] for kind, each in reports if kind == "result"
            ]
            trouble = sum(kind == "anomalies" for kind, _ in reports)
            assert call.spoilt or not trouble
            anomalies += trouble
            spoilt += call.spoilt
    bad = sum(score < 3.5 for score in scores) / len(scores)
    assert 0.05 < bad < 0.4
    assert min(scores) < 2.5
    assert 0 < anomalies < spoilt


def test_same_seed_same_call() -> None:
    """The same random numbers make the same call."""
    assert whole(5)[1] == whole(5)[1]
    assert whole(5)[1] != whole(6)[1]
