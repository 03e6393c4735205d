"""A small identity provider that speaks as Directus does, so that the demo needs none.

GET  /users/me            200 {"data": {"id", "email", "role", "first_name", "last_name"}}, or 401
GET  /items/events/{id}   200 {"data": {"id"}}, or 403: not allowed, not logged in, no such event
POST /auth/login          {"email", "password"} as JSON or as a form; sets the session cookie
POST /auth/logout         ends the session

Failures are `{"errors": [{"message", "extensions": {"code"}}]}`.
"""

import hmac
import secrets as random
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portward.demo.people import EVENTS, User, people
from portward.demo.sessions import LIFE, SIZE, CookieSessions
from portward.model.clock import Clock
from portward.settings import Settings, SettingsError

COOKIE: Final = "directus_session_token"
AFTER_LOGIN: Final = "/live"
"""Where a form without a script leads."""
_BODY: Final = 4096
_FIELDS: Final = 8
_ME: Final = ("id", "email", "role", "first_name", "last_name")
_FORM: Final = "application/x-www-form-urlencoded"
_FAILURES: Final = {
    400: ("INVALID_PAYLOAD", "Invalid payload."),
    401: ("INVALID_CREDENTIALS", "Invalid user credentials."),
    403: ("FORBIDDEN", "You don't have permission to access this."),
    413: ("CONTENT_TOO_LARGE", "The request is too large."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Send JSON or a form."),
}


class _Login(msgspec.Struct):
    email: str
    password: str


class StandInProvider:
    """Holds accounts and sessions; its `routes` are served by the demo's own listener.

    `settings` are those of the gateway that will ask it.

    Raises:
        SettingsError: that gateway runs in production.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        events: Mapping[int, bool] = EVENTS,
        size: int = SIZE,
        life: float = LIFE,
    ) -> None:
        if settings.production:
            raise SettingsError(
                "environment: the stand-in identity provider is for the demo and never serves"
                " production; set identity_provider.url to the real one"
            )
        self.users: Sequence[User] = people()
        self._by_email = {user.email: user for user in self.users}
        self._events = events
        self._sessions = CookieSessions(clock, size=size, life=life)
        self._nobody = random.token_hex(16)
        self.routes = [
            Route("/users/me", self._me),
            Route("/items/events/{id}", self._event),
            Route("/auth/login", self._login, methods=["POST"]),
            Route("/auth/logout", self._logout, methods=["POST"]),
        ]

    async def _me(self, request: Request) -> Response:
        user = self._caller(request)
        if user is None:
            return failure(401)
        asked = request.query_params.get("fields", "*").split(",")
        shown = [name for name in _ME if name in asked or "*" in asked]
        return _json({"data": {name: getattr(user, name) for name in shown}})

    async def _event(self, request: Request) -> Response:
        user, event = self._caller(request), _number(request.path_params["id"])
        public = self._events.get(event)
        if user is None or public is None or not (public or user.everything):
            return failure(403)
        return _json({"data": {"id": event}})

    async def _login(self, request: Request) -> Response:
        _same_origin(request)
        form = request.headers.get("content-type", "").partition(";")[0].strip() == _FORM
        asked = await _asked(request, form=form)
        user = self._known(asked)
        if user is None:
            return failure(401)
        self._sessions.close(_token(request))
        response = (
            RedirectResponse(AFTER_LOGIN, 303)
            if form
            else _json({"data": {"expires": int(self._sessions.life * 1000)}})
        )
        response.set_cookie(
            COOKIE,
            self._sessions.open(user),
            max_age=int(self._sessions.life),
            httponly=True,
            samesite="lax",
        )
        return response

    async def _logout(self, request: Request) -> Response:
        _same_origin(request)
        self._sessions.close(_token(request))
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    def _caller(self, request: Request) -> User | None:
        return self._sessions.user(_token(request))

    def _known(self, asked: _Login) -> User | None:
        """The account; an unknown one costs the time of a wrong password."""
        user = self._by_email.get(asked.email.lower())
        expected = self._nobody if user is None else user.password
        right = hmac.compare_digest(_digest(asked.password), _digest(expected))
        return user if right else None


def failure(status: int) -> Response:
    """The answer that says, in the provider's words, what did not work."""
    code, message = _FAILURES[status]
    return _json({"errors": [{"message": message, "extensions": {"code": code}}]}, status)


async def failed(_: Request, error: Exception) -> Response:
    """Put a refusal raised on the way into the provider's words; a Starlette exception handler."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code in _FAILURES:
        return failure(error.status_code)
    return Response(status_code=error.status_code, headers=error.headers)


def _same_origin(request: Request) -> None:
    """Let no page of another origin log anybody in or out. Who sends no `Origin` is no page."""
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if any(origin != own for origin in request.headers.getlist("origin")):
        raise HTTPException(403)


async def _asked(request: Request, *, form: bool) -> _Login:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY:
            raise HTTPException(413)
    if not form and not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415)
    try:
        return _form(bytes(body)) if form else msgspec.json.decode(body, type=_Login)
    except (ValueError, KeyError):
        raise HTTPException(400) from None


def _form(body: bytes) -> _Login:
    fields = parse_qs(
        body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
    )
    (email,), (password,) = fields["email"], fields["password"]
    return _Login(email, password)


def _token(request: Request) -> str:
    """The session cookie. One that is there twice is not to be trusted, and counts as none."""
    pairs = (
        part.strip().partition("=")
        for header in request.headers.getlist("cookie")
        for part in header.split(";")
    )
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else ""


def _number(text: str) -> int:
    """An event's id; one that nothing has for whatever is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _FIELDS else -1


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
