import pytest

from portward.settings.checks.rule import CheckLevel
from portward.settings.errors import SettingsError
from portward.settings.tokens import Tokens
from portward.settings.tree import Settings
from tests.settings.checks.judging import GOOD, OTHER, ROOMS_ALONE, findings, level, levels
from tests.settings.reading import settings

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
PEM = "-----BEGIN PUBLIC KEY-----\\nMCow\\n-----END PUBLIC KEY-----"
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", GRAVE),
        (f'tokens.secrets = ["{GOOD}"]', FINE),
        ('tokens.jwks_url = "https://issuer.example/keys"', FINE),
        (f'tokens.public_keys = ["{PEM}"]', FINE),
        (f'{ROOMS_ALONE}endpoints.rooms.auth = "none"', FINE),
        (f"{ROOMS_ALONE}endpoints.rooms.enabled = false", FINE),
        (f'{ROOMS_ALONE}endpoints.rooms.credentials = ["cookie"]', FINE),
        (f'{ROOMS_ALONE}endpoints.rooms.credentials = ["cookie", "message"]', GRAVE),
        (f'{ROOMS_ALONE}endpoints.rooms.credentials = ["ticket"]', GRAVE),
    ],
)
def test_a_key_is_needed_where_tokens_are(
    text: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """Any kind of key will do; without endpoints that take tokens none is needed."""
    assert levels(text, "token-key-missing") == expected


@pytest.mark.parametrize(
    ("secret", "expected"), [(GOOD, FINE), ("short", GRAVE), ("a" * 40, GRAVE)]
)
def test_token_secrets_are_judged(
    secret: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """A weak one is put up with in development alone."""
    assert levels(f'tokens.secrets = ["{secret}"]', "token-secret-weak") == expected


def test_every_token_secret_is_judged() -> None:
    """An old secret that is still accepted must be good as well; the finding says which it is."""
    (finding,) = findings(f'tokens.secrets = ["{GOOD}", "changeme"]', "token-secret-weak")
    assert finding.what == "tokens.secrets entry 2 is a well-known placeholder"


def test_an_empty_token_secret_stops_any_start() -> None:
    """It would be known to everyone."""
    assert levels('tokens.secrets = [""]', "token-secret-empty") == ALWAYS
    assert levels(f'tokens.secrets = ["{GOOD}"]', "token-secret-empty") == FINE


def test_a_secret_that_is_another_kind_of_key_stops_any_start() -> None:
    """Both the token secrets and the session secret are looked at."""
    rule = "secret-is-a-key"
    assert levels(f'tokens.secrets = ["{PEM}"]', rule) == ALWAYS
    assert levels(f'tokens.session_secret = "{PEM}"', rule) == ALWAYS
    assert levels(f'tokens.secrets = ["{GOOD}"]\ntokens.session_secret = "{OTHER}"', rule) == FINE


def test_the_session_secret_is_judged() -> None:
    """Absent it is a warning, weak it is grave, shared with tokens it stops any start."""
    assert levels("", "session-secret-missing") == (WARN, WARN, False)
    assert levels("", "session-secret-weak") == FINE
    weak, good = 'tokens.session_secret = "weak"', f'tokens.session_secret = "{OTHER}"'
    assert levels(weak, "session-secret-weak") == GRAVE
    assert levels(good, "session-secret-weak") == FINE
    assert levels(good, "session-secret-missing") == FINE
    assert levels(good, "session-secret-reused") == FINE
    shared = f'tokens.secrets = ["{GOOD}", "{OTHER}"]\n{good}'
    assert levels(shared, "session-secret-reused") == ALWAYS


@pytest.mark.parametrize("key", ['jwks_url = "https://x"', f'public_keys = ["{PEM}"]'])
def test_one_issuer_has_one_kind_of_key(key: str) -> None:
    """Shared secrets beside public keys stop any start."""
    assert levels(f'[tokens]\n{key}\nsecrets = ["{GOOD}"]', "keys-mixed") == ALWAYS
    assert levels(f"[tokens]\n{key}", "keys-mixed") == FINE


@pytest.mark.parametrize(
    ("url", "expected"), [("https://x", FINE), ("http://x", GRAVE), ("", FINE), ("ftp://x", GRAVE)]
)
def test_key_sets_come_over_https(url: str, expected: tuple[CheckLevel, CheckLevel, bool]) -> None:
    """Plain HTTP is for development."""
    assert levels(f'tokens.jwks_url = "{url}"', "jwks-not-https") == expected


def test_public_keys_are_in_pem() -> None:
    """Anything else cannot be used at all."""
    assert levels(f'tokens.public_keys = ["{PEM}"]', "public-key-form") == FINE
    assert levels('tokens.public_keys = ["ssh-rsa AAAA"]', "public-key-form") == ALWAYS


def test_issuer_and_audience_are_advised() -> None:
    """Each that is missing is a warning of its own."""
    both = findings("", "token-claims")
    assert [finding.level for finding in both] == [WARN, WARN]
    assert level('tokens.issuer = "a"', "token-claims") is WARN
    assert level('[tokens]\nissuer = "a"\naudience = "b"', "token-claims") is OK


@pytest.mark.parametrize(
    ("leeway", "expected"), [(0.0, FINE), (60.0, FINE), (61.0, ALWAYS), (-1.0, ALWAYS)]
)
def test_leeway_is_bounded(leeway: float, expected: tuple[CheckLevel, CheckLevel, bool]) -> None:
    """A tree made by hand is held to the same bound as a file."""
    assert levels(Settings(tokens=Tokens(leeway=leeway)), "leeway") == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1024, FINE), (32 * 1024, FINE), (1023, ALWAYS), (32 * 1024 + 1, ALWAYS), (0, ALWAYS)],
)
def test_the_size_of_a_token_is_bounded(
    size: int, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """A tree made by hand is held to the same bounds as a file."""
    assert levels(Settings(tokens=Tokens(max_size=size)), "token-size") == expected


def test_a_token_fits_into_a_first_message() -> None:
    """An endpoint that takes tokens in messages too small for the largest is a warning."""
    text = 'tokens.max_size = "16KiB"\nendpoints.rooms.max_message = "16KiB"'
    assert levels(text, "token-size") == (WARN, WARN, False)
    (found,) = findings(text, "token-size")
    assert found.change == 'endpoints.rooms.max_message = "17KiB"'
    assert levels(f'{text}\nendpoints.rooms.credentials = ["header"]', "token-size") == FINE


@pytest.mark.parametrize("size", ["1023", "33KiB", '"0"', "-1"])
def test_a_size_of_a_token_that_makes_no_sense(size: str) -> None:
    """A file may not ask for it at all."""
    with pytest.raises(SettingsError, match=r"tokens\.max_size"):
        settings(f"tokens.max_size = {size}" if size != "33KiB" else 'tokens.max_size = "33KiB"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sign_messages = false", FINE),
        ("sign_messages = true", ALWAYS),
        (f'sign_messages = true\nsign_secret = "{GOOD}"', ALWAYS),
        (f'sign_messages = true\nsign_secret = "{OTHER}x"', FINE),
        ('sign_messages = true\nsign_secret = "weak"', GRAVE),
        ("sign_messages = true\nenabled = false", FINE),
    ],
)
def test_signatures_need_a_secret_of_their_own(
    text: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """None, and one that tokens are signed with, stop any start; a weak one is grave."""
    assert (
        levels(f'tokens.secrets = ["{GOOD}"]\n[endpoints.rooms]\n{text}', "sign-secret") == expected
    )
