"""The simulated user in the demo's chat room."""

import asyncio
from itertools import cycle
from typing import Final

from portward.client import ClientError, RoomsClient

ROBOT: Final = "robin (simulated)"
PAUSE: Final = 8.0
"""Seconds between two messages."""
SAYINGS: Final = (
    "Hello. I am simulated: I say something every few seconds so that the room is not empty.",
    "Open the page in a second window as the other user, and watch the list of people.",
    "Try this: kill -9 a terminal client, let me talk, start it again. It misses nothing.",
    "History lasts a thousand messages here; the page shows the last of them when you come in.",
    "Whoever reads too slowly is closed, comes back, and catches up.",
    "Every message has an offset. That is how a client knows where it was.",
)


async def talk(address: str, room: str, token: str, pause: float = PAUSE) -> None:
    """Run the simulated user until the gateway closes the connection."""
    try:
        async with RoomsClient(address, token=token, reconnect=False) as client:
            listening = asyncio.create_task(_listen(client))
            await client.join(room)
            for saying in cycle(SAYINGS):
                await client.say(room, saying)
                await asyncio.wait({listening}, timeout=pause)
    except ClientError:
        return


async def _listen(client: RoomsClient) -> None:
    """Read all events, so that none pile up; `talk` handles the end of the connection."""
    try:
        async for _ in client:
            pass
    except ClientError:
        return
