"""The page on the admin API is true: its commands are put to a running one."""

import json
import re
import shlex
from typing import Any, Final

import msgspec
import pytest

from portward.admin.batch import ROOM
from portward.admin.errors import STATUSES
from portward.admin.methods import all_methods
from portward.admin.protocol import REQUEST_TIME
from portward.admin.server import CONNECTIONS
from portward.model.errors import ErrorKind
from portward.model.limits import MIB
from portward.protocols.registry import PROTOCOLS
from tests.admin.service import ADMIN, Service, serving
from tests.docs.pages import DOCS, blocks

METHODS = all_methods(PROTOCOLS)

PAGE: Final = DOCS / "reference" / "admin-api.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")
METHODS_SECTION: Final = TEXT.partition("\n## Methods")[2].partition("\n## Errors")[0]
ERRORS_SECTION: Final = TEXT.partition("\n## Errors")[2].partition("\n## Publishing")[0]
ROW: Final = re.compile(r"^\| `(\w+)` \| `?(\w+)`? \| ?(.*?) ?\| ?(.*?) ?\|$", re.MULTILINE)


def conversations() -> list[tuple[str, str]]:
    """Every command of the page with the answer that stands below it."""
    found = []
    for block in blocks("console", PAGE):
        text = block.text.replace("\\\n", " ")
        for part in text.split("$ curl ")[1:]:
            command, _, answer = part.strip().partition("\n")
            found.append((command, answer))
    return found


def shape(value: Any) -> Any:
    """The keys and types of a value."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


async def put(service: Service, command: str) -> Any:
    """Carry out a command of the page, and return the answer."""
    url, *rest = shlex.split(command.replace("$KEY", ADMIN))
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    name, _, value = options["-H"].partition(": ")
    response = await service.http.post(url, content=options["-d"], headers={name: value})
    return response.json()


async def test_every_command_is_answered_as_shown() -> None:
    """The commands of the page, one after the other, have answers of the shape shown."""
    commands = conversations()
    assert len(commands) >= 10
    async with serving() as service:
        for command, shown in commands:
            answer = await put(service, command)
            expected = json.loads(shown)
            assert shape(answer) == shape(expected), command
            if "error" in expected:
                assert answer == expected


def test_the_table_is_the_table() -> None:
    """Methods, scopes, fields of requests and fields of results are those of the code."""
    rows = {match[1]: match for match in ROW.finditer(METHODS_SECTION)}
    assert set(rows) == set(METHODS)
    for name, row in rows.items():
        method = METHODS[name]
        assert row[2] == (method.scope.value if method.scope else "any")
        fields = set(re.findall(r"`(\w+)\??`", row[3]))
        known = set(method.request.__struct_encode_fields__)
        assert known - fields <= {"skip_history", "parallel"}, name
        assert fields <= known, name
        results = set(re.findall(r"`(\w+)\??`", row[4]))
        if row[4] != "the record":
            assert set(method.result.__struct_encode_fields__) <= results | {"nodes"}, name


@pytest.mark.parametrize("name", [name for name in METHODS if name != "revoke"])
def test_optional_fields_are_marked(name: str) -> None:
    """A field has a question mark exactly when it can be left out."""
    fields = msgspec.structs.fields(METHODS[name].request)
    (row,) = [match for match in ROW.finditer(METHODS_SECTION) if match[1] == name]
    required = {each.encode_name for each in fields if each.required}
    assert set(re.findall(r"`(\w+)`", row[3])) == required


def test_statuses_and_numbers_are_those_of_the_code() -> None:
    """Every status the code gives a fault that can happen here is in the table of errors."""
    found = re.findall(r"^\| (\d+) \| (\d+) \|", ERRORS_SECTION, re.MULTILINE)
    told = {(int(status), int(number)) for status, number in found}
    kinds = {
        ErrorKind.UNKNOWN_CHANNEL,
        ErrorKind.LIMIT_EXCEEDED,
        ErrorKind.TOO_LONG,
        ErrorKind.UNAVAILABLE,
        ErrorKind.UNRECOVERABLE,
    }
    assert {(STATUSES[kind], kind.number) for kind in kinds} <= told
    assert {(400, 101), (400, 107), (401, 101), (403, 103), (404, 104), (503, 108)} <= told


def test_figures_are_those_of_the_code() -> None:
    """The bounds on replies and connections are told as they are."""
    text = " ".join(TEXT.split())
    assert f"the replies come to {ROOM // MIB} MiB" in text
    assert f"there can be {CONNECTIONS} at a time" in text
    assert REQUEST_TIME == 10
    assert "ten seconds to arrive" in text
