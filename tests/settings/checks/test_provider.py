import pytest

from portward.settings import startup_errors
from portward.settings.checks.rule import CheckLevel
from portward.settings.sections import IdentityProviderSettings
from portward.settings.tree import Settings
from tests.settings.checks.judging import MACHINE, ROOMS_ALONE, findings, levels
from tests.settings.reading import settings

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
WARNED = (WARN, WARN, False)
IN_PRODUCTION = (OK, WARN, False)
ASKED = 'identity_provider.url = "https://idp.example"\n'
Levels = tuple[CheckLevel, CheckLevel, bool]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (OK, FAIL, False)),
        ('gate.allowed_origins = ["https://a.example"]', FINE),
        ('endpoints.live.allowed_origins = ["https://a.example"]', FINE),
        ('gate.allowed_origins = ["*"]', GRAVE),
        ('endpoints.live.allowed_origins = ["https://a.example", "*"]', GRAVE),
        (
            'gate.allowed_origins = ["*"]\nendpoints.live.allowed_origins = ["https://a.example"]',
            FINE,
        ),
        ('endpoints.rooms.allowed_origins = ["*"]', (OK, FAIL, False)),
        ("endpoints.live.enabled = false", FINE),
        ('endpoints.live.credentials = ["message"]', FINE),
    ],
)
def test_pages_that_may_use_cookies_are_named(text: str, expected: Levels) -> None:
    """By the endpoint's own list or the gate's; development has the pages of this machine."""
    assert levels(f"{ASKED}{text}", "cookie-origins") == expected


def test_without_a_provider_no_page_need_be_named() -> None:
    """Nobody gets in by cookie then; that is told by a rule of its own."""
    assert levels("", "cookie-origins") == FINE
    assert levels('gate.allowed_origins = ["*"]', "cookie-origins") == GRAVE


def test_every_endpoint_that_takes_cookies_is_judged() -> None:
    """Cookies beside other credentials are cookies as well."""
    text = f'{ASKED}endpoints.rooms.credentials = ["cookie", "message"]'
    found = findings(text, "cookie-origins", production=True)
    assert [each.change.partition("  #")[0] for each in found] == [
        'endpoints.live.allowed_origins = ["https://…"]',
        'endpoints.rooms.allowed_origins = ["https://…"]',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ("endpoints.live.allow_missing_origin = false", FINE),
        ("endpoints.live.allow_missing_origin = true", ALWAYS),
        ("[endpoints.live]\nallow_missing_origin = true\nenabled = false", FINE),
        ("endpoints.rooms.allow_missing_origin = true", FINE),
        (
            '[endpoints.rooms]\nallow_missing_origin = true\ncredentials = ["message", "cookie"]',
            ALWAYS,
        ),
    ],
)
def test_cookies_without_an_origin_stop_any_start(text: str, expected: Levels) -> None:
    """Every page of the web can send them, so the header that names the page must be there."""
    assert levels(text, "cookie-missing-origin") == expected


def test_the_line_to_change_is_told() -> None:
    """It says what would be right."""
    (found,) = findings("endpoints.live.allow_missing_origin = true", "cookie-missing-origin")
    assert found.change == "endpoints.live.allow_missing_origin = false"


@pytest.mark.parametrize(
    "credentials", ['["cookie", "message"]', '["cookie"]\nauth = "none"', '["cookie", "ticket"]']
)
def test_cookies_keep_company(credentials: str) -> None:
    """Other credentials beside them, or none asked for in development, stop no start."""
    tree = settings(f"[endpoints.live]\ncredentials = {credentials}")
    assert startup_errors(tree, MACHINE) == []


