import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from portward.cli import serve as module
from portward.cli.serve import can_listen, free_port, run
from portward.cli.state import development_state, state_file
from portward.cli.terminal import CommandRefused
from portward.settings import Settings, SettingsError
from portward.settings.operation import AdminSettings
from portward.settings.sections import ServerSettings
from tests.cli.console import Console
from tests.cli.processes import gateway, running
from tests.cli.settings import SAFE, SECRETS

pytestmark = pytest.mark.timeout(180)


async def ended() -> int:
    """A gateway that has ended already."""
    return 0


def failing(error: Exception) -> Callable[..., Any]:
    """A gateway that fails to start."""

    async def fail(*_: object, **__: object) -> int:
        raise error

    return fail


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_and_leave(home: Path, number: signal.Signals) -> None:
    """A gateway says where it is and when it is ready; asked to leave, it drains, with code 0."""
    with gateway() as (process, address):
        [key] = [each for each in process.lines if each.startswith("admin key")]
        assert development_state().admin_key in key
        assert str(state_file()) in key
        health = address.replace("ws://", "http://").replace("/rooms", "/health")
        assert httpx.get(health, trust_env=False).json() == {"status": "ok"}
        process.signal(number)
        assert process.wait() == 0


def test_reload(home: Path) -> None:
    """SIGHUP reads the settings again and says what changed; bad ones change nothing."""
    config = home / "my.toml"
    config.write_text("")
    with gateway("--config", str(config)) as (process, _):
        config.write_text('[limits.messages]\nrate = "5/min"\n')
        process.signal(signal.SIGHUP)
        assert process.expect("^reloaded: (.*)$")[1] == "limits.messages.rate"
        config.write_text("nonsense")
        process.signal(signal.SIGHUP)
        process.expect("^reload refused: .* not valid TOML")
        process.signal(signal.SIGINT)
        assert process.wait() == 0


def test_demo(home: Path) -> None:
    """The demo prints one line to open, stays in the foreground, and ends with 0 on Ctrl-C."""
    with running("demo") as process:
        page = process.expect(r"^open (http\S+) in a browser")[1]
        assert httpx.get(page, trust_env=False).status_code == 200
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert len(process.lines) == 1


def test_verbose_demo(home: Path) -> None:
    """On request it prints addresses, accounts, tokens and commands, too."""
    with running("demo", "--verbose") as process:
        process.expect(r"^rooms +ws://\S+/rooms$")
        process.expect("^log in +")
        process.expect("^token +alice: ")
        process.expect("^publish +")
        process.expect("^open http")
        process.signal(signal.SIGINT)
        assert process.wait() == 0


def test_admin_port_that_is_taken(portward: Console) -> None:
    """The flag and the key to change are those of the listener whose port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = portward("serve", "--port", "0", "--admin-port", str(port))
    assert outcome.code == 1
    (said,) = [each for each in outcome.err.splitlines() if "cannot listen" in each]
    assert f"127.0.0.1:{port}" in said
    assert said.endswith("; choose another port with --admin-port (server.admin_port)")


def test_port_that_is_taken(portward: Console) -> None:
    """A port somebody else has is named, in one line, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = portward("serve", "--port", str(port), "--admin-port", "0")
    assert outcome.code == 1
    assert f"portward: cannot listen on 127.0.0.1:{port}: Address already in use" in outcome.err


def test_production_is_refused(portward: Console, home: Path) -> None:
    """In production what fails the checklist is not served: each rule with the line to change."""
    (home / "portward.toml").write_text('environment = "production"\n')
    outcome = portward("serve")
    assert (outcome.code, outcome.out) == (1, "")
    *rules, last = outcome.err.splitlines()
    assert any(each.startswith("portward: plain-text: ") for each in rules)
    assert "portward check" in last


def test_production_is_given_nothing(
    portward: Console, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production that passes the checklist nothing is made up, and no key is printed."""
    monkeypatch.setattr(module, "serve_gateway", lambda *_, **__: ended())
    (home / "portward.toml").write_text(SAFE.format(*SECRETS))
    assert portward("serve") == (0, "", "")
    assert not state_file().exists()


def test_workers_without_a_shared_engine(portward: Console) -> None:
    """What no environment can serve is refused with its rule."""
    outcome = portward("serve", "--workers", "2", "--port", "0", "--admin-port", "0")
    assert outcome.code == 1
    assert "portward: workers: 2 workers need a shared engine" in outcome.err


def test_flags_reach_the_gateway(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags win over everything, and reading again keeps them."""
    served: list[Settings] = []

    async def serve(settings: Settings, *, reload: Callable[[], Settings], **_: object) -> int:
        served.extend((settings, reload()))
        return 0

    monkeypatch.setattr(module, "serve_gateway", serve)
    monkeypatch.setenv("PORTWARD_SERVER__PORT", "1")
    outcome = portward("serve", "--host", "::1", "--port", "2", "--admin-port", "3")
    assert outcome.code == 0
    assert served[0] == served[1]
    server = served[0].server
    assert (server.host, server.port, server.admin_port) == ("::1", 2, 3)


def test_secrets_that_cannot_be_kept(
    portward: Console, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be kept the gateway runs with secrets for this run, and says so."""
    monkeypatch.setattr(module, "serve_gateway", lambda *_, **__: ended())
    (home / "state").write_text("a file where a folder should be")
    outcome = portward("serve")
    assert outcome.code == 0
    assert "secrets are generated for this run only" in outcome.err
    assert "(for this run only)" in outcome.out


def test_configured_key_is_not_printed(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the operator's own is printed nowhere."""
    monkeypatch.setattr(module, "serve_gateway", lambda *_, **__: ended())
    monkeypatch.setenv("PORTWARD_ADMIN__API_KEYS", "k" * 40)
    assert portward("serve") == (0, "", "")


def test_bad_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings the gateway itself refuses are a refusal."""
    with pytest.raises(CommandRefused, match="engine"):
        run(failing(SettingsError("engine: unknown"))(), Settings())


@pytest.mark.parametrize(
    ("error", "server", "text"),
    [
        (
            OSError(13, "Permission denied"),
            ServerSettings(port=0),
            "cannot serve: Permission denied",
        ),
        (OSError("strange"), ServerSettings(port=0), "cannot serve: strange"),
        (
            OSError(-2, "Name or service not known"),
            ServerSettings(host="nowhere.invalid"),
            r"cannot listen on nowhere\.invalid:8080: .+",
        ),
    ],
)
def test_other_failures(error: OSError, server: ServerSettings, text: str) -> None:
    """What the system refuses is told in its words, with the address where that is known."""
    settings = replace(Settings(), server=server, admin=AdminSettings(enabled=False))
    with pytest.raises(CommandRefused, match=text):
        run(failing(error)(), settings)


# -- ports


def test_taken_port() -> None:
    """A port that is in use is not free, and the next free one is found."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not can_listen("127.0.0.1", port)
        found = free_port("127.0.0.1", port)
        assert found > port
        assert can_listen("127.0.0.1", found)


def test_ports_to_leave_out() -> None:
    """A port that is named as taken is skipped."""
    free = free_port("127.0.0.1", 20_000)
    assert free_port("127.0.0.1", free, free) > free


def test_no_port_left() -> None:
    """Beyond the last port there is none."""
    assert free_port("127.0.0.1", 65_536) == 0


def test_host_that_is_none() -> None:
    """At a name without an address no listener can be opened."""
    assert not can_listen("nowhere.invalid", 1)
