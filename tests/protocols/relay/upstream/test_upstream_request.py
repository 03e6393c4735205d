"""What an upstream is sent to connect: the address with the model and the parameters, and the key."""

import pytest

from tests.protocols.relay.upstream.upstreams import KEY, MODEL, accepted, client, raw


@pytest.mark.parametrize(
    ("path", "model", "parameters", "named", "target"),
    [
        ("/r?model={model}", "m", (), True, "/r?model=m"),
        ("/r?model={model}", "org/m:1 é", (), True, "/r?model=org%2Fm%3A1%20%C3%A9"),
        ("/r?model={model}", "m", (("intent", "a&b=c"),), True, "/r?model=m&intent=a%26b%3Dc"),
        ("/r?model={model}", "m", (("intent", "transcription"),), False, "/r?intent=transcription"),
        ("/r?v=1&d={model}", "m", (("call_id", "{model}"),), False, "/r?v=1&call_id=%7Bmodel%7D"),
        ("/r?model={model}", "m", (), False, "/r"),
        ("/{model}/r", "a/b", (("x", ""),), False, "/a%2Fb/r?x="),
        ("/r", "m", (("x", "é"), ("y", "+ ")), True, "/r?x=%C3%A9&y=%2B%20"),
        ("/r?", "m", (), True, "/r"),
    ],
)
async def test_the_address_of_a_connection(
    path: str, model: str, parameters: tuple[tuple[str, str], ...], named: bool, target: str
) -> None:
    """The model and the parameters are encoded; a model that nobody named is left out of a query."""
    async with raw(accepted) as server:
        url = f"ws://127.0.0.1:{server.port}{path}"
        (await client(url).open(model, parameters, named=named)).drop()
        assert server.heads[0].decode().split(" ")[1] == target


@pytest.mark.p1
@pytest.mark.parametrize(
    ("header", "scheme", "line"),
    [
        ("Authorization", "Bearer", f"Authorization: Bearer {KEY}"),
        ("api-key", "", f"api-key: {KEY}"),
        ("X-Api-Key", "Token", f"X-Api-Key: Token {KEY}"),
    ],
)
async def test_the_header_of_the_key(header: str, scheme: str, line: str) -> None:
    """The key is in the header that was chosen, and in no other."""
    async with raw(accepted) as server:
        (await client(server.url, auth=(header, scheme)).open(MODEL)).drop()
        head = server.heads[0].decode()
        assert line in head.split("\r\n")
        assert head.count(KEY) == 1
