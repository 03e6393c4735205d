import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from portward.demo.site import ASSETS, PAGES
from tests.demo.sites import GATEWAY, ORIGIN, PORT, Made, site

FOLDER = files("portward.demo") / "pages"


@pytest.fixture
def made() -> Iterator[Made]:
    """A site."""
    with site() as made:
        yield made


@pytest.mark.parametrize(("path", "name"), PAGES.items())
def test_pages(made: Made, path: str, name: str) -> None:
    """Every page is there, and may load and reach nothing but this site and the gateway."""
    answer = made.client.get(f"{path}?as=bob")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self';"
        f" connect-src 'self' {GATEWAY}; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ASSETS)
def test_assets(made: Made, name: str) -> None:
    """Scripts and the style have the types without which a browser would not take them."""
    answer = made.client.get(f"/{name}")
    kind = {"css": "text/css", "js": "text/javascript"}[name.rpartition(".")[2]]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


def test_files_are_all_served() -> None:
    """Nothing lies beside what is served."""
    assert {each.name for each in FOLDER.iterdir()} == {*PAGES.values(), *ASSETS}


@pytest.mark.parametrize("name", sorted({*PAGES.values(), *ASSETS}))
def test_pages_are_self_contained(name: str) -> None:
    """Nothing is loaded from elsewhere, nothing runs inline, and text is written as text."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
    assert not re.search(r"https?://|@import|url\(| on[a-z]+=\"| style=\"|<style", text)
    assert re.findall(r"<script(?! type=\"module\" src=\"/[a-z]+\.js\"></script>)", text) == []


@pytest.mark.parametrize("name", sorted(set(PAGES.values())))
def test_pages_are_labelled(name: str) -> None:
    """Every page has a language, a title and a way to the others, every field a label."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    assert re.search("<title>.+</title>", text)
    assert all(f'<a href="{path}"' in text for path in PAGES if path != "/login")
    for field in re.findall(r"<input[^>]*>", text):
        found = re.search(r'id="([^"]+)"', field)
        assert found is not None
        labelled = f'for="{found[1]}"' in text or "aria-label=" in field
        assert labelled or re.search(rf"<label[^>]*>{re.escape(field)}", text)


def test_elements_of_scripts_exist() -> None:
    """Every element a script looks for is on its page, or made by no page at all."""
    for page in ("chat", "alerts", "live", "workspaces"):
        script = (FOLDER / f"{page}.js").read_text(encoding="utf-8")
        text = (FOLDER / f"{page}.html").read_text(encoding="utf-8")
        wanted = set(re.findall(r'find\("([a-z]+)"\)', script))
        assert wanted - set(re.findall(r'id="([a-z]+)"', text)) == set()


def test_settings(made: Made) -> None:
    """Each page is told what it was to be told, as data no browser takes for markup."""
    answer = made.client.get("/settings/chat.json")
    assert answer.json() == {"room": "</script>"}
    assert answer.headers["content-type"] == "application/json"


def test_calls(made: Made) -> None:
    """The calls under way can be asked for."""
    assert made.client.get("/calls.json").json() == ["call-1", "call-2"]


def test_head(made: Made) -> None:
    """HEAD is answered without the page."""
    answer = made.client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/chat/",
        "/settings/live.json",
        "/pages/chat.html",
        "/index.html",
        "/../provider.py",
        "/%2e%2e/site.py",
    ],
)
def test_other_paths(made: Made, path: str) -> None:
    """Nothing else is there."""
    assert made.client.get(path).status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example.org", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.example.org:{PORT}", ""]
)
@pytest.mark.parametrize("path", ["/", "/settings/chat.json", "/users/me"])
def test_other_hosts(made: Made, host: str, path: str) -> None:
    """Under another name there is nothing, so no site can have its own name point here."""
    answer = made.client.get(path, headers={"host": host})
    assert (answer.status_code, answer.content) == (403, b"")


def test_two_hosts(made: Made) -> None:
    """A request with two hosts has none."""
    hosts = [("host", f"127.0.0.1:{PORT}"), ("host", "evil.example.org")]
    assert made.client.get("/", headers=hosts).status_code == 403


@pytest.mark.parametrize(
    ("target", "location"), [("/live", "/live"), ("/chat?as=bob", "/chat?as=bob"), ("/", "/")]
)
def test_local_name(made: Made, target: str, location: str) -> None:
    """A page asked for as localhost is found where its cookies reach the gateway."""
    answer = made.client.get(target, headers={"host": f"LOCALHOST:{PORT}"})
    assert (answer.status_code, answer.headers["location"]) == (307, ORIGIN + location)


@pytest.mark.parametrize("path", ["/settings/chat.json", "/users/me", "//evil.example.org"])
def test_local_name_is_for_pages(made: Made, path: str) -> None:
    """Under localhost there is nothing but the way to the pages."""
    answer = made.client.get(f"{ORIGIN}{path}", headers={"host": f"localhost:{PORT}"})
    assert answer.status_code == 403
    posted = made.client.post("/live", headers={"host": f"localhost:{PORT}"})
    assert posted.status_code == 403
