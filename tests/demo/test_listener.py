import asyncio
import socket
from contextlib import closing

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from portward.demo.listener import HOST, DemoListener


async def hello(_: Request) -> Response:
    """Answer."""
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


async def test_the_port_is_open_before_it_is_served() -> None:
    """The address is known at once, and an early request is answered later."""
    with closing(DemoListener(0)) as listener:
        assert listener.url == f"http://127.0.0.1:{listener.port}"
        async with httpx.AsyncClient(trust_env=False) as client:
            asking = asyncio.create_task(client.get(listener.url))
            await asyncio.sleep(0)
            listener.start(APP)
            answer = await asking
            assert (answer.status_code, answer.text) == (200, "hello")
            assert "server" not in answer.headers
        await listener.stop()
    with socket.socket() as sock:
        assert sock.connect_ex((HOST, listener.port)) != 0


async def test_stop_without_start() -> None:
    """A listener that never served stops all the same."""
    with closing(DemoListener(0)) as listener:
        await listener.stop()


async def test_endless_head() -> None:
    """A head that does not end is refused, not collected."""
    with closing(DemoListener(0)) as listener:
        listener.start(APP)
        reader, writer = await asyncio.open_connection(HOST, listener.port)
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"x" * 200_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
        await listener.stop()
