"""A client for the admin APIs of the workers, over sockets in the private folder."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import httpx

from portward.app.workers import control_protocol

QUICK: Final = 2.0
"""Seconds for a question to all workers; later answers are left out."""
STEADY: Final = 5.0
"""Seconds for one page of a longer answer that is collected from all workers."""
PATIENT: Final = 30.0
"""Seconds for a request that is passed on to one worker."""


class WorkerAnswer(NamedTuple):
    """The HTTP answer of a worker."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class WorkerQuestion(NamedTuple):
    """A request as it arrived, or one that the parent makes."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""


class SilenceError(Exception):
    """A worker did not answer. `asked` is whether the question may have reached it."""

    def __init__(self, *, asked: bool) -> None:
        super().__init__("no answer")
        self.asked = asked


class WorkerAdminClient:
    """A client for the workers in `folder`; `ready` returns the numbers of those that accept."""

    def __init__(self, folder: str, ready: Callable[[], list[int]]) -> None:
        self.ready = ready
        self._folder = folder
        self._clients: dict[int, httpx.AsyncClient] = {}
        self._turn = 0
        self._silent: set[int] = set()
        """The workers that did not answer last time; they are asked last until they answer again."""

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def ask(
        self, number: int, question: WorkerQuestion, seconds: float = PATIENT
    ) -> WorkerAnswer:
        """Ask one worker.

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
        """Ask the next worker in turn, or another when it is unreachable; returns its number and the answer.

        Raises:
            SilenceError: no worker is reachable, or the asked worker does not answer.
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
        """Ask all workers at once; those that do not answer in time are left out."""
        return await self.ask_each(dict.fromkeys(self.ready(), question), seconds)

    async def ask_each(
        self, questions: Mapping[int, WorkerQuestion], seconds: float = QUICK
    ) -> dict[int, WorkerAnswer]:
        """Ask each worker its own question at once; those that do not answer in time are left out."""
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
                # Not used here; without this context, httpx would load all certificates of the system.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            )
            client = httpx.AsyncClient(transport=transport, timeout=PATIENT, trust_env=False)
            self._clients[number] = client
        return client
