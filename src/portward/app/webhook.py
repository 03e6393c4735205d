"""Tells the backend of every verdict on a request for approval that is given here, by HTTP.

POST <endpoints.X.approval_webhook>
X-Portward-Signature: sha256=<HMAC-SHA256 of the body in hex>      where a secret is set
{"requestId", "workspace", "decision", "userId", "comment"?, "decidedAt"}      decidedAt in Unix milliseconds

Any 2xx is an answer; everything else is tried again, five times in all. What is lost all the same can be
read with `GET /api/approvals/{id}`.
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, cast

import httpx
import msgspec

from portward.model.approval import Approval
from portward.model.clock import Clock, Timer
from portward.settings import Settings
from portward.settings.secret import Secret
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.fields import Fields
from portward.version import __version__

TIMEOUT: Final = 5.0
"""Seconds of one attempt, from beginning to end."""
PAUSES: Final = (1.0, 4.0, 16.0, 64.0)
"""Seconds between the attempts."""
ROOM: Final = 1000
"""Posts that wait for their first attempt, for an answer or for another try."""
AT_ONCE: Final = 8
GRACE: Final = 2.0
"""Seconds that posts have to get through when the gateway stops."""
SIGNATURE: Final = "X-Portward-Signature"


class Target(msgspec.Struct, frozen=True):
    """Where an endpoint's verdicts go. The address may hold a secret, too."""

    endpoint: str
    url: str
    secret: Secret

    def __repr__(self) -> str:
        return f"Target({self.endpoint!r})"


class _Post(msgspec.Struct, eq=False):
    """One verdict on its way to one address."""

    target: Target
    body: bytes
    attempts: int = 0


def targets(settings: Settings) -> dict[str, tuple[Target, ...]]:
    """By namespace, where verdicts on its requests are posted to."""
    found: dict[str, tuple[Target, ...]] = {}
    for name, endpoint in settings.endpoints.items():
        if endpoint.enabled and endpoint.approval_webhook:
            target = Target(name, endpoint.approval_webhook, endpoint.approval_webhook_secret)
            found[endpoint.namespace] = (*found.get(endpoint.namespace, ()), target)
    return found


class Webhook:
    """Posts verdicts. `decided` never waits and never raises; the rest goes on in the background."""

    def __init__(
        self, given: Mapping[str, Iterable[Target]], clock: Clock, telemetry: Telemetry
    ) -> None:
        """`given` is :func:`targets`; another may be put in its place at any time."""
        self.targets = given
        self._clock = clock
        self._telemetry = telemetry
        self._client: httpx.AsyncClient | None = None
        self._posts: dict[_Post, None] = {}
        self._waiting: deque[_Post] = deque()
        self._later: dict[_Post, Timer] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Posts on their way."""
        return len(self._posts)

    def decided(self, approval: Approval) -> None:
        """Take a verdict that was given on this node."""
        for target in self.targets.get(approval.channel.namespace, ()):
            post = _Post(target, body(approval))
            if self._closed or len(self) >= ROOM:
                self._tell(post, "closed" if self._closed else "full")
            else:
                self._posts[post] = None
                self._begin(post)

    def _begin(self, post: _Post) -> None:
        self._waiting.append(post)
        if len(self._workers) < AT_ONCE:
            self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._carry(self._waiting.popleft())
        finally:
            # Here, not when the loop says that it is done: a post that comes in between needs a worker.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _carry(self, post: _Post) -> None:
        """Try once, and settle what comes of it; a cancelled one is still on its way."""
        try:
            why = await self._attempt(post)
        except Exception as error:  # noqa: BLE001 - one post must not take the others with it
            self._telemetry.failure(error, kind="webhook")
            why = "internal"
        if why is None:
            del self._posts[post]
            return
        self._tell(post, why)
        if post.attempts > len(PAUSES) or self._closed:
            self._give_up(post, "given_up")
        else:
            self._try_later(post, PAUSES[post.attempts - 1])

    def _give_up(self, post: _Post, why: str) -> None:
        del self._posts[post]
        self._tell(post, why)

    def _try_later(self, post: _Post, pause: float) -> None:
        def again() -> None:
            del self._later[post]
            self._begin(post)

        self._later[post] = self._clock.call_later(pause, again)

    async def _attempt(self, post: _Post) -> int | str | None:
        """Why it was not taken: a status, or a word; None when it was."""
        post.attempts += 1
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=TIMEOUT, follow_redirects=False, trust_env=False
            )
        target = post.target
        headers = {"content-type": "application/json", "user-agent": f"portward/{__version__}"}
        if target.secret:
            headers[SIGNATURE] = sign(post.body, target.secret.reveal())
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._client.stream(
                    "POST", target.url, content=post.body, headers=headers
                ) as response,
            ):
                return None if response.is_success else response.status_code
        except (TimeoutError, httpx.TimeoutException):
            return "timeout"
        except (httpx.HTTPError, httpx.InvalidURL):
            return "connection"

    def _tell(self, post: _Post, why: int | str) -> None:
        """Record what went wrong, and with which attempt; never the address, which may hold a secret."""
        fields = Fields(
            endpoint=post.target.endpoint,
            reason=why if isinstance(why, str) else "status",
            count=post.attempts,
        )
        if isinstance(why, int):
            fields["status"] = why
        self._telemetry.record(Event.WEBHOOK_FAIL, **fields)

    async def aclose(self) -> None:
        """Take no more, let what is on its way get through if it can, and give up the rest."""
        self._closed = True
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        if self._workers:
            _, late = await asyncio.wait(set(self._workers), timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._waiting.clear()
        for post in list(self._posts):
            self._give_up(post, "closed")
        if self._client is not None:
            await self._client.aclose()


def body(approval: Approval) -> bytes:
    """What is posted; the approval has its verdict."""
    verdict = approval.verdict
    if verdict is None:
        raise ValueError("it is not decided")
    said = {
        "requestId": approval.id,
        "workspace": approval.channel.name.rpartition(":")[0],
        "decision": verdict.decision,
        "userId": verdict.user,
        "comment": verdict.comment,
        "decidedAt": int(verdict.at * 1000),
    }
    return msgspec.json.encode({name: each for name, each in said.items() if each is not None})


def sign(content: bytes, secret: str) -> str:
    """The value of the header `X-Portward-Signature`."""
    return f"sha256={hmac.new(secret.encode(), content, sha256).hexdigest()}"
