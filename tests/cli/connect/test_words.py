import pytest

from portward.cli.connect.words import HELP, NAMES, Word, parse


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", None),
        ("  \r", None),
        ("hello there ", Word("say", "hello there")),
        ("//shrug", Word("say", "/shrug")),
        ("/join lobby", Word("join", "lobby")),
        ("/leave", Word("leave")),
        ("/leave  lobby ", Word("leave", "lobby")),
        ("/history 5", Word("history", "5")),
        ('/raw {"type": "x"}', Word("raw", '{"type": "x"}')),
        ("/quit", Word("quit")),
    ],
)
def test_lines(line: str, word: Word | None) -> None:
    """A line is text for the room, or a command and what follows it."""
    assert parse(line) == word


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/", "no command /;"),
        ("/foo bar", "no command /foo;"),
        ("/join", "/join needs something"),
        ("/raw  ", "/raw needs something"),
    ],
)
def test_lines_that_are_none(line: str, text: str) -> None:
    """What cannot be understood says why."""
    with pytest.raises(ValueError, match=text):
        parse(line)


def test_help_names_every_command() -> None:
    """Every command is explained."""
    explained = {command.split()[0].lstrip("/") for command, _ in HELP} - {"text"}
    assert explained == set(NAMES)
