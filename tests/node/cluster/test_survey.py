"""One question to all nodes: every answer there is, and the name of every node that gave none."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import msgspec
import pytest

from portward.model.errors import CommandError
from portward.model.events import SurveyAnswered, SurveyAsked
from portward.node.admin_method import question
from portward.node.cluster import Survey, SurveyResult, survey
from portward.node.cluster.maintenance import TOUCH_INTERVAL
from portward.node.commands import SurveyedNode
from portward.telemetry.events import Event
from tests.node.simulated_cluster import SimulatedCluster, simulated_cluster
from tests.running_gateway import settle
from tests.stores import stores


class Asked(msgspec.Struct, frozen=True):
    """A question of the tests."""

    text: str = "x"


class Told(msgspec.Struct, frozen=True):
    """Its answer."""

    uid: str
    text: str


@question
async def echoed(node: SurveyedNode, request: Asked) -> Told:
    """Answer with the id of the node and the text."""
    if request.text == "fail":
        raise RuntimeError("the handler fails")
    return Told(node.operations.uid, request.text * len(node.operations.uid))


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """Three nodes that know the question."""
    async with simulated_cluster(3) as net:
        for each in surveys(net):
            each._questions = {echoed.name: echoed}
        await net.advance(TOUCH_INTERVAL)  # by now each knows the others
        yield net


def surveys(net: SimulatedCluster) -> list[Survey]:
    """The surveys of the nodes."""
    return [running.gateway.node.survey for running in net.gateways]


def uids(net: SimulatedCluster) -> list[str]:
    """The ids of the nodes."""
    return [running.gateway.operations.uid for running in net.gateways]


async def late(
    net: SimulatedCluster, asking: Coroutine[Any, Any, SurveyResult[Told]]
) -> SurveyResult[Told]:
    """The result of a question that some node does not answer: it is there when the time is over."""
    task = asyncio.create_task(asking)
    await settle()
    await net.advance(survey.SURVEY_TIME - 0.1, 0.1)
    assert not task.done()
    await net.advance(0.2, 0.1)
    return await asyncio.wait_for(task, 10)


async def test_every_node_answers(net: SimulatedCluster) -> None:
    """The result has the answers of all nodes in the order of their ids, without a wait."""
    for each in surveys(net):
        result = await each.ask(echoed, Asked())
        assert list(result.answers) == sorted(uids(net))
        assert {uid: answer.uid for uid, answer in result.answers.items()} == {
            uid: uid for uid in uids(net)
        }
        assert result.missing == ()


async def test_some_nodes_are_asked(net: SimulatedCluster) -> None:
    """A question to chosen nodes is answered by those alone; to the own node it needs no bus."""
    a, b, c = uids(net)
    asker = surveys(net)[0]
    assert set((await asker.ask(echoed, Asked(), [a, c])).answers) == {a, c}
    assert set((await asker.ask(echoed, Asked(), [b])).answers) == {b}
    net.engines[0].away = True
    assert set((await asker.ask(echoed, Asked(), [a])).answers) == {a}
    assert await asker.ask(echoed, Asked(), []) == SurveyResult({}, ())


@pytest.mark.parametrize("trouble", ["losing", "keeping"])
async def test_node_that_is_silent(net: SimulatedCluster, trouble: str) -> None:
    """A node that the bus does not reach is missing once the time is over; the others are there."""
    setattr(net.engines[2], trouble, True)
    a, b, c = uids(net)
    result = await late(net, surveys(net)[0].ask(echoed, Asked()))
    assert (set(result.answers), result.missing) == ({a, b}, (c,))
    net.engines[2].bring()  # what comes now is too late, and does no harm
    await settle()
    assert surveys(net)[0]._open == {}
    assert net.gateways[0].events(Event.INTERNAL_ERROR) == 0


async def test_node_that_died_without_a_word(net: SimulatedCluster) -> None:
    """A node is expected for as long as the store lists it, and no longer."""
    a, b, c = uids(net)
    engine = net.engines[2]
    engine.away = True  # it neither answers nor renews its entry
    result = await late(net, surveys(net)[0].ask(echoed, Asked()))
    assert result.missing == (c,)
    await stores(net.store).nodes.withdraw(c)  # as the store does when the entry has expired
    result = await asyncio.wait_for(surveys(net)[0].ask(echoed, Asked()), 10)
    assert (set(result.answers), result.missing) == ({a, b}, ())


async def test_store_is_away(net: SimulatedCluster) -> None:
    """Without the store a node answers for itself at once, and names the nodes it knew."""
    a, b, c = uids(net)
    for engine in net.engines:
        engine.away = True
    result = await surveys(net)[0].ask(echoed, Asked())
    assert (set(result.answers), set(result.missing)) == ({a}, {b, c})


async def test_store_that_hangs(net: SimulatedCluster) -> None:
    """A store that accepts the question and says nothing more does not hold up the result."""
    a, b, c = uids(net)
    streams = net.engines[0].streams
    stuck = asyncio.Event()

    async def hang(_: Any) -> None:
        await stuck.wait()

    streams.publish_control = hang  # type: ignore[method-assign, assignment]
    result = await late(net, surveys(net)[0].ask(echoed, Asked()))
    assert (set(result.answers), set(result.missing)) == ({a}, {b, c})
    stuck.set()


async def test_node_of_the_version_before(net: SimulatedCluster) -> None:
    """A node that does not know the question says so at once, and is missing."""
    surveys(net)[1]._questions = {}
    result = await surveys(net)[0].ask(echoed, Asked())
    assert result.missing == (uids(net)[1],)
    assert net.gateways[1].events(Event.INTERNAL_ERROR) == 0


async def test_node_that_does_not_know_surveys(net: SimulatedCluster) -> None:
    """A node of a version without surveys drops the event, and is missing once the time is over."""
    sink: Any = net.engines[1].sink
    sink._handlers[SurveyAsked] = lambda _: None
    result = await late(net, surveys(net)[0].ask(echoed, Asked()))
    assert result.missing == (uids(net)[1],)


@pytest.mark.parametrize(
    "body", [b"7", b"null", b"[]", b"{", b'{"text": 1}', b"[" * 2000, b"", b"\xff"]
)
async def test_question_that_cannot_be_read(net: SimulatedCluster, body: bytes) -> None:
    """A request of another form is answered with an error, not with a failure."""
    sink: Any = net.engines[1].sink
    answers: list[SurveyAnswered] = []
    net.engines[0].sink._handlers[SurveyAnswered] = answers.append  # type: ignore[union-attr]
    sink.on_control(SurveyAsked(id="q", node="other", question=echoed.name, body=msgspec.Raw(body)))
    await settle()
    assert [(each.node, each.error) for each in answers] == [(uids(net)[1], "unknown request")]
    assert net.gateways[1].events(Event.INTERNAL_ERROR) == 0


@pytest.mark.parametrize("body", [b"7", b"null", b"{", b'{"uid": "a"}', b"[" * 2000, b"\xff"])
async def test_answer_that_cannot_be_read(net: SimulatedCluster, body: bytes) -> None:
    """A node whose answer has another form, as one of a later version, is missing."""
    a, b, c = uids(net)
    sink: Any = net.engines[1].sink

    def answer(event: SurveyAsked) -> None:
        told = SurveyAnswered(id=event.id, node=b, body=msgspec.Raw(body))
        net.gateways[1].gateway.node.background.run(net.engines[1].streams.publish_control(told))

    sink._handlers[SurveyAsked] = answer
    result = await surveys(net)[0].ask(echoed, Asked())
    assert (set(result.answers), result.missing) == ({a, c}, (b,))


async def test_handler_that_fails(net: SimulatedCluster) -> None:
    """A node that fails at a question records it and says so; the others' answers stand."""
    a, b, c = uids(net)

    @question
    async def fails_at_b(node: SurveyedNode, _: Asked) -> Told:
        if node.operations.uid == b:
            raise RuntimeError("the handler fails")
        return Told(node.operations.uid, "")

    for each in surveys(net):
        each._questions = {fails_at_b.name: fails_at_b}
    result = await surveys(net)[0].ask(fails_at_b, Asked())
    assert (set(result.answers), result.missing) == ({a, c}, (b,))
    assert net.gateways[1].events(Event.INTERNAL_ERROR) == 1


