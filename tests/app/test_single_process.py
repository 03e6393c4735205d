"""Several processes of one application, started by real servers."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT

APP = """
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import FastAPI
from portward import Gateway
from portward.settings import load

gateway = Gateway(load({{"PORTWARD_ENGINE__URL": "{engine}"}}).settings)

@asynccontextmanager
async def lifespan(app):
    async with gateway:
        yield

app = FastAPI(lifespan=lifespan)
app.mount("/ws", gateway.asgi)

@app.get("/")
async def root():
    return {{"ok": True}}
"""
WORD = "another process of this application runs already"
WAIT = 60.0
pytestmark = pytest.mark.timeout(300)


def start(folder: Path, engine: str, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Serve an application with uvicorn; its process and its port."""
    (folder / "app.py").write_text(APP.format(engine=engine))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{folder}"},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return process, port


def until(condition: object, folder: Path) -> None:
    """Wait until a function says yes."""
    assert callable(condition)
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, (folder / "out").read_text()
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether the application serves."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=WAIT).is_success
    except httpx.HTTPError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    """End it with all its children."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(WAIT)
    finally:
        process.kill()


def test_a_second_process_on_memory_is_refused(tmp_path: Path) -> None:
    """Of two workers of uvicorn one serves, and the other says what to change."""
    process, _ = start(tmp_path, "memory://", "--workers", "2")
    try:
        until(lambda: WORD in (tmp_path / "out").read_text(), tmp_path)
        assert "redis://" in (tmp_path / "out").read_text()
    finally:
        end(process)


def test_a_reload_is_allowed(tmp_path: Path) -> None:
    """`--reload` starts one process after the other."""
    process, port = start(tmp_path, "memory://", "--reload", "--reload-dir", str(tmp_path))
    try:
        until(lambda: answers(port), tmp_path)
        (tmp_path / "app.py").write_text(APP.format(engine="memory://") + "\nchanged = True\n")
        until(lambda: (tmp_path / "out").read_text().count("Started server process") > 1, tmp_path)
        until(lambda: answers(port), tmp_path)
        assert WORD not in (tmp_path / "out").read_text()
    finally:
        end(process)


def test_two_applications_are_two(tmp_path: Path) -> None:
    """Two servers beside each other have two parents, and do not disturb each other."""
    folders = [tmp_path / "a", tmp_path / "b"]
    running = []
    try:
        for folder in folders:
            folder.mkdir()
            running.append(start(folder, "memory://", "--workers", "1"))
        for (_, port), folder in zip(running, folders, strict=True):
            until(lambda port=port: answers(port), folder)
    finally:
        for process, _ in running:
            end(process)


@pytest.mark.parametrize("name", ["fork", "spawn"])
def test_the_claim_ends_with_its_process(name: str, tmp_path: Path) -> None:
    """The next child of the same parent can have it, whatever became of the one before."""
    script = f"""
import multiprocessing, os, signal
from portward.app.single_process import ProcessClaim
def hold(died):
    claim = ProcessClaim()
    claim.take()
    second = ProcessClaim()
    try:
        second.take()
    except Exception as error:
        assert "memory://" in str(error)
    else:
        raise SystemExit(3)
    if died:
        os.kill(os.getpid(), signal.SIGKILL)
    claim.release()
    ProcessClaim().take()
if __name__ == "__main__":
    context = multiprocessing.get_context("{name}")
    for died in (False, True, False):
        child = context.Process(target=hold, args=(died,))
        child.start()
        child.join()
        assert child.exitcode == (-9 if died else 0), child.exitcode
    ProcessClaim().take()
    ProcessClaim().take()
"""
    path = tmp_path / "claim.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
