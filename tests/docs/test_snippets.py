"""Python and JavaScript of the pages: what stands by itself runs, the rest is put into a gateway."""

import ast
import asyncio
import inspect
import json
import shutil
import subprocess
from typing import Any, Final

import pytest

from portward import Gateway
from portward.client import RoomsClient
from portward.testing import memory_gateway
from tests.docs.pages import DOCS, Block, blocks

GATEWAY: Final = (
    ("concepts.md", "gateway.publish"),
    ("endpoints/alerts.md", "connect_engine(engine)"),
    ("endpoints/alerts.md", "connect_engine(reports())"),
    ("endpoints/alerts.md", "gateway.alerts.publish"),
    ("endpoints/alerts.md", "subscriber_connected"),
    ("endpoints/live.md", "gateway.live.publish"),
    ("endpoints/live.md", "gateway.live.on_message"),
    ("endpoints/relay.md", "initial_model_settings"),
    ("how-to/embed.md", "portward.toml and"),
    ("how-to/embed.md", "RoomType.DOCUMENT"),
    ("how-to/embed.md", "gateway.on_connect"),
    ("how-to/migrate-workspaces.md", "Comment"),
    ("how-to/revoke.md", "gateway.revoke"),
    ("how-to/write-an-engine.md", "class TestMyEngine"),
)
"""Blocks that run with a `gateway` around them, without any other process."""


def block(kind: str, page: str, within: str) -> Block:
    """The one block of a page with a text in it."""
    (found,) = [each for each in blocks(kind, DOCS / page) if within in each.text]
    return found


async def executed(code: str, names: dict[str, Any]) -> None:
    """Run a block, with `await` at its top level, and its `main` when it has one without parameters."""
    compiled = compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(compiled, names)  # noqa: S307 - it is the page's own example
    if inspect.isawaitable(running):
        await running
    main = names.get("main")
    if main is not None and not inspect.signature(main).parameters:
        async with asyncio.timeout(30):
            await main()


@pytest.mark.parametrize(("page", "within"), GATEWAY)
async def test_python_runs(
    page: str, within: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A block does what it says without an error, in an application that has a gateway."""
    monkeypatch.chdir(tmp_path)
    async with memory_gateway() as gateway:
        names = {
            "gateway": gateway,
            "RoomsClient": RoomsClient,
            "url": "ws://127.0.0.1:9/rooms",
            "token": "eyJ",
            "session": None,
            "position": None,
            "suspended": set(),
        }
        await executed(block("python", page, within).text, names)


async def test_the_test_of_the_page() -> None:
    """The test that the page on embedding shows passes."""
    names: dict[str, Any] = {}
    await executed(block("python", "how-to/embed.md", "memory_gateway").text, names)
    tests = [each for name, each in names.items() if name.startswith("test_")]
    assert tests
    for each in tests:
        outcome = each()
        if inspect.isawaitable(outcome):
            await outcome


def test_an_engine_of_ones_own() -> None:
    """A gateway is made with an engine, as the page says."""
    found = block("python", "how-to/write-an-engine.md", "engine=engine")
    assert "engine" in inspect.signature(Gateway).parameters
    assert "Gateway(settings, engine=engine)" in found.text


CHECK: Final = """
const vm = require("node:vm");
let text = "";
process.stdin.on("data", (part) => (text += part)).on("end", () => {
  const bad = [];
  for (const [name, code] of JSON.parse(text)) {
    try {
      new vm.Script("(async () => {" + code.replace(/^import .*$/gm, "") + "\\n})");
    } catch (error) {
      bad.push(name + ": " + error.message);
    }
  }
  console.log(JSON.stringify(bad));
});
"""


def test_javascript_is_javascript() -> None:
    """Every block of JavaScript is one that an engine takes."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH")
    found = [[repr(each), each.text] for each in blocks("js")]
    assert found
    done = subprocess.run(
        [node, "-e", CHECK],
        input=json.dumps(found),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == []


JITTER: Final = """
const rooms = [];
{code}
const delays = Array.from({{ length: 1000 }}, () => delay(3));
const [least, most] = [Math.min(...delays), Math.max(...delays)];
console.log(least >= 0, most < 4000, most > 2000, delay(99) <= 30000);
"""


def test_the_delay_of_the_page() -> None:
    """The back-off that is printed is full jitter, and has an upper bound."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH")
    code = block("js", "how-to/write-a-client.md", "function delay").text
    done = subprocess.run(
        [node, "-e", JITTER.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["true"] * 4
