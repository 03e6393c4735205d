import asyncio

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli.config import ready
from portward.cli.demo_robot import ROBOT, SAYINGS, talk
from portward.cli.demo_services import loaded
from portward.cli.signing import TokenClaims, mint
from portward.client import Message, RoomsClient
from tests.cli.demos import anywhere


async def test_robot() -> None:
    """The robot goes through what it has to say in order, and leaves when it is sent away."""
    settings = anywhere(ready(loaded("http://127.0.0.1:1")).settings)

    def token(user: str) -> str:
        return mint(settings, TokenClaims(sub=user, roles=("user",)))

    async with Gateway(settings) as gateway:
        server = Server(gateway)
        await server.start()
        host, port = server.public.addresses[0]
        address = f"ws://{host}:{port}/rooms"
        async with RoomsClient(address, token=token("ann")) as ann:
            await ann.join("lobby")
            task = asyncio.create_task(talk(address, "lobby", token(ROBOT), 0.0))
            said: list[object] = []
            async for event in ann:
                if isinstance(event, Message):
                    assert event.user == ROBOT
                    said.append(event.content)
                if len(said) > len(SAYINGS):
                    break
            assert said == [*SAYINGS, SAYINGS[0]]
            await gateway.disconnect(ROBOT)
            await asyncio.wait({task})
            assert task.exception() is None
        await server.stop()
