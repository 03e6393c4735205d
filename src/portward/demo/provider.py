"""A small identity provider with the API of Directus, so that the demo needs no other.

GET  /users/me            200 {"data": {"id", "email", "role", "first_name", "last_name"}}, or 401
GET  /items/events/{id}   200 {"data": {"id"}}, or 403: not allowed, not logged in, no such event
POST /auth/login          {"email", "password"} as JSON; sets the session cookie
POST /auth/logout         ends the session

Failures are `{"errors": [{"message", "extensions": {"code"}}]}`.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from portward.model.clock import Clock
from portward.settings import Settings, SettingsError

COOKIE: Final = "directus_session_token"
PUBLIC: Final = 42
PRIVATE: Final = 7
EVENTS: Final = {str(PUBLIC): True, str(PRIVATE): False}
"""The events by id: whether every user may read them."""
SESSIONS: Final = 1000
"""Sessions at once; one more ends the oldest."""
LIFE: Final = 24 * 3600
"""Seconds a session lasts."""
_BODY: Final = 4096
_ME: Final = ("id", "email", "role", "first_name", "last_name")
_FAILURES: Final = {
    400: ("INVALID_PAYLOAD", "Invalid payload."),
    401: ("INVALID_CREDENTIALS", "Invalid user credentials."),
    403: ("FORBIDDEN", "You don't have permission to access this."),
    413: ("CONTENT_TOO_LARGE", "The request is too large."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Send JSON."),
}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account; with `everything` it may read the private events. Id and password are new at each start."""

    email: str
    first_name: str
    last_name: str
    role: str
    everything: bool = False
    id: str = msgspec.field(default_factory=lambda: str(uuid4()))
    password: str = msgspec.field(default_factory=lambda: secrets.token_hex(4))

    def __repr__(self) -> str:
        return f"User({self.email!r})"


class _Login(msgspec.Struct):
    email: str
    password: str


class StandInProvider:
    """Accounts and sessions; the demo's own listener serves its `routes`.

    `settings` are those of the gateway that uses it.

    Raises:
        SettingsError: that gateway runs in production.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        if settings.production:
            raise SettingsError(
                "environment: the stand-in identity provider is for the demo and never serves"
                " production; set identity_provider.url to the real one"
            )
        self.users = (
            User(
                email="ada@example.com",
                first_name="Ada",
                last_name="Holt",
                role="editor",
                everything=True,
            ),
            User(email="bob@example.com", first_name="Bob", last_name="Lind", role="viewer"),
        )
        self._clock = clock
        self._sessions: dict[bytes, tuple[User, float]] = {}
        """The user and the end of each session, by the SHA-256 of its token."""
        self.routes = [
            Route("/users/me", self._me),
            Route("/items/events/{id}", self._event),
            Route("/auth/login", self._login, methods=["POST"]),
            Route("/auth/logout", self._logout, methods=["POST"]),
        ]

    async def _me(self, request: Request) -> Response:
        user = self._user(request)
        if user is None:
            raise HTTPException(401)
        asked = request.query_params.get("fields", "*").split(",")
        names = [name for name in _ME if name in asked or "*" in asked]
        return _json({"data": {name: getattr(user, name) for name in names}})

    async def _event(self, request: Request) -> Response:
        user, event = self._user(request), request.path_params["id"]
        public = EVENTS.get(event)
        if user is None or public is None or not (public or user.everything):
            raise HTTPException(403)
        return _json({"data": {"id": int(event)}})

    async def _login(self, request: Request) -> Response:
        _require_same_origin(request)
        login = await _login_of(request)
        users = {user.email: user for user in self.users}
        user = users.get(login.email.lower())
        # An unknown account costs the time of a wrong password.
        expected = user.password if user is not None else secrets.token_hex(4)
        right = hmac.compare_digest(_digest(login.password), _digest(expected))
        if user is None or not right:
            raise HTTPException(401)
        self._close(request)
        while len(self._sessions) >= SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_hex(32)
        self._sessions[_digest(token)] = user, self._clock.monotonic() + LIFE
        response = _json({"data": {"expires": LIFE * 1000}})
        response.set_cookie(COOKIE, token, max_age=LIFE, httponly=True, samesite="lax")
        return response

    async def _logout(self, request: Request) -> Response:
        _require_same_origin(request)
        self._close(request)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    def _user(self, request: Request) -> User | None:
        user, end = self._sessions.get(_digest(_token(request)), (None, 0.0))
        return user if self._clock.monotonic() < end else None

    def _close(self, request: Request) -> None:
        self._sessions.pop(_digest(_token(request)), None)


async def failed(_: Request, error: Exception) -> Response:
    """Answer in the form of Directus; a Starlette handler of HTTP exceptions."""
    status = getattr(error, "status_code", 500)
    if status not in _FAILURES:
        return Response(status_code=status, headers=getattr(error, "headers", None))
    code, message = _FAILURES[status]
    return _json({"errors": [{"message": message, "extensions": {"code": code}}]}, status)


def _require_same_origin(request: Request) -> None:
    """Refuse pages of another origin. A request without `Origin` is not of a page."""
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if any(origin != own for origin in request.headers.getlist("origin")):
        raise HTTPException(403)


async def _login_of(request: Request) -> _Login:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY:
            raise HTTPException(413)
    try:
        return msgspec.json.decode(body, type=_Login)
    except ValueError:
        raise HTTPException(400) from None


def _token(request: Request) -> str:
    """Return the session cookie. One that is there twice counts as none."""
    pairs = (
        part.strip().partition("=")
        for header in request.headers.getlist("cookie")
        for part in header.split(";")
    )
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else ""


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
