"""Survey: one question to all nodes over the bus, with one answer from each node within a time limit."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.events import BusEvent, SurveyAnswered, SurveyAsked
from portward.model.limits import MIB
from portward.model.node import NodeInfo
from portward.node.sessions import NodeContext

Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)

SURVEY_TIME: Final = 2.0
"""Seconds until the nodes that have not answered count as missing."""
MAX_ANSWER: Final = 4 * MIB
"""The most bytes of one node's answer."""
MAX_NODES: Final = 1000
"""The most answers to one question."""
MAX_TOTAL: Final = 64 * MIB
"""The most bytes of all answers to one question."""
MAX_RUNNING: Final = 256
"""The most questions of this node, and of other nodes, that are open at a time."""
TOO_LARGE: Final = "too large"
FAILED: Final = "failed"
_NOTHING: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class SurveyQuestion(Generic[Q, A]):
    """A kind of question. `handler` gets the node that answers, and the request."""

    name: str
    request: type[Q]
    answer: type[A]
    handler: Callable[[Any, Q], Awaitable[A]]


@dataclass(frozen=True, slots=True)
class SurveyResult(Generic[A]):
    """Answers by node, ordered by node, and the nodes without a usable answer."""

    answers: dict[str, A]
    missing: tuple[str, ...]


class Survey:
    """Asks all nodes, and answers the questions of other nodes.

    `node` is what the handlers of the `questions` get. On an engine of one process, a survey is a call of
    the handler and nothing else.
    """

    def __init__(
        self, context: NodeContext, node: object, questions: Mapping[str, SurveyQuestion[Any, Any]]
    ) -> None:
        self.known: dict[str, NodeInfo] = {}
        """The nodes that ran on the store when it was last read, with their figures of then."""
        self._engine, self._stores = context.engine, context.stores
        self._node = node
        self._uid = context.uid
        self._questions = questions
        self._background = context.background
        self._clock = context.clock
        self._open: dict[str, _OpenSurvey] = {}
        self._running = 0

    @property
    def handlers(self) -> Mapping[type[BusEvent], Callable[..., None]]:
        """The events of the bus that this handles."""
        return {SurveyAsked: self._asked, SurveyAnswered: self._answered}

    # -- asking

    async def ask(
        self, question: SurveyQuestion[Q, A], request: Q, among: Iterable[str] | None = None
    ) -> SurveyResult[A]:
        """Ask all nodes, or those `among` them with these ids; returns after `SURVEY_TIME` at the latest.

        Raises:
            CommandError: an answer is over `MAX_ANSWER`, or too many questions are open.
        """
        chosen = None if among is None else tuple(among)
        if not self._engine.shared_by_nodes or (chosen is not None and not self._others(chosen)):
            return SurveyResult(await self._own(question, request, chosen), ())
        if len(self._open) >= MAX_RUNNING:
            raise CommandError(ErrorKind.LIMIT_EXCEEDED, detail="too many questions to the nodes")
        survey = _OpenSurvey()
        event = SurveyAsked(
            id=secrets.token_hex(16),
            node=self._uid,
            question=question.name,
            body=_encoded(request),
            among=chosen,
        )
        self._open[event.id] = survey
        timer = self._clock.call_later(SURVEY_TIME, survey.done.set)
        try:
            self._background.run(self._send(survey, event))
            own = await self._own(question, request, chosen)
            await survey.done.wait()
        finally:
            timer.cancel()
            del self._open[event.id]
        return self._result(question, survey, own, chosen)

    async def _own(
        self, question: SurveyQuestion[Q, A], request: Q, among: tuple[str, ...] | None
    ) -> dict[str, A]:
        if among is not None and self._uid not in among:
            return {}
        return {self._uid: await question.handler(self._node, request)}

    async def _send(self, survey: "_OpenSurvey", event: SurveyAsked) -> None:
        try:
            await self._engine.streams.publish_control(event)
            if event.among is None:
                self.note(await self._stores.nodes.present())
        except Unavailable:
            survey.done.set()  # no answer can come
            return
        survey.expect(self._others(event.among))

    def note(self, present: Iterable[NodeInfo]) -> None:
        """Keep the nodes that run on the store now: they are to answer."""
        self.known = {each.uid: each for each in present}

    def _others(self, among: Iterable[str] | None) -> set[str]:
        return set(self.known if among is None else among) - {self._uid}

    def _result(
        self,
        question: SurveyQuestion[Q, A],
        survey: "_OpenSurvey",
        own: dict[str, A],
        among: tuple[str, ...] | None,
    ) -> SurveyResult[A]:
        answers = own
        for uid, answer in survey.answers.items():
            if answer.error == TOO_LARGE:
                detail = f"the answer of node {uid} is over {MAX_ANSWER // MIB} MiB: ask for less"
                raise CommandError(ErrorKind.LIMIT_EXCEEDED, detail=detail)
            try:
                if not answer.error:
                    answers[uid] = msgspec.json.decode(answer.body, type=question.answer)
            except (msgspec.DecodeError, RecursionError):  # of another version
                continue
        missing = (self._others(among) | survey.answers.keys()) - answers.keys()
        return SurveyResult(dict(sorted(answers.items())), tuple(sorted(missing)))

    def _answered(self, event: SurveyAnswered) -> None:
        survey = self._open.get(event.id)
        if survey is not None and event.node != self._uid:
            survey.take(event)

    # -- answering

    def _asked(self, event: SurveyAsked) -> None:
        mine = event.among is None or self._uid in event.among
        if mine and event.node != self._uid and self._running < MAX_RUNNING:
            self._background.run(self._reply(event))

    async def _reply(self, event: SurveyAsked) -> None:
        self._running += 1
        body, error = _NOTHING, FAILED
        try:
            body, error = await self._answer(event)
        finally:
            self._running -= 1
            answer = SurveyAnswered(id=event.id, node=self._uid, body=body, error=error)
            await self._engine.streams.publish_control(answer)

    async def _answer(self, event: SurveyAsked) -> tuple[msgspec.Raw, str]:
        question = self._questions.get(event.question)
        if question is None:
            return _NOTHING, "unknown question"
        try:
            request = msgspec.json.decode(event.body, type=question.request)
        except (msgspec.DecodeError, RecursionError):
            return _NOTHING, "unknown request"
        body = _encoded(await question.handler(self._node, request))
        return (_NOTHING, TOO_LARGE) if len(body) > MAX_ANSWER else (body, "")


class _OpenSurvey:
    """A question that waits for answers. `done` is set when all that are expected are there."""

    __slots__ = ("_expected", "_size", "answers", "done")

    def __init__(self) -> None:
        self.answers: dict[str, SurveyAnswered] = {}
        self.done = asyncio.Event()
        self._expected: set[str] | None = None
        self._size = 0

    def expect(self, nodes: set[str]) -> None:
        """Set the nodes that are to answer."""
        self._expected = nodes
        self._conclude()

    def take(self, answer: SurveyAnswered) -> None:
        """Take the first answer of a node."""
        self._size += len(answer.body)
        if len(self.answers) < MAX_NODES and self._size <= MAX_TOTAL:
            self.answers.setdefault(answer.node, answer)
            self._conclude()

    def _conclude(self) -> None:
        if self._expected is not None and self._expected <= self.answers.keys():
            self.done.set()


def _encoded(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