async def test_handler_that_fails_here(net: SimulatedCluster) -> None:
    """A failure of the asking node is that of the caller, and the question is closed."""
    with pytest.raises(RuntimeError, match="the handler fails"):
        await surveys(net)[0].ask(echoed, Asked("fail"))
    await settle()
    assert surveys(net)[0]._open == {}


async def test_answer_over_the_bound(
    net: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is too large is not sent; the caller is asked to ask for less."""
    monkeypatch.setattr(survey, "MAX_ANSWER", 1000)
    with pytest.raises(CommandError) as refused:
        await surveys(net)[0].ask(echoed, Asked("x" * 500))
    assert "ask for less" in str(refused.value.detail)
    assert (await surveys(net)[0].ask(echoed, Asked("x"))).missing == ()


async def test_answers_over_the_bound_together(
    net: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers beyond the bytes of one survey are not kept: their nodes are missing."""
    monkeypatch.setattr(survey, "MAX_TOTAL", 100)
    result = await late(net, surveys(net)[0].ask(echoed, Asked()))
    assert len(result.answers) + len(result.missing) == 3
    assert len(result.missing) == 1


async def test_too_many_at_a_time(net: SimulatedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node has a bounded number of open questions, and answers as many at a time."""
    monkeypatch.setattr(survey, "MAX_RUNNING", 2)
    net.engines[1].losing = True
    asker = surveys(net)[0]
    asking = [asyncio.create_task(asker.ask(echoed, Asked())) for _ in range(2)]
    await settle()
    with pytest.raises(CommandError, match="limit_exceeded"):
        await asker.ask(echoed, Asked())
    await net.advance(survey.SURVEY_TIME, 0.1)
    await asyncio.wait_for(asyncio.gather(*asking), 10)
    surveys(net)[2]._running = 2
    net.engines[1].losing = False
    result = await late(net, asker.ask(echoed, Asked()))
    assert result.missing == (uids(net)[2],)


async def test_answers_nobody_asked_for(net: SimulatedCluster) -> None:
    """Answers with an unknown id, of the node itself, and a second one of a node change nothing."""
    a, b, _ = uids(net)
    sink: Any = net.engines[0].sink
    body = msgspec.Raw(msgspec.json.encode(Told("forged", "forged")))
    for node in (a, b, "nobody"):
        sink.on_control(SurveyAnswered(id="unknown", node=node, body=body))
    net.engines[1].losing = True
    task = asyncio.create_task(surveys(net)[0].ask(echoed, Asked()))
    await settle()
    (identifier,) = surveys(net)[0]._open
    sink.on_control(SurveyAnswered(id=identifier, node=a, body=body))
    for _ in range(2):
        sink.on_control(
            SurveyAnswered(id=identifier, node=b, body=msgspec.Raw(b'{"uid":"1","text":""}'))
        )
        body = msgspec.Raw(b'{"uid":"2","text":""}')
    result = await asyncio.wait_for(task, 10)
    assert (result.answers[a].uid, result.answers[b].uid) == (a, "1")


async def test_bus_that_doubles(net: SimulatedCluster) -> None:
    """A question that comes twice is answered twice, and counted once."""
    for engine in net.engines:
        engine.doubling = True
    result = await surveys(net)[0].ask(echoed, Asked())
    assert (set(result.answers), result.missing) == (set(uids(net)), ())


async def test_caller_that_gives_up(net: SimulatedCluster) -> None:
    """A caller that is cancelled leaves no open question behind."""
    net.engines[1].losing = True
    task = asyncio.create_task(surveys(net)[0].ask(echoed, Asked()))
    await settle()
    assert len(surveys(net)[0]._open) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert surveys(net)[0]._open == {}
