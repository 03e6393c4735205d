"""The AsyncAPI documents pass the official parser, and the examples of the pages pass their schemas."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from docs import asyncapi
from docs.contract import CONTRACTS, Contract
from tests.docs.pages import DOCS, ROOT, blocks

FOLDER = ROOT / "tests" / "asyncapi"

pytestmark = [
    pytest.mark.skipif(
        not (FOLDER / "node_modules").exists(), reason="`make test` installs the parser of AsyncAPI"
    ),
    pytest.mark.timeout(180),
]


def check(documents: dict[str, str], examples: list[dict[str, Any]]) -> dict[str, Any]:
    """What the parser and the schemas say."""
    done = subprocess.run(
        ["node", str(FOLDER / "check.mjs")],
        input=json.dumps({"documents": documents, "examples": examples}),
        capture_output=True,
        text=True,
        check=True,
        timeout=150,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def examples(contract: Contract) -> Iterator[dict[str, Any]]:
    """The messages on the page of a protocol that are the gateway's own."""
    page = DOCS / "endpoints" / f"{contract.name}.md"
    own = {f"client_{kind.word}" for kind in contract.client}
    own |= {f"gateway_{kind.word}" for kind in contract.server}
    for side, word in (("client", "client"), ("gateway", "server")):
        for block in blocks(f"json {word}", page):
            value = json.loads(block.text)
            message = f"{side}_{value['type']}" if isinstance(value, dict) else ""
            if contract.name != "relay" or message in own:  # the others are events of the upstream
                yield {"document": contract.name, "message": message, "value": value}


def texts() -> dict[str, str]:
    """The documents as they are in the repository."""
    return {
        contract.name: (DOCS / "reference" / f"asyncapi-{contract.name}.yaml").read_text("utf-8")
        for contract in CONTRACTS
    }


def test_documents_and_examples_are_good() -> None:
    """The parser finds no error and every message; every example has the keys and types of its message."""
    given = [each for contract in CONTRACTS for each in examples(contract)]
    assert len(given) > 60
    found = check(texts(), given)
    assert found["documents"] == []
    assert found["examples"] == []
    assert found["counts"] == {
        contract.name: len(contract.client) + len(contract.server) for contract in CONTRACTS
    }


@pytest.mark.long
def test_faults_are_found() -> None:
    """A document with a fault, and examples that are not as they should be, are named."""
    document = asyncapi.document(CONTRACTS[0])
    del document["info"]["version"]
    stamped = {"timestamp": 1}
    wrong: list[dict[str, Any]] = [
        {"type": "join", "data": {"roomId": 1}, **stamped},
        {"type": "join", "data": {"roomId": "a", "more": 1}, **stamped},
        {"type": "join", "data": {"roomId": "a"}},
        {"type": "join", "data": {"roomId": "a"}, "more": 1, **stamped},
        {
            "type": "join",
            "data": {"rooms": [{"roomId": "a", "since": {"offset": -1, "epoch": "e"}}]},
        },
        {"type": "leave", "data": {"roomId": "a"}, **stamped},
    ]
    given = [{"document": "rooms", "message": "client_join", "value": value} for value in wrong]
    given.append({"document": "rooms", "message": "client_shout", "value": {}})
    found = check({**texts(), "broken": asyncapi.yaml(document)}, given)
    assert any("broken info" in each for each in found["documents"])
    assert len(found["examples"]) == len(given)


def test_yaml_is_read_as_it_was_meant() -> None:
    """Texts that YAML would read as something else are quoted, and keep their characters."""
    tricky = {
        "true": "yes", "a": "1", "b": "null", "c": "~", "d": "#", "e": "a: b", "f": "", "g": "é \"\\\n",
        "h": [], "i": {}, "j": [[1, 2], {"k": None}], "l": 1.5, "1": False, "m": "- x", "n": "1e3",
    }  # fmt: skip
    script = 'import y from "js-yaml"; import fs from "node:fs";'
    script += "process.stdout.write(JSON.stringify(y.load(fs.readFileSync(0, 'utf8'))));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=asyncapi.yaml(tricky),
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER,
    )
    assert json.loads(done.stdout) == tricky
