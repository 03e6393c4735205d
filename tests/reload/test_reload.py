import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from portward.settings.schema import entries, example
from tests.reload.case import ReloadCase, run
from tests.reload.endpoint_cases import ENDPOINTS
from tests.reload.identity_provider_cases import IDENTITY_PROVIDER
from tests.reload.limits_cases import LIMITS
from tests.reload.process import GatewayProcess, serving
from tests.reload.rooms_cases import ROOMS
from tests.reload.tokens_cases import TOKENS
from tests.reload.upstream_cases import UPSTREAM
from tests.reload.web import web_server

CASES: Final[tuple[ReloadCase, ...]] = (
    *TOKENS,
    *IDENTITY_PROVIDER,
    *ENDPOINTS,
    *LIMITS,
    *UPSTREAM,
    *ROOMS,
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process for all cases."""
    folder: Path = tmp_path_factory.mktemp("reload")
    with web_server() as web, serving(folder, web) as running:
        yield running


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_client_sees_the_reload(case: ReloadCase, gateway: GatewayProcess) -> None:
    """After SIGHUP a client of the running process sees what the new value of the key means."""
    await run(case, gateway)


def test_every_reloadable_key_has_a_case() -> None:
    """A key that the reference marks as reloadable has a case."""
    marked = {entry.key for entry in entries(example()) if entry.leaf.about.reload}
    covered = {case.key for case in CASES}
    assert marked == covered


def test_the_reference_marks_the_same_keys() -> None:
    """The page of settings marks with an arrow exactly the keys that a reload puts in force."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()
    shown = set(re.findall(r"^\| `([^`]+)` ↻ \|", page, re.MULTILINE))
    assert shown == {entry.key for entry in entries(example()) if entry.leaf.about.reload}


async def test_a_bad_reload_changes_nothing(gateway: GatewayProcess) -> None:
    """Settings that cannot be served are refused with the key, and the old ones stay in force."""
    secrets = TOKENS[0]
    await gateway.configure(secrets.before)
    line = await gateway.configure({"tokens.leeway": "2h"})
    assert line.startswith("reload refused: ")
    assert "tokens.leeway" in line
    again = ReloadCase(
        key="tokens.secrets",
        before=secrets.before,
        after=secrets.after,
        observe=secrets.observe,
        seen_before=secrets.seen_before,
        seen_after=secrets.seen_after,
    )
    await run(again, gateway)
