"""A webhook that sends decisions on requests for approval, made on this node, to the backend.

POST <endpoints.X.approval_webhook>
X-Portward-Signature: sha256=<HMAC-SHA256 of the body in hex>      where a secret is set
{"requestId", "workspace", "decision", "userId", "comment"?, "decidedAt"}      decidedAt in Unix milliseconds

Any 2xx is success; after any other result the post is repeated, with five attempts in all. A decision that is
lost can be read with `GET /api/approvals/{id}`.
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
"""Seconds for one complete attempt."""
PAUSES: Final = (1.0, 4.0, 16.0, 64.0)
"""Seconds between the attempts."""
ROOM: Final = 1000
"""The most posts that wait for their first attempt, for an answer or for another attempt."""
AT_ONCE: Final = 8
GRACE: Final = 2.0
"""Seconds for running posts to finish when the gateway stops."""
SIGNATURE: Final = "X-Portward-Signature"


class Target(msgspec.Struct, frozen=True):
    """The address for an endpoint's decisions. The address may contain a secret."""

    endpoint: str
    url: str
    secret: Secret

    def __repr__(self) -> str:
        return f"Target({self.endpoint!r})"


class _Post(msgspec.Struct, eq=False):
    """One decision to be sent to one address."""

    target: Target
    body: bytes
    attempts: int = 0


def targets(settings: Settings) -> dict[str, tuple[Target, ...]]:
    """Return the addresses for decisions by namespace."""
    found: dict[str, tuple[Target, ...]] = {}
    for name, endpoint in settings.endpoints.items():
        if endpoint.enabled and endpoint.approval_webhook:
            target = Target(name, endpoint.approval_webhook, endpoint.approval_webhook_secret)
            found[endpoint.namespace] = (*found.get(endpoint.namespace, ()), target)
    return found


class Webhook:
    """Posts decisions. `decided` never waits and never raises; the posts run in the background."""

    def __init__(
        self, given: Mapping[str, Iterable[Target]], clock: Clock, telemetry: Telemetry
    ) -> None:
        """`given` is :func:`targets`."""
        self.adopt(given)
        self._clock = clock
        self._telemetry = telemetry
        self._client: httpx.AsyncClient | None = None
        self._posts: dict[_Post, None] = {}
        self._waiting: deque[_Post] = deque()
        self._later: dict[_Post, Timer] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Return the number of unfinished posts."""
        return len(self._posts)

    def adopt(self, given: Mapping[str, Iterable[Target]]) -> None:
        """Use other addresses from now on."""
        self.targets = given

    def decided(self, approval: Approval) -> None:
        """Queue a decision that was made on this node."""
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
            # Here and not in a done callback: a post that is added in between needs a worker.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _carry(self, post: _Post) -> None:
        """Make one attempt and handle its result; a cancelled attempt leaves the post unfinished."""
        try:
            why = await self._attempt(post)
        except Exception as error:  # noqa: BLE001 - one post must not stop the others
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
        """Return why the post failed, a status or a word; None when it succeeded."""
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
        """Record the failure and the number of the attempt, without the address: it may contain a secret."""
        fields = Fields(
            endpoint=post.target.endpoint,
            reason=why if isinstance(why, str) else "status",
            count=post.attempts,
        )
        if isinstance(why, int):
            fields["status"] = why
        self._telemetry.record(Event.WEBHOOK_FAIL, **fields)

    async def aclose(self) -> None:
        """Accept no more decisions, wait a limited time for the running posts, and give up the rest."""
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
    """Return the body of a post; the approval must have a decision."""
    verdict = approval.verdict
    if verdict is None:
        raise ValueError("it is not decided")
    fields = {
        "requestId": approval.id,
        "workspace": approval.channel.name.rpartition(":")[0],
        "decision": verdict.decision,
        "userId": verdict.user,
        "comment": verdict.comment,
        "decidedAt": int(verdict.at * 1000),
    }
    return msgspec.json.encode({name: each for name, each in fields.items() if each is not None})


def sign(content: bytes, secret: str) -> str:
    """Return the value of the header `X-Portward-Signature`."""
    return f"sha256={hmac.new(secret.encode(), content, sha256).hexdigest()}"
