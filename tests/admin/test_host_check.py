import re
import tomllib

import pytest
from httpx import ASGITransport, AsyncClient

from portward.admin.host_check import HostCheck
from tests.admin.service import READER, Service
from tests.docs.pages import ROOT


async def asked(service: Service, host: str, path: str = "/api/info", **given: object) -> int:
    """The status of a request under a name."""
    own = str(given.get("own", "127.0.0.1"))
    allowed = given.get("allowed", ())
    assert isinstance(allowed, (tuple, list))
    check = HostCheck(service.app, own, allowed)
    async with AsyncClient(transport=ASGITransport(check), base_url="http://x") as http:
        headers = {"Host": host, "X-API-Key": READER}
        method = "POST" if path.startswith("/api") else "GET"
        return (await http.request(method, path, headers=headers, json={})).status_code


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8081", "10.0.0.5", "[::1]:8081", "localhost", "LOCALHOST:8081", "app.localhost:1"],
)
async def test_addresses_and_localhost_pass(service: Service, host: str) -> None:
    """No page can have them as its own name."""
    assert await asked(service, host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081", "", "a b", "one"],
)
async def test_other_names_are_refused(service: Service, host: str) -> None:
    """A name that was rebound to the listener's address gets 403, and one line in the log."""
    assert await asked(service, host) == 403
    assert service.events("handshake.reject")


async def test_named_hosts_pass(service: Service) -> None:
    """The host it listens on, and those of the settings."""
    assert await asked(service, "one:8081", allowed=["one", "two"]) == 200
    assert await asked(service, "three:8081", allowed=["one", "two"]) == 403
    assert await asked(service, "admin.internal", own="admin.internal") == 200


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_pass_under_any_name(service: Service, path: str) -> None:
    """They tell nothing, and load balancers use names of their own."""
    assert await asked(service, "anything.example", path) == 200


async def test_a_name_that_is_none_is_an_error(service: Service) -> None:
    """It is named at the start."""
    with pytest.raises(ValueError, match="a b"):
        HostCheck(service.app, "127.0.0.1", ["a b"])


async def test_the_shipped_scraper_passes(service: Service) -> None:
    """The targets of deploy/prometheus.yml are names that deploy/compose.yaml allows."""
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    block = compose.partition("    content: |\n")[2].partition("\nsecrets:")[0]
    settings = tomllib.loads(re.sub(r"^ {6}", "", block, flags=re.MULTILINE))
    scraper = (ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8")
    targets = re.findall(r'"([^"]+:\d+)"', scraper)
    assert targets
    for target in targets:
        allowed = settings["admin"]["allowed_hosts"]
        assert await asked(service, target, "/metrics", own="0.0.0.0", allowed=allowed) == 200
