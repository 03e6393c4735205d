import msgspec
import pytest

from portward.app.workers import words
from portward.app.workers.words import Report, Secrets, Task


def test_messages_survive_the_way() -> None:
    """What is sent in a line is read from it, line breaks and all."""
    secrets = Secrets(token="t", session="s", admin="a")
    task = Task(number=1, port=80, name="n", folder="/run/x", secrets=secrets)
    assert words.task.decode(words.line(task)) == task
    report = Report(said="two\nlines")
    assert words.line(report).count(b"\n") == 1
    assert words.report.decode(words.line(report)) == report


def test_secrets_are_not_shown() -> None:
    """A task that is printed shows no secret."""
    task = Task(number=1, port=80, name="n", folder="/run/x", secrets=Secrets(token="t0p"))
    assert "t0p" not in repr(task)


def test_nonsense_is_no_report() -> None:
    """A line that is no report is an error of its own kind."""
    with pytest.raises(msgspec.DecodeError):
        words.report.decode(b"nonsense")
