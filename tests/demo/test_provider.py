from collections.abc import Iterator
from http.cookies import SimpleCookie

import pytest
from msgspec.structs import replace

from portward.demo import provider as module
from portward.demo.provider import COOKIE, LIFE, StandInProvider
from portward.settings import Settings, SettingsError
from portward.settings.sections import Environment
from portward.testing.clock import FakeClock
from tests.demo.sites import ORIGIN, Made, site

NOBODY = {
    "errors": [
        {
            "message": "Invalid user credentials.",
            "extensions": {"code": "INVALID_CREDENTIALS"},
        }
    ]
}


@pytest.fixture
def made() -> Iterator[Made]:
    """A provider where nobody is logged in."""
    with site() as made:
        yield made


def test_production_is_refused() -> None:
    """A gateway in production cannot have this provider."""
    settings = replace(Settings(), environment=Environment.PRODUCTION)
    with pytest.raises(SettingsError, match="never serves production"):
        StandInProvider(settings, FakeClock())


# -- who is it


def test_identity(made: Made) -> None:
    """Whoever is logged in is told in the words of Directus."""
    made.login(made.ada)
    answer = made.client.get("/users/me?fields=id,email,role,first_name,last_name")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "data": {
            "id": made.ada.id,
            "email": "ada@example.com",
            "role": "editor",
            "first_name": "Ada",
            "last_name": "Holt",
        }
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["id", "email", "role", "first_name", "last_name"]),
        ("?fields=*", ["id", "email", "role", "first_name", "last_name"]),
        ("?fields=id", ["id"]),
        ("?fields=email,password", ["email"]),
        ("?fields=password", []),
    ],
)
def test_fields(made: Made, query: str, names: list[str]) -> None:
    """Only fields that are asked for are told, and a password is none of them."""
    made.login(made.bob)
    assert list(made.client.get(f"/users/me{query}").json()["data"]) == names


def test_nobody_is_logged_in(made: Made) -> None:
    """Without a cookie there is nobody."""
    answer = made.client.get("/users/me")
    assert (answer.status_code, answer.json()) == (401, NOBODY)


@pytest.mark.parametrize("value", ["", "x", "0" * 64, '"quoted"', "a=b", "\xe9"])
def test_cookie_that_was_not_handed_out(made: Made, value: str) -> None:
    """A made-up cookie is nobody's."""
    made.login(made.ada)
    made.client.cookies.clear()
    header = f"{COOKIE}={value}".encode("latin-1")
    assert made.client.get("/users/me", headers={b"cookie": header}).status_code == 401


def test_cookie_that_is_there_twice(made: Made) -> None:
    """Two session cookies, or one among others, are not the same."""
    made.login(made.ada)
    token = made.client.cookies[COOKIE]
    made.client.cookies.clear()

    def ask(cookie: str) -> int:
        status: int = made.client.get("/users/me", headers={"cookie": cookie}).status_code
        return status

    assert ask(f"a=b; {COOKIE}={token}; {COOKIE}x=y") == 200
    assert ask(f"{COOKIE}={token}; {COOKIE}={token}") == 401
    assert ask(f"{COOKIE}=; {COOKIE}={token}") == 401


def test_session_grows_old(made: Made) -> None:
    """A session ends by itself."""
    made.login(made.ada)
    made.clock.advance(LIFE)
    assert made.client.get("/users/me").status_code == 401


# -- what may they read


@pytest.mark.parametrize(
    ("user", "event", "status"),
    [
        ("ada", "42", 200),
        ("ada", "7", 200),
        ("ada", "8", 403),
        ("bob", "42", 200),
        ("bob", "7", 403),
        ("bob", "8", 403),
        ("", "42", 403),
        ("", "7", 403),
    ],
)
def test_events(made: Made, user: str, event: str, status: int) -> None:
    """Ada may read everything that is there, Bob what is public, a stranger nothing."""
    if user:
        made.login(getattr(made, user))
    answer = made.client.get(f"/items/events/{event}?fields=id")
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"data": {"id": int(event)}}


def test_absence_is_not_told_from_a_refusal(made: Made) -> None:
    """A private event and one that does not exist are answered in the same words."""
    made.login(made.bob)
    private, absent = (made.client.get(f"/items/events/{event}") for event in ("7", "8"))
    assert private.content == absent.content
    assert private.headers == absent.headers


