import io
import os
import re
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from portward import __version__
from portward.cli import main as module
from portward.cli.main import main
from portward.cli.terminal import line
from tests.cli.console import Console
from tests.cli.processes import ROOT


def test_help_without_a_command(portward: Console) -> None:
    """Without a command there is help, which names them all."""
    outcome = portward()
    assert outcome.code == 0
    commands = ("serve", "demo", "check", "token", "inspect", "config", "publish", "revoke")
    assert all(
        f" {name} " in outcome.out for name in (*commands, "connections", "connect", "audit")
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_a_command(portward: Console, option: str) -> None:
    """Every command explains itself."""
    outcome = portward("token", option)
    assert outcome.code == 0
    assert "--sub" in outcome.out


def test_version(portward: Console) -> None:
    """The version is an option as well."""
    assert portward("--version") == (0, f"portward {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["foo"], "portward: No such command 'foo'."),
        (["tokn"], "portward: No such command 'tokn'. Did you mean 'token'?"),
        (["token"], "portward: Missing option '--sub'."),
        (
            ["serve", "--port", "x"],
            "portward: Invalid value for '--port': Input should be a valid integer",
        ),
        (["--nonsense"], "portward: No such option: --nonsense"),
    ],
)
def test_usage_errors(portward: Console, arguments: list[str], text: str) -> None:
    """What is not understood is told in one line, with exit code 2."""
    outcome = portward(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    [said] = outcome.err.splitlines()
    assert said.startswith(text)


def test_bad_settings(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are wrong are told in one line, with exit code 2."""
    monkeypatch.setenv("PORTWARD_SERVER__PROT", "1")
    outcome = portward("check")
    assert outcome.code == 2
    [said] = outcome.err.splitlines()
    assert "PORTWARD_SERVER__PORT" in said


def test_internal_error_is_one_line(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program is one line that shows no value; developers may see more."""

    def fail(**_: object) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(module, "app", fail)
    outcome = portward("version")
    assert outcome.code == 1
    assert outcome.err.startswith("portward: internal error: KeyError at test_main.py:")
    assert "a secret" not in outcome.err
    monkeypatch.setattr(sys, "flags", type("Flags", (), {"dev_mode": True}))
    with pytest.raises(KeyError):
        main(["version"])


def test_interrupt(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C where nothing else handles it is exit code 130, in silence."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "app", interrupt)
    assert portward("version") == (130, "", "")


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """When whoever reads the output leaves, the command ends in silence."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)

        def talk(**_: object) -> None:
            line("hello")

        monkeypatch.setattr(module, "app", talk)
        assert main(["version"]) == 1


def test_everything_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A character the terminal has no code for is written as an escape."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))

    def talk(**_: object) -> None:
        line("h\N{CHECK MARK}")

    monkeypatch.setattr(module, "app", talk)
    assert main([]) == 0
    assert raw.getvalue() == b"h\\u2713\n"


def test_reference_names_every_option(portward: Console) -> None:
    """The page about the command line has a section for each command, with all its options."""
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([a-z ]+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    group = get_command(module.app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        section = sections["audit verify" if name == "audit" else name]
        options = {word for option in command.params for word in option.opts if word[:2] == "--"}
        assert {each for each in options - {"--help"} if f"`{each}" not in section} == set(), name
