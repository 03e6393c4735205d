"""Asking workers over the sockets of the private folder."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import httpx

from portward.app.workers import control_protocol

QUICK: Final = 2.0
"""Seconds for what is asked of all: who takes longer is left out."""
STEADY: Final = 5.0
"""Seconds for a page of a longer answer that is gathered from all."""
PATIENT: Final = 30.0
"""Seconds for what one is asked on somebody's behalf."""


class WorkerAnswer(NamedTuple):
    """What a worker said."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class WorkerQuestion(NamedTuple):
    """A request as it came, or as it is asked in its stead."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""


class SilenceError(Exception):
    """A worker did not answer. `asked` tells whether the question may have reached it."""

    def __init__(self, *, asked: bool) -> None:
        super().__init__("no answer")
        self.asked = asked


class WorkerAdminClient:
    """The workers that accept, as `ready` numbers them, over sockets in `folder`."""

    def __init__(self, folder: str, ready: Callable[[], list[int]]) -> None:
        self.ready = ready
        self._folder = folder
        self._clients: dict[int, httpx.AsyncClient] = {}
        self._turn = 0
        self._silent: set[int] = set()
        """Who did not answer last time: asked after the others, until an answer comes."""

    async def aclose(self) -> None:
        """Let go of all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def ask(
        self, number: int, question: WorkerQuestion, seconds: float = PATIENT
    ) -> WorkerAnswer:
        """Ask one of them.

        Raises:
            SilenceError: there is no answer within `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                response = await self._client(number).request(
                    question.method,
                    f"http://worker{question.target}",
                    headers=list(question.headers),
                    content=question.body,
                )
        except httpx.ConnectError:
            raise SilenceError(asked=False) from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            self._silent.add(number)
            raise SilenceError(asked=True) from None
        self._silent.discard(number)
        return WorkerAnswer(response.status_code, tuple(response.headers.items()), response.content)

    async def ask_any(self, question: WorkerQuestion) -> tuple[int, WorkerAnswer]:
        """Ask whose turn it is; the next one, where that one cannot be reached. Tells who answered.

        Raises:
            SilenceError: nobody can be reached, or the one that was asked does not answer.
        """
        ready = self.ready()
        self._turn += 1
        first = self._turn % max(1, len(ready))
        for number in sorted(ready[first:] + ready[:first], key=self._silent.__contains__):
            try:
                return number, await self.ask(number, question)
            except SilenceError as silence:
                if silence.asked:
                    raise
        raise SilenceError(asked=False)

    async def ask_all(
        self, question: WorkerQuestion, seconds: float = QUICK
    ) -> dict[int, WorkerAnswer]:
        """Ask all of them at once; who does not answer in time is left out."""
        return await self.ask_each(dict.fromkeys(self.ready(), question), seconds)

    async def ask_each(
        self, questions: Mapping[int, WorkerQuestion], seconds: float = QUICK
    ) -> dict[int, WorkerAnswer]:
        """Ask each of them its own question at once; who does not answer in time is left out."""
        asked = [self._perhaps(number, each, seconds) for number, each in questions.items()]
        answers = zip(questions, await asyncio.gather(*asked), strict=True)
        return {number: answer for number, answer in answers if answer is not None}

    async def _perhaps(
        self, number: int, question: WorkerQuestion, seconds: float
    ) -> WorkerAnswer | None:
        try:
            return await self.ask(number, question, seconds)
        except SilenceError:
            return None

    def _client(self, number: int) -> httpx.AsyncClient:
        client = self._clients.get(number)
        if client is None:
            transport = httpx.AsyncHTTPTransport(
                uds=control_protocol.admin_socket(self._folder, number),
                # Not used here; without one, all certificates of the system would be read.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            )
            client = httpx.AsyncClient(transport=transport, timeout=PATIENT, trust_env=False)
            self._clients[number] = client
        return client
