import base64
import hashlib
import re

import pytest

from portward.admin.page import PAGE, POLICY
from tests.admin.service import Service


async def test_the_page_says_where_to_look(service: Service) -> None:
    """The page is HTML, says what this is, and links to what needs no key."""
    response = await service.http.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    for path in ("/health", "/ready", "/metrics", "/openapi.json"):
        assert f'href="{path}"' in response.text
        assert (await service.http.get(path)).status_code == 200


@pytest.mark.p1
def test_the_page_can_run_nothing() -> None:
    """There is no script, no handler and nothing from elsewhere in it; the policy forbids all."""
    text = PAGE.decode()
    assert not re.search(
        r"<script|\son\w+\s*=|javascript:|https?://|<iframe|<img|<link", text, re.IGNORECASE
    )
    assert POLICY.startswith("default-src 'none';")
    assert "unsafe" not in POLICY
    assert "script-src" not in POLICY


def test_the_policy_knows_the_style() -> None:
    """The one style of the page is allowed by its hash."""
    style = re.search(r"<style>(.*?)</style>", PAGE.decode(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
