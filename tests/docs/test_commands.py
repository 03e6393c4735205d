"""The commands that pages print are run, against a real gateway where they talk to one."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.commands import CASES, Case, Place, conversation, is_as_shown, run
from tests.docs.pages import DOCS, blocks
from tests.docs.shell import Shell, Terminal
from tests.engines.redis_servers import Server, need_redis, servers

pytestmark = pytest.mark.timeout(300)
SETTINGS = {
    "PORTWARD_ENDPOINTS__ECHO__ENABLED": "true",
    "PORTWARD_ENDPOINTS__ECHO__AUTH": "none",
    "PORTWARD_UPSTREAM__API_KEY": "sk-of-the-tests-0123456789abcdef",
    "PORTWARD_GATE__ALLOWED_ORIGINS": "https://app.example.com,https://www.example.com",
    "PORTWARD_ENDPOINTS__ALERTS__CREDENTIALS": "query,header,message",
    "PORTWARD_ENDPOINTS__LIVE__ALLOWED_ORIGINS": "https://www.example.com",
}


@contextmanager
def terminal(place: Place, command: str) -> Iterator[Terminal]:
    """A command that stays."""
    made = Terminal(
        subprocess.Popen(
            ["bash", "-euc", f"exec {place.put_in(command)}"],
            cwd=place.folder,
            env=place.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    )
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway in development, with an echo endpoint and a key for an upstream."""
    folder = tmp_path_factory.mktemp("commands")
    shell = Shell(folder, DOCS)
    (folder / "portward.toml").touch(mode=0o600)
    environ = shell.environ | SETTINGS | {"KEY": "", "TOKEN": "", "COOKIE": "x"}
    here = Place(folder, environ, shell.ports[8080], shell.ports[8081])
    with terminal(here, "portward serve") as gateway:
        environ["KEY"] = gateway.expect(r"^admin key +(\S+)")[1]
        gateway.expect("^ready$")
        environ["TOKEN"] = run(
            here, "portward token --sub olga --role user --workspace acme"
        ).strip()
        yield here


def starts_programs(case: Case) -> bool:
    """Whether a block starts more than curl, which takes its time."""
    return any("portward" in command for command, _ in conversation(case.block.text))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.long] if starts_programs(case) else [])
        for case in CASES
    ],
    ids=lambda case: f"{case.page}:{case.within}",
)
def test_a_block_of_commands_runs(place: Place, case: Case) -> None:
    """Every command of the block ends as it should, and prints what is shown below it."""
    for command, shown in conversation(case.block.text):
        if command.endswith("portward serve"):  # which is what answers here
            continue
        output = run(place, command, case.codes)
        assert is_as_shown(shown, output), (command, output)


CONNECTS = (
    Case("../README.md", "--sub bob --subscribe"),
    Case("reference/cli.md", "* joined lobby"),
    Case("reference/cli.md", "dashboard_action"),
    Case("how-to/migrate-workspaces.md", "portward connect"),
)


@pytest.mark.long
@pytest.mark.parametrize("case", CONNECTS, ids=lambda case: f"{case.page}:{case.within}")
def test_a_block_that_connects(place: Place, case: Case) -> None:
    """The printed commands connect, join, and say so as shown."""
    for command, shown in conversation(case.block.text):
        if command.endswith("portward serve"):
            continue
        with terminal(place, command.replace("TOKEN", "$TOKEN")) as client:
            for line in shown[:2] or ["* connected"]:
                client.expect(
                    f"^{line.partition(':')[0].split(' as ')[0].replace('*', '[*]')[:20]}"
                )


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "within", "said", "heard"),
    [
        ("endpoints/echo.md", "/echo", "hello", "< hello"),
        (
            "how-to/migrate-relay.md",
            "/realtime",
            '{"type": "authenticate", "token": "TOKEN"}',
            '"auth_success"',
        ),
    ],
)
def test_a_block_of_a_conversation(
    place: Place, page: str, within: str, said: str, heard: str
) -> None:
    """The client of `websockets` speaks with the endpoint as shown."""
    *first, (command, shown) = conversation(Case(page, within).block.text)
    for each, _ in first:
        run(place, each)
    assert any(heard.strip("< ") in line for line in shown)
    with terminal(place, command) as client:
        client.expect("^.*Connected to ")
        client.type(said.replace("TOKEN", place.environ["TOKEN"]))
        client.expect(heard)


@pytest.mark.long
def test_the_blocks_of_operations(tmp_path: Path) -> None:
    """A gateway with a file of settings says what is shown, and its audit file is found sound as shown."""
    page = DOCS / "operations.md"
    shell = Shell(tmp_path, DOCS)
    settings = (
        '[audit]\nfile = "audit.jsonl"\n[engine]\nurl = "sqlite:///portward.db"\n'
        "[endpoints.workspaces]\nenabled = false\n"
    )
    (tmp_path / "portward.toml").write_text(settings)
    here = Place(tmp_path, shell.environ | {"TOKEN": ""}, shell.ports[8080], shell.ports[8081])

    def mine(text: str) -> str:
        return text.replace("/etc/portward/", "").replace("/var/lib/portward/", "")

    (serve,) = [each for each in blocks("console", page) if "serve --config" in each.text]
    ((command, shown),) = conversation(serve.text)
    with terminal(here, mine(command)) as gateway:
        gateway.expect("^ready$")
        names = {line.split()[0] for line in gateway.lines}
        assert {line.split()[0] for line in shown} <= names
    (verify,) = [each for each in blocks("console", page) if "audit verify" in each.text]
    ((command, shown),) = conversation(verify.text)
    output = run(here, mine(command))
    assert output.rstrip().endswith("sound")
    assert shown[0].endswith("sound")


