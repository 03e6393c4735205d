import re
from collections.abc import AsyncIterator

import httpx
import pytest

from portward.admin import request_body
from portward.admin.channel_methods import ChannelRequest, PublishRequest
from portward.admin.errors import ApiError
from portward.model.channel import Channel
from portward.model.errors import CommandError
from tests.admin.service import ADMIN, Service

MIB = 1024 * 1024


async def chunks(count: int, taken: list[int]) -> AsyncIterator[bytes]:
    """Yield `count` chunks of 64 KiB, noting each that is asked for."""
    for number in range(count):
        taken.append(number)
        yield b" " * 65536


async def test_a_declared_length_is_enough_to_refuse(service: Service) -> None:
    """A body that says it is over 1 MiB is refused before any of it is read."""
    taken: list[int] = []
    for length in (str(MIB + 1), "9" * 400):
        response = await service.http.post(
            "/api/publish",
            content=chunks(1, taken),
            headers={"X-API-Key": ADMIN, "Content-Length": length},
        )
        assert response.status_code == 413
        assert response.json()["error"]["code"] == 107
        assert response.headers["connection"] == "close"


async def test_a_body_without_a_length_is_counted_on_the_way(service: Service) -> None:
    """Reading stops at the chunk that goes over 1 MiB."""
    taken: list[int] = []

    async def receive() -> dict[str, object]:
        taken.append(1)
        return {"type": "http.request", "body": b" " * 65536, "more_body": True}

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/publish",
        "headers": [(b"x-api-key", ADMIN.encode())],
        "query_string": b"",
    }
    await service.app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts, as a server's
    assert sent[0]["status"] == 413
    assert len(taken) == 17


async def test_one_mebibyte_is_taken(service: Service) -> None:
    """A body of exactly 1 MiB is read and judged by what it says."""
    head = b'{"channel":"rooms:general","data":"small"'
    body = head + b" " * (MIB - len(head) - 1) + b"}"
    response = await service.post("publish", raw=body)
    assert (len(body), response.status_code) == (MIB, 200)


async def test_a_caller_that_leaves_is_not_an_error(service: Service) -> None:
    """A connection lost inside a body is answered by nobody and recorded as nothing."""

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/publish",
        "headers": [(b"x-api-key", ADMIN.encode())],
        "query_string": b"",
    }
    await service.app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts, as a server's
    assert "internal.error" not in service.log


async def test_nothing_is_read_for_strangers(service: Service) -> None:
    """Without a key the body is not looked at, so it costs no memory."""
    taken: list[int] = []

    async def receive() -> dict[str, object]:
        taken.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/publish",
        "headers": [],
        "query_string": b"",
    }
    await service.app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts, as a server's
    assert sent[0]["status"] == 401
    assert not taken


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff{}",
        b'{"channel":"rooms:a","channel":"rooms:b","data":1}',
        b'{"channel":"rooms:a","data":NaN}',
        b'{"channel":"rooms:a","data":9007199254740993}',
        b'{"channel":"rooms:a","data":"\\ud800"}',
        b'{"channel":"rooms:a","data":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"channel":"rooms:a","data":1} {}',
        b'[{"channel":"rooms:a","data":1}]',
        b"null",
        b'{"channel":"rooms:a"}',
        b'{"channel":"rooms:a","data":1,"colour":"red"}',
        b'{"channel":["rooms:a"],"data":1}',
        b'{"channel":"general","data":1}',
        b'{"channel":"rooms:*","data":1}',
        b'{"channel":"rooms:a","data":1,"key":7}',
        b'{"channel":"rooms:a","data":1,"idempotency_key":""}',
        b"",
    ],
)
async def test_what_is_not_a_request_is_refused(service: Service, raw: bytes) -> None:
    """Broken JSON, loose JSON, unknown fields and wrong types are 400 with number 107."""
    response = await service.post("publish", raw=raw)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == 107
    assert response.json()["error"]["message"].startswith("bad request")


async def test_an_empty_body_is_an_empty_object(service: Service) -> None:
    """A method that needs nothing can be asked with nothing."""
    assert (await service.post("info", raw=b"")).status_code == 200


@pytest.mark.parametrize("size", [1024, 100 * 1024])
async def test_long_bodies_are_judged_like_short_ones(size: int) -> None:
    """Parsing in a thread takes the same JSON and refuses the same."""
    text = b'"' + b"x" * size + b'"'
    assert await request_body.parse(b"[" + text + b"]") == ["x" * size]
    with pytest.raises(CommandError):
        await request_body.parse(b"[" + text)


def test_a_channel_is_parsed_on_the_way() -> None:
    """A request holds a checked channel, never a bare string."""
    request = request_body.convert({"channel": "rooms:a", "data": None}, PublishRequest)
    assert isinstance(request.channel, Channel)


def test_the_refusal_names_the_field() -> None:
    """Whoever wrote the request is told where to look."""
    with pytest.raises(ApiError, match=r"\$\.channel"):
        request_body.convert({"channel": 7}, ChannelRequest)


def test_the_described_pattern_is_the_grammar() -> None:
    """The pattern in the description admits exactly what the grammar of channels does."""
    names = [
        "rooms:a",
        "a:b:c",
        "live:x/y",
        "rooms:",
        ":a",
        "rooms",
        "r ms:a",
        "rooms:*",
        "rooms:ä",
    ]
    for code in range(0x1F, 0x81):
        names += [f"a:{chr(code)}", f"{chr(code)}:a"]
    pattern = request_body.channel_schema(Channel)["pattern"]
    for name in names:
        assert bool(re.search(pattern, name)) is is_channel(name), name


def is_channel(name: str) -> bool:
    """Whether the grammar of channels admits a name."""
    try:
        Channel.parse(name)
    except ValueError:
        return False
    return True


async def test_httpx_can_be_told_apart_from_a_browser(service: Service) -> None:
    """No answer allows another origin to read it."""
    response: httpx.Response = await service.post("info")
    assert not [name for name in response.headers if name.startswith("access-control")]