@pytest.mark.parametrize("event", ["x", "-7", "+42", "4 2", "٤٢", "4_2", "42.0", "9" * 5000, "%00"])
def test_ids_that_are_none(made: Made, event: str) -> None:
    """What is no number is like an event that is not there."""
    made.login(made.ada)
    assert made.client.get(f"/items/events/{event}").status_code == 403


# -- logging in


def test_cookie_of_a_login(made: Made) -> None:
    """The cookie is kept from scripts and other sites, and says nothing of whose it is."""
    body = {"email": "ADA@example.com", "password": made.ada.password}
    answer = made.client.post("/auth/login", json=body)
    assert answer.json() == {"data": {"expires": LIFE * 1000}}
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert len(cookie.value) == 64
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("lax", "/", "")
    assert cookie["max-age"] == str(LIFE)


def test_login_begins_a_new_session(made: Made) -> None:
    """Logging in never goes on with the token that was there, and ends it."""
    made.login(made.bob)
    before = made.client.cookies[COOKIE]
    made.login(made.ada)
    assert made.client.get("/users/me?fields=email").json()["data"]["email"] == "ada@example.com"
    made.client.cookies.clear()
    old = made.client.get("/users/me", headers={"cookie": f"{COOKIE}={before}"})
    assert old.status_code == 401


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.com", "wrong"), ("ada@example.com", ""), ("eve@example.com", "x"), ("", "")],
)
def test_wrong_password(made: Made, email: str, password: str) -> None:
    """A wrong password and an unknown account are answered alike, and set no cookie."""
    answer = made.client.post("/auth/login", json={"email": email, "password": password})
    assert (answer.status_code, answer.json()) == (401, NOBODY)
    assert "set-cookie" not in answer.headers


def test_password_of_another(made: Made) -> None:
    """One account's password does not open the other."""
    body = {"email": made.ada.email, "password": made.bob.password}
    assert made.client.post("/auth/login", json=body).status_code == 401


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"email": 1, "password": "x"}', "application/json", 400),
        (b'{"email": "\xff", "password": "x"}', "application/json", 400),
        (b'{"email": "a"}', "application/json", 400),
        (b"email=a&password=b", "application/x-www-form-urlencoded", 415),
        (b"email=a&password=b", "text/plain", 415),
        (b"email=a&password=b", "", 415),
        (b" " * 4097, "application/json", 413),
    ],
)
def test_login_that_is_none(made: Made, body: bytes, kind: str, status: int) -> None:
    """What is no login is refused in the provider's words, and logs nobody in."""
    answer = made.client.post("/auth/login", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"]
    assert "set-cookie" not in answer.headers


FOREIGN = [
    "null",
    "http://127.0.0.1:9999",
    "http://localhost:8082",
    "https://127.0.0.1:8082",
    "x",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout"])
def test_other_origins(made: Made, path: str, origin: str) -> None:
    """A page of another origin, be it on this machine, logs nobody in or out."""
    made.login(made.bob)
    body = {"email": made.ada.email, "password": made.ada.password}
    answer = made.client.post(path, json=body, headers={"origin": origin})
    assert answer.status_code == 403
    assert made.client.get("/users/me?fields=email").json()["data"]["email"] == made.bob.email


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many logins end the oldest session, not the process."""
    monkeypatch.setattr(module, "SESSIONS", 2)
    with site() as made:
        made.login(made.ada)
        token = made.client.cookies[COOKIE]
        for _ in range(2):
            made.client.cookies.clear()
            made.login(made.bob)
        made.client.cookies.clear()
        old = made.client.get("/users/me", headers={"cookie": f"{COOKIE}={token}"})
        assert old.status_code == 401


# -- logging out


def test_logout(made: Made) -> None:
    """Who logs out is nobody from then on, with the same cookie too."""
    made.login(made.ada)
    token = made.client.cookies[COOKIE]
    answer = made.client.post("/auth/logout", headers={"origin": ORIGIN})
    assert answer.status_code == 204
    assert COOKIE not in made.client.cookies
    old = made.client.get("/users/me", headers={"cookie": f"{COOKIE}={token}"})
    assert old.status_code == 401


def test_logout_of_nobody(made: Made) -> None:
    """Logging out twice is logging out."""
    assert made.client.post("/auth/logout").status_code == 204


@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout"])
def test_login_is_no_link(made: Made, path: str) -> None:
    """Following a link logs nobody in or out."""
    made.login(made.ada)
    assert made.client.get(path).status_code == 405
    assert made.client.get("/users/me").status_code == 200
