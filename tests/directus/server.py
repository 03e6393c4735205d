"""A real Directus in a process and a folder of its own: started, furnished, frozen, killed."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).resolve().parent
# The program behind the command `directus`, which would first ask whether there is a newer one.
PROGRAM = HERE / "node_modules" / "@directus" / "api" / "dist" / "cli" / "run.js"
PATIENCE = 60.0
SESSION = "directus_session_token"
GRACE = "1s"

ADMIN = "admin@example.com"
READER = "reader@example.com"
"""May read the open events, and who they are themselves."""
STRANGER = "stranger@example.com"
"""May read nothing at all, not even their own name."""
LEAVER = "leaver@example.com"
"""Like a stranger, until their account is deleted."""
PASSWORD = "a password of the tests"

OPEN, HIDDEN = 1, 2
"""An event every reader may see, and one that readers may not."""
MISSING, UNREADABLE = 99, "abc"
"""An event that is not there, and an id that no event can have."""


class Directus:
    """One Directus on a free port, with its database in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    # -- its process

    async def install(self) -> None:
        """Make the database with its administrator."""
        process = await self._run("bootstrap")
        async with self._in_time(process):
            assert await process.wait() == 0, self._log()

    async def start(self) -> None:
        """Run it until it answers."""
        self._process = process = await self._run("start")
        async with self._in_time(process):
            while not await self._answers():
                assert process.returncode is None, self._log()
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """End it at once, frozen or not; nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process)

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _run(self, verb: str) -> asyncio.subprocess.Process:
        with self._log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *("node", str(PROGRAM), verb),
                cwd=self._folder,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @asynccontextmanager
    async def _in_time(self, process: asyncio.subprocess.Process) -> AsyncIterator[None]:
        """Whatever stops the wait for a process ends the process."""
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        except BaseException:
            await _end(process)
            raise

    async def _answers(self) -> bool:
        try:
            async with self._client() as client:
                return (await client.get("/server/ping")).status_code == 200
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        """Nothing of the machine but where its programs are; nothing that reaches into the network."""
        return {
            "PATH": os.environ["PATH"],
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
            "PUBLIC_URL": self.url,
            # Directus takes a value with a comma for a list.
            "SECRET": "a secret of the tests long enough to be one",
            "DB_CLIENT": "sqlite3",
            "DB_FILENAME": str(self._folder / "data.db"),
            "STORAGE_LOCAL_ROOT": str(self._folder / "uploads"),
            "EXTENSIONS_PATH": str(self._folder / "extensions"),
            "ADMIN_EMAIL": ADMIN,
            "ADMIN_PASSWORD": PASSWORD,
            "SESSION_REFRESH_GRACE_PERIOD": GRACE,
            "SERVE_APP": "false",
            "TELEMETRY": "false",
            "CACHE_ENABLED": "false",
            "RATE_LIMITER_ENABLED": "false",
            # A busy machine is no reason to turn anybody away here.
            "PRESSURE_LIMITER_ENABLED": "false",
            "LOG_LEVEL": "error",
            "LOG_STYLE": "raw",
        }

    @property
    def _log_path(self) -> Path:
        return self._folder / "directus.log"

    def _log(self) -> str:
        return self._log_path.read_text(errors="replace")[-4000:]

    # -- its REST API

    async def login(self, email: str) -> str:
        """Log in as a page does; the value of the `Cookie` header a browser sends from then on."""
        body = {"email": email, "password": PASSWORD, "mode": "session"}
        return _cookie(await self._post("/auth/login", body))

    async def refresh(self, cookie: str) -> str:
        """Have the session prolonged, as a page does now and then; the cookie that replaces it."""
        return _cookie(await self._post("/auth/refresh", {"mode": "session"}, cookie))

    async def logout(self, cookie: str) -> None:
        """Log out as a page does."""
        await self._post("/auth/logout", {"mode": "session"}, cookie)

    async def furnish(self) -> None:
        """Make the events, and the users who may read them and who may not."""
        admin = await self.login(ADMIN)
        await self._post("/collections", _EVENTS, admin)
        events = [{"id": OPEN, "open": True}, {"id": HIDDEN, "open": False}]
        await self._post("/items/events", events, admin)
        await self._add(admin, STRANGER)
        await self._add(admin, LEAVER)
        # Access to the app is what lets a user of Directus read their own account.
        await self._add(admin, READER, app_access=True, permissions=[_READ])

    async def delete(self, email: str) -> None:
        """Delete a user's account, as an administrator does."""
        query = {"query": {"filter": {"email": {"_eq": email}}}}
        await self._send("DELETE", "/users", query, await self.login(ADMIN))

    async def _add(self, admin: str, email: str, **policy: Any) -> None:
        policy = {"name": email, "app_access": False, "permissions": []} | policy
        made = await self._make("/policies", policy, admin)
        role = await self._make("/roles", {"name": email, "policies": [{"policy": made}]}, admin)
        user = {"email": email, "password": PASSWORD, "first_name": email, "role": role}
        await self._make("/users", user, admin)

    async def _make(self, path: str, body: dict[str, Any], admin: str) -> str:
        identifier: str = (await self._post(path, body, admin)).json()["data"]["id"]
        return identifier

    async def _post(self, path: str, body: Any, cookie: str = "") -> httpx.Response:
        return await self._send("POST", path, body, cookie)

    async def _send(self, method: str, path: str, body: Any, cookie: str) -> httpx.Response:
        async with self._client() as client:
            headers = {"Cookie": cookie} if cookie else {}
            answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False)


_EVENTS = {
    "collection": "events",
    "schema": {},
    "meta": {},
    "fields": [
        {"field": "id", "type": "integer", "schema": {"is_primary_key": True}},
        {"field": "open", "type": "boolean", "schema": {}},
    ],
}
_READ = {
    "collection": "events",
    "action": "read",
    "fields": ["id"],
    "permissions": {"open": {"_eq": True}},
}


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[Directus]:
    """A running Directus with events and users, until the block ends."""
    directus = Directus(folder)
    try:
        await directus.install()
        await directus.start()
        await directus.furnish()
        yield directus
    finally:
        await directus.kill()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _cookie(answer: httpx.Response) -> str:
    return f"{SESSION}={answer.cookies[SESSION]}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port
