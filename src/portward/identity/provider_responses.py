"""Parsing of an identity provider's answers (Directus: `{"data": ...}`)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from portward.model.errors import CommandError
from portward.model.identity import Identity
from portward.model.provider import ProviderResult
from portward.security import strict_json

SUBJECT: Final = 128
"""The most characters of a user id."""
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELDS: Final = ("email", "role", "first_name", "last_name")
_ABSENT: Final = object()

_REQUEST: Final = frozenset({400, 413, 414, 431})
"""Statuses that a client's own cookie can cause; they are no failure of the provider."""


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """The result of a question. The user is set when the question asked for one and the result is OK."""

    result: ProviderResult
    user: Identity | None = None


@dataclass(frozen=True, slots=True)
class ProviderQuestion:
    """A request path, and a function that reads its answer: the status, and the body unless it was not read.

    A failure with a status in `blameless` is caused by the request and is not counted as a failure of the
    provider. Results in `brief` are cached for a short time, to avoid the same question at once again.
    """

    path: str
    read: Callable[[int, bytes | None], ProviderAnswer]
    blameless: frozenset[int] = _REQUEST
    brief: frozenset[ProviderResult] = frozenset({ProviderResult.UNAUTHORIZED})


def read_user(status: int, body: bytes | None) -> ProviderAnswer:
    """Read the user from an answer."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderAnswer(ProviderResult.UNAUTHORIZED)
    return _read(status, body, _user)


def read_topic(status: int, body: bytes | None) -> ProviderAnswer:
    """Read from an answer whether the resource exists and the user may see it."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return ProviderAnswer(ProviderResult.UNAUTHORIZED)
    return _read(status, body, lambda _: ProviderAnswer(ProviderResult.OK))


def user_question() -> ProviderQuestion:
    """Return the question for the current user."""
    return ProviderQuestion(f"/users/me?fields={','.join(('id', *_FIELDS))}", read_user)


def topic_question(path: str) -> ProviderQuestion:
    """Return the question whether the user may see the resource at `path`.

    The client chooses the last part of the path: some stores fail with 500 on an id that they cannot parse,
    and a single resource may be too large or otherwise unreadable. So these failures are blameless.
    """
    blameless = _REQUEST | {HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR}
    brief = frozenset({ProviderResult.UNAUTHORIZED, ProviderResult.MALFORMED})
    return ProviderQuestion(path, read_topic, blameless, brief)


def _read(status: int, body: bytes | None, take: Callable[[Any], ProviderAnswer]) -> ProviderAnswer:
    if status != HTTPStatus.OK:
        return ProviderAnswer(ProviderResult.ERROR)
    data = _data(body)
    if data is _ABSENT:
        return ProviderAnswer(ProviderResult.MALFORMED)
    return ProviderAnswer(ProviderResult.UNAUTHORIZED) if data is None else take(data)


def _data(body: bytes | None) -> Any:
    """Return the value of `data` in a JSON object, or `_ABSENT`."""
    if body is None:
        return _ABSENT
    try:
        document = strict_json.parse(body)
    except CommandError:
        return _ABSENT
    return document.get("data", _ABSENT) if isinstance(document, dict) else _ABSENT


def _user(data: Any) -> ProviderAnswer:
    facts = {name: data.get(name) for name in ("id", *_FIELDS)} if isinstance(data, dict) else {}
    subject = facts.pop("id", None)
    if not (isinstance(subject, str) and 0 < len(subject) <= SUBJECT) or _UNSAFE.search(subject):
        return ProviderAnswer(ProviderResult.MALFORMED)
    if not all(value is None or isinstance(value, str) for value in facts.values()):
        return ProviderAnswer(ProviderResult.MALFORMED)
    role = facts["role"]
    user = Identity(
        subject=subject,
        email=facts["email"],
        roles=frozenset({role} if role else ()),
        profile={"id": subject, **facts},
    )
    return ProviderAnswer(ProviderResult.OK, user)
