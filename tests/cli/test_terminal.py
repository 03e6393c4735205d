import io
import os
import sys

import pytest

from portward.cli import terminal
from portward.cli.terminal import CommandRefused


def test_table_has_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells stand under their headings, and no line ends with blanks."""
    terminal.table(("level", "finding"), [("ok", "fine"), ("fail", "")])
    assert capsys.readouterr().out == "level  finding\nok     fine\nfail\n"


def test_nothing_is_markup_or_control(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets stay brackets, and control characters become text."""
    terminal.table(("a",), [("[red]x[/red] :smile: \x1b[31m",)])
    assert capsys.readouterr().out == "a\n[red]x[/red] :smile: \\x1b[31m\n"


def test_pipe_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal a long line stays whole."""
    terminal.table(("a",), [("x" * 500,)])
    assert "x" * 500 in capsys.readouterr().out


def test_complaints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is not among the results."""
    terminal.complain("no")
    assert capsys.readouterr() == ("", "no\n")


class Full(io.StringIO):
    """A stream that nothing can be written to, and that has no descriptor."""

    def write(self, _: str) -> int:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full(), io.StringIO()])
def test_announcements_are_best_effort(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    """A stream that is closed, full or left costs the line and nothing else."""
    for name, say in (("stdout", terminal.announce), ("stderr", terminal.complain)):
        monkeypatch.setattr(sys, name, stream)
        say("ready")
    if isinstance(stream, io.StringIO) and not isinstance(stream, Full):
        assert stream.getvalue() == "ready\nready\n"


def test_announcements_pass_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pipe whose reader has left did not take is not kept, to fail again at the end."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.announce("ready")
        stream.flush()


@pytest.mark.parametrize("stream", [None, Full()])
def test_results_are_not(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    """A result that cannot be written is a refusal that says so."""
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(CommandRefused, match="standard output"):
        terminal.line("token")