@pytest.mark.long
def test_a_unix_socket(tmp_path: Path) -> None:
    """With the settings of the page, its command is answered by the socket."""
    settings, command, shown = asked('trusted_proxies = ["unix:"]', "--unix-socket")
    path = str(tmp_path / "gateway.sock")
    shell = Shell(tmp_path, DOCS)
    settings = settings.replace("/run/portward/gateway.sock", path)
    (tmp_path / "portward.toml").write_text(settings)
    here = Place(tmp_path, shell.environ | {"TOKEN": ""}, shell.ports[8080], shell.ports[8081])
    del here.environ["PORTWARD_SERVER__PORT"]
    with terminal(here, "portward serve") as gateway:
        gateway.expect("^ready$")
        (first,) = command
        assert is_as_shown(shown, run(here, first.replace("/run/portward/gateway.sock", path)))


@pytest.mark.long
def test_the_proxy_protocol(tmp_path: Path) -> None:
    """With the settings of the page a request with a header is answered, and one without is not."""
    settings, (first, second), shown = asked('proxy_protocol = "require"', "--haproxy-protocol")
    for old, new in (("10.0.0.11", "127.0.0.1"), ("10.0.0.5/32", "127.0.0.1/32")):
        settings, first, second = (text.replace(old, new) for text in (settings, first, second))
    (tmp_path / "portward.toml").write_text(settings)
    shell = Shell(tmp_path, DOCS)
    here = Place(tmp_path, shell.environ | {"TOKEN": ""}, shell.ports[8080], shell.ports[8081])
    with terminal(here, "portward serve") as gateway:
        gateway.expect("^ready$")
        assert is_as_shown(shown[:1], run(here, first))
        assert run(here, second, (52, 56)) == ""
        gateway.expect("PROXY protocol")


def asked(setting: str, option: str) -> tuple[str, list[str], list[str]]:
    """The settings of the production page with a line, and the commands with an option."""
    page = DOCS / "how-to" / "production.md"
    (settings,) = [each.text for each in blocks("toml", page) if setting in each.text]
    (block,) = [each for each in blocks("console", page) if option in each.text]
    found = conversation(block.text)
    return settings, [command for command, _ in found], found[0][1]


@pytest.mark.long
def test_the_workers_of_the_page_on_scaling(tmp_path: Path) -> None:
    """Four workers over a Redis print what is shown, and end."""
    need_redis()
    shell = Shell(tmp_path, DOCS)
    (block,) = [
        each for each in blocks("console", DOCS / "how-to" / "scale.md") if "--workers" in each.text
    ]
    export, (command, shown) = conversation(block.text)
    with servers(Server(tmp_path / "redis", "--save", "")) as (redis,):
        name, _, value = export[0].removeprefix("export ").partition("=")
        assert value.startswith("redis://")
        here = Place(
            tmp_path,
            shell.environ | {"TOKEN": "", name: redis.url},
            shell.ports[8080],
            shell.ports[8081],
        )
        with terminal(here, command) as gateway:
            gateway.expect("^ready$")
            assert {line.split()[0] for line in shown} <= {
                line.split()[0] for line in gateway.lines
            }


def test_the_secrets_of_the_production_page(tmp_path: Path) -> None:
    """The printed lines make files that the gateway takes, and an admin key that fits its digest."""
    (block,) = [
        each
        for each in blocks("console", DOCS / "how-to" / "production.md")
        if "install -d" in each.text
    ]
    user = str(os.geteuid())
    text = block.text.replace("/etc/portward", str(tmp_path / "etc"))
    text = text.replace("-o portward", f"-o {user}").replace("chown portward", f"chown {user}")
    here = Place(tmp_path, Shell(tmp_path, DOCS).environ | {"TOKEN": ""}, 1, 1)
    (tmp_path / "etc").mkdir()
    for command, _ in conversation(text):
        run(here, command)
    secrets = tmp_path / "etc" / "secrets"
    settings = (
        f'[tokens]\nsecrets_file = "{secrets}/tokens"\nsession_secret_file = "{secrets}/session"\n'
        f'[admin]\napi_keys_file = "{secrets}/admin"\n'
    )
    (tmp_path / "portward.toml").write_text(settings)
    (tmp_path / "portward.toml").chmod(0o600)
    judged = run(here, "portward check --config portward.toml --json", (0, 1))
    for rule in (
        "token-secret-weak",
        "session-secret-weak",
        "admin-key-weak",
        "admin-key-form",
        "secret-files",
    ):
        assert f'"{rule}"' in judged
        assert not [line for line in judged.splitlines() if rule in line and '"fail"' in line]
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o400}
    key = (tmp_path / "admin.key").read_text().strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert (secrets / "admin").read_text().strip() == f"sha256:{digest}"
