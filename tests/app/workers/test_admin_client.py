from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portward.app.workers import control_protocol
from portward.app.workers.admin_client import SilenceError, WorkerAdminClient, WorkerQuestion
from portward.app.workers.worker_admin import listening
from tests.app.workers.work import house

QUESTION = WorkerQuestion("GET", "/health", ())
SOON = 0.05
"""Seconds until who will never answer is given up."""


@pytest.fixture
async def mute(tmp_path: Path) -> AsyncIterator[WorkerAdminClient]:
    """Two workers: nobody listens for the first, and the second never answers."""
    listener = listening(control_protocol.admin_socket(str(tmp_path), 1))
    colleagues = WorkerAdminClient(str(tmp_path), lambda: [0, 1])
    yield colleagues
    await colleagues.aclose()
    listener.close()


async def test_one_who_is_not_there(mute: WorkerAdminClient) -> None:
    """Who cannot be reached was not asked, so that another one may be."""
    with pytest.raises(SilenceError) as silence:
        await mute.ask(0, QUESTION)
    assert not silence.value.asked


async def test_one_who_does_not_answer(mute: WorkerAdminClient) -> None:
    """Who does not answer may have understood: nobody else is asked the same."""
    with pytest.raises(SilenceError) as silence:
        await mute.ask(1, QUESTION, SOON)
    assert silence.value.asked


async def test_nobody_answers(mute: WorkerAdminClient) -> None:
    """Of all who are asked, those that stay silent are left out."""
    assert await mute.ask_all(QUESTION, SOON) == {}


async def test_asked_once(mute: WorkerAdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that may have arrived is not put to another worker."""
    asked: list[int] = []

    async def silent(number: int, question: WorkerQuestion, seconds: float = SOON) -> None:
        asked.append(number)
        raise SilenceError(asked=True)

    monkeypatch.setattr(mute, "ask", silent)
    with pytest.raises(SilenceError):
        await mute.ask_any(QUESTION)
    assert len(asked) == 1


async def test_who_hangs_is_asked_last(tmp_path: Path) -> None:
    """Who did not answer is spared questions that others can answer."""
    async with house(tmp_path):
        listener = listening(control_protocol.admin_socket(str(tmp_path), 2))
        colleagues = WorkerAdminClient(str(tmp_path), lambda: [0, 1, 2])
        assert sorted(await colleagues.ask_all(QUESTION)) == [0, 1]
        asked = {(await colleagues.ask_any(QUESTION))[0] for _ in range(6)}
        assert asked == {0, 1}
        await colleagues.aclose()
        listener.close()


async def test_without_workers(tmp_path: Path) -> None:
    """Where nobody is ready, nobody is asked."""
    colleagues = WorkerAdminClient(str(tmp_path), list)
    with pytest.raises(SilenceError):
        await colleagues.ask_any(QUESTION)
    assert await colleagues.ask_all(QUESTION) == {}
