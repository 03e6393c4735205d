import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from portward.cli.page import Page

ADDRESS = "ws://127.0.0.1:8080/rooms"


@pytest.fixture
async def page() -> AsyncIterator[tuple[Page, int]]:
    """A page that is shown, and its port."""
    shown = Page(ADDRESS, "lobby</script>", {"ann": "t1"})
    url = await shown.start("127.0.0.1", 0)
    assert url.startswith("http://127.0.0.1:")
    yield shown, int(url.rstrip("/").rpartition(":")[2])
    shown.stop()


async def ask(port: int, head: str) -> str:
    """Send a request as it is; return all of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())
    writer.write_eof()
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()


def get(port: int, target: str = "/", method: str = "GET", host: str = "") -> str:
    """A request."""
    return f"{method} {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n\r\n"


async def test_page_is_shown(page: tuple[Page, int]) -> None:
    """The page has the address, the room and the tokens, and lets nothing from elsewhere in."""
    _, port = page
    head, _, body = (await ask(port, get(port, "/?as=bob"))).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body.encode())}" in head
    assert "default-src 'none'" in head
    assert "connect-src ws://127.0.0.1:8080;" in head
    assert re.search(r"script-src 'sha256-[^']+';", head)
    assert '"tokens": {"ann": "t1"}' in body
    assert "lobby\\u003c/script>" in body
    assert "{{settings}}" not in body


def test_page_is_self_contained() -> None:
    """The page loads nothing, runs nothing inline but its one script, and writes text as text."""
    body = Page(ADDRESS, "lobby", {})._body.decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", body)
    assert not re.search(r"""\bsrc=|href="http|@import|url\(| on[a-z]+="| style=""", body)
    assert len(re.findall("<script>", body)) == len(re.findall("<style>", body)) == 1


async def test_head_request(page: tuple[Page, int]) -> None:
    """HEAD is answered without the page."""
    _, port = page
    assert (await ask(port, get(port, method="HEAD"))).endswith("\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "method", "host", "status"),
    [
        ("/x", "GET", "", "404 Not Found"),
        ("/", "POST", "", "405 Method Not Allowed"),
        ("/", "GET", "evil.example.org", "403 Forbidden"),
    ],
)
async def test_other_requests(
    page: tuple[Page, int], target: str, method: str, host: str, status: str
) -> None:
    """Only the page itself is there, and only under the names of this machine."""
    _, port = page
    answer = await ask(port, get(port, target, method, host))
    assert answer.startswith(f"HTTP/1.1 {status}\r\n")
    assert answer.endswith("\r\n\r\n")


async def test_local_name(page: tuple[Page, int]) -> None:
    """The page is shown under localhost too."""
    _, port = page
    assert "200 OK" in await ask(port, get(port, host=f"localhost:{port}"))


@pytest.mark.parametrize("head", ["", "GET / HTTP/1.1\r\n", "GET /" + "x" * 20_000])
async def test_no_request(page: tuple[Page, int], head: str) -> None:
    """Half a request, or one that does not end, is not answered."""
    _, port = page
    assert await ask(port, head) == ""


async def test_request_without_words(page: tuple[Page, int]) -> None:
    """An empty line is answered like any other method that is none."""
    _, port = page
    assert "405" in await ask(port, "\r\n\r\n")


def test_page_that_was_not_shown() -> None:
    """A page that was never shown can be stopped."""
    Page(ADDRESS, "lobby", {}).stop()
