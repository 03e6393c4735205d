import asyncio

from portward.admin.context import politely


async def test_going_through_many_lets_others_run() -> None:
    """Between the items of a long list the event loop turns, so that nobody waits for its end."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = [item async for item in politely(range(1000))]
    task.cancel()
    assert seen == list(range(1000))
    assert turns >= 15


async def test_going_through_few_takes_one_turn() -> None:
    """A short list is done at once."""
    ran = []
    asyncio.get_running_loop().call_soon(lambda: ran.append(1))
    assert [item async for item in politely("abc")] == ["a", "b", "c"]
    assert not ran
