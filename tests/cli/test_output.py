import pytest

from portward.cli import output


def test_table_has_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells stand under their headings, and no line ends with blanks."""
    output.table(("level", "finding"), [("ok", "fine"), ("fail", "")])
    assert capsys.readouterr().out == "level  finding\nok     fine\nfail\n"


def test_nothing_is_markup_or_control(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets stay brackets, and control characters become text."""
    output.table(("a",), [("[red]x[/red] :smile: \x1b[31m",)])
    assert capsys.readouterr().out == "a\n[red]x[/red] :smile: \\x1b[31m\n"


def test_pipe_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal a long line stays whole."""
    output.table(("a",), [("x" * 500,)])
    assert "x" * 500 in capsys.readouterr().out


def test_complaints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is not among the results."""
    output.complain("no")
    assert capsys.readouterr() == ("", "no\n")
