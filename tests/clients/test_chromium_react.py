"""The hooks in React's StrictMode, as a development build in a real Chromium."""

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.clients.browser import Page, chromium
from tests.clients.client_programs import DRIVERS, PACKAGE, need_package
from tests.clients.fault_proxy import fault_proxy
from tests.clients.gateway import gateway_process, token
from tests.clients.site import site
from tests.e2e.gateways import until
from tests.e2e.socketio_chromium import need_chromium

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(120)]

ADVICE: Final = "React DevTools"
"""What React writes to the console of every development build."""


def bundle(target: Path) -> None:
    """Bundle the page with the built package and the development build of React."""
    need_package()
    esbuild = PACKAGE / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("clients/js/node_modules is not installed")
    options = ("--bundle", "--loader=tsx", "--jsx=automatic", "--jsx-dev", f"--outfile={target}")
    subprocess.run(
        [str(esbuild), *options, '--define:process.env.NODE_ENV="development"'],
        input=(DRIVERS / "strict.tsx").read_bytes(),
        cwd=PACKAGE,
        capture_output=True,
        timeout=60,
        check=True,
    )


def sent(page: Page, kind: str) -> list[str]:
    """The messages of a type that left the page."""
    return [text for _, text in page.frames("FrameSent") if json.loads(text)["type"] == kind]


async def test_strict_mode_opens_one_socket(tmp_path: Path) -> None:
    """Components that are mounted twice open one socket and join once, and leave once when they go."""
    need_chromium()
    bundle(tmp_path / "strict.js")
    files = {"/strict.html": DRIVERS / "strict.html", "/strict.js": tmp_path / "strict.js"}
    with site(files) as port:
        gate = f'max_per_user = 0\nallowed_origins = ["http://localhost:{port}"]\n'
        with gateway_process(tmp_path, "", gate) as gateway:
            async with fault_proxy(gateway.port) as proxy, chromium() as browser:
                where = f"http://localhost:{port}/strict.html#{proxy.port},{token('ann')}"
                page = await browser.page(where)
                await page.first(lambda each: each.get("users") == ["ann"])
                assert len(page.all("mounted")) == 4  # two components, each mounted twice
                assert len(page.all("unmounted")) == 2
                await gateway.call("publish", channel="rooms:strict", data="hello")
                await page.first(lambda each: each.get("texts") == ["hello"])
                assert len(proxy.connections) == 1
                assert len(page.times("WillSendHandshakeRequest")) == 1
                assert len(sent(page, "join")) == 1
                assert sent(page, "leave") == []
                await page.evaluate("unmount()")
                await until(lambda: len(sent(page, "leave")) == 1)
                assert len(proxy.connections) == 1
                assert [each for each in page.problems if ADVICE not in each] == []