@pytest.mark.parametrize(
    ("url", "form", "plain"),
    [
        ("", FINE, FINE),
        ("https://directus.example", FINE, FINE),
        ("https://directus.example:8055/cms/", FINE, FINE),
        ("http://directus.example", FINE, GRAVE),
        ("HTTP://directus.example", FINE, GRAVE),
        ("http://8.8.8.8", FINE, GRAVE),
        ("http://127.0.0.1:8055", FINE, IN_PRODUCTION),
        ("http://localhost:8055", FINE, IN_PRODUCTION),
        ("http://directus:8055", FINE, IN_PRODUCTION),
        ("http://directus.internal", FINE, IN_PRODUCTION),
        ("http://10.0.0.7:8055", FINE, IN_PRODUCTION),
        ("directus.example", ALWAYS, FINE),
        ("ws://directus.example", ALWAYS, FINE),
        ("http://", ALWAYS, FINE),
        ("http://admin:hunter2@directus.example", ALWAYS, FINE),
        ("https://directus.example/?access_token=hunter2", ALWAYS, FINE),
        ("https://directus.example/#hunter2", ALWAYS, FINE),
    ],
)
def test_the_address_of_the_provider_is_judged(url: str, form: Levels, plain: Levels) -> None:
    """What is no address stops any start; plain http is for near hosts."""
    text = f'identity_provider.url = "{url}"'
    assert levels(text, "provider-form") == form
    assert levels(text, "provider-plain") == plain
    found = findings(text, "provider-form") + findings(text, "provider-plain", production=True)
    assert "hunter2" not in repr(found)
    assert all(
        each.level in {OK, CheckLevel.SKIP} or each.change.startswith("identity_provider")
        for each in found
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", WARNED),
        ('identity_provider.url = "https://directus.example"', FINE),
        ("endpoints.live.enabled = false", FINE),
        ('endpoints.live.auth = "none"', FINE),
        ('endpoints.live.credentials = ["message"]', FINE),
        ('endpoints.live.credentials = ["message", "cookie"]', WARNED),
    ],
)
def test_somebody_knows_whose_cookies_they_are(text: str, expected: Levels) -> None:
    """Without a provider nobody is let in there, which stops nothing else."""
    assert levels(text, "provider-missing") == expected
    found = findings(text, "provider-missing")[0]
    assert (
        found.level in {OK, CheckLevel.SKIP}
        or "endpoint live takes cookies, and lets nobody in" in found.what
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('["session"]', FINE),
        ('["__Host-session", "a.b", "x!#$%&\'*+^_`|~"]', FINE),
        ('["*"]', IN_PRODUCTION),
        ("[]", ALWAYS),
        ('["*", "session"]', ALWAYS),
        ('[""]', ALWAYS),
        ('["session", "a b"]', ALWAYS),
        ('["a=b"]', ALWAYS),
        ('["a;b"]', ALWAYS),
        ('["a\\r\\nb"]', ALWAYS),
        ('["sessiön"]', ALWAYS),
    ],
)
def test_the_names_of_cookies_are_judged(names: str, expected: Levels) -> None:
    """Each is one a browser could send; all of them are more than a provider should see."""
    assert levels(f"identity_provider.cookies = {names}", "provider-cookies") == expected


def test_the_wrong_name_of_a_cookie_is_told_by_its_place() -> None:
    """The line stays a line, whatever the name holds."""
    (found,) = findings('identity_provider.cookies = ["a", "b\\n"]', "provider-cookies")
    assert found.what == "identity_provider.cookies entry 2 is no name of a cookie"


def topics(pattern: str, question: str) -> Settings:
    """Make a tree with one topic."""
    return Settings(identity_provider=IdentityProviderSettings(topics={pattern: question}))


@pytest.mark.parametrize(
    ("pattern", "question", "expected"),
    [
        ("event:{id}", "/items/events/{id}", FINE),
        ("event:{id}", "/items/events/{event}", ALWAYS),
        ("event:{id}", "//evil.example/{id}", ALWAYS),
        ("event:{id", "/items", ALWAYS),
        ("event:{eventId}", "/items/events/{eventId}", FINE),
        ("a\nb", "/items", ALWAYS),
        ("doc:{a}-{b}", "/items/{a}/{b}", ALWAYS),
        ("doc:{a}:{b}", "/items/{a}/{b}", FINE),
    ],
)
def test_topics_are_judged(pattern: str, question: str, expected: Levels) -> None:
    """One that makes no sense stops any start, and is named."""
    tree = topics(pattern, question)
    assert levels(tree, "provider-topics") == expected
    (found,) = findings(tree, "provider-topics")
    assert "\n" not in found.what
    assert found.level is OK or found.what.startswith(f"identity_provider.topics: {pattern!r}: ")
    assert found.level is OK or "?fields=id" in found.change


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        (ROOMS_ALONE, FINE),
        ('endpoints.live.credentials = ["cookie", "message"]', FINE),
        ('endpoints.live.credentials = ["message"]', WARNED),
        ('namespaces.rooms.authorize = "identity_provider"', WARNED),
        ('endpoints.rooms.namespace = "live"', WARNED),
        ('namespaces.docs.authorize = "identity_provider"', FINE),
        ('endpoints.rooms.namespace = "unknown"', FINE),
    ],
)
def test_who_needs_cookies_can_send_them(text: str, expected: Levels) -> None:
    """Where rights are asked for with cookies and none are taken, nobody can subscribe."""
    assert levels(text, "provider-rights") == expected


@pytest.mark.parametrize(
    ("cookies", "values", "expected"),
    [
        ('["directus_session_token"]', "any", (FAIL, FAIL, False)),
        ('["session", "directus_refresh_token"]', "any", (FAIL, FAIL, False)),
        ('["__Secure-directus_session_token"]', "any", (FAIL, FAIL, False)),
        ('["directus_session_token"]', "plain", FINE),
        ('["connect.sid"]', "plain", WARNED),
        ('["__Secure-better-auth.session_token"]', "plain", WARNED),
        ('["connect.sid"]', "any", FINE),
        ('["_app_session"]', "any", FINE),
        ('["_app_session"]', "plain", FINE),
        ('["*"]', "any", FINE),
    ],
)
def test_values_of_cookies_fit_their_names(cookies: str, values: str, expected: Levels) -> None:
    """Directus's cookies are plain, those of Express and of better-auth are not."""
    text = f'[identity_provider]\ncookies = {cookies}\ncookie_values = "{values}"'
    assert levels(text, "cookie-values") == expected


def test_the_usual_cookies_are_those_of_directus() -> None:
    """Taking any value without naming other cookies fails."""
    assert levels('identity_provider.cookie_values = "any"', "cookie-values")[0] is FAIL
