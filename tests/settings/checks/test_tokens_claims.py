import pytest

from portward.settings.checks.rule import CheckLevel
from portward.settings.tokens import Claims, Tokens
from portward.settings.tree import Settings
from tests.settings.checks.judging import findings, level, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
USER_WRITTEN = [
    "user_metadata.roles",
    "user_metadata.a.b.c",
    "user_metadata",
    "unsafe_metadata.role",
    "unsafeMetadata.role",
    "userMetadata",
    "User_Metadata.roles",
    "user-metadata.roles",
    "raw_user_meta_data.role",
    "https://app.example.com/user_metadata",
    "https://app.example.com/user_metadata.roles",
    "urn:app:user_metadata",
    "traits.roles",
    "session.user_metadata.roles",
]
ISSUERS_OWN = [
    "roles",
    "realm_access.roles",
    "resource_access.portward.roles",
    "app_metadata.roles",
    "public_metadata.roles",
    "https://app.example.com/roles",
    "cognito:groups",
    "metadata.roles",
    "profiles",
]


@pytest.mark.parametrize("path", USER_WRITTEN)
@pytest.mark.parametrize("key", ["roles", "permissions", "workspace", "channels", "sub", "jti"])
def test_what_users_write_gives_no_rights(key: str, path: str) -> None:
    """Any path through an object that users write themselves fails, whatever is read from it."""
    assert levels(f'tokens.claims.{key} = "{path}"', "claim-user-written") == (FAIL, FAIL, False)


@pytest.mark.parametrize(
    "keys",
    ['["user_metadata", "roles"]', '["https://x.example/unsafe_metadata", "role"]', '["traits"]'],
)
def test_lists_of_keys_are_judged_as_well(keys: str) -> None:
    """The same path written as a list of keys is the same path."""
    assert level(f"tokens.claims.roles = {keys}", "claim-user-written") is FAIL
    assert level(f"tokens.require = {{ '{keys}' = 1 }}", "claim-user-written") is FAIL


@pytest.mark.parametrize("path", USER_WRITTEN)
def test_what_users_write_is_not_asked_for(path: str) -> None:
    """A claim that users write keeps nobody out."""
    text = f'[tokens.require]\n"{path}" = "x"'
    assert level(text, "claim-user-written") is FAIL


@pytest.mark.parametrize("path", ISSUERS_OWN)
def test_what_the_issuer_writes_passes(path: str) -> None:
    """Paths through objects of the issuer or of a backend are met without a word."""
    text = f'tokens.claims.roles = "{path}"\ntokens.require = {{ "{path}" = "x" }}'
    assert levels(text, "claim-user-written") == (OK, OK, False)


@pytest.mark.parametrize("path", ["nickname", "preferred_username", "name", "locale", "profile"])
def test_a_profile_gives_no_rights(path: str) -> None:
    """Claims in which users describe themselves are no roles; as a user's id they are a warning."""
    assert level(f'tokens.claims.roles = "{path}"', "claim-user-written") is FAIL
    assert level(f'tokens.claims.sub = "{path}"', "claim-user-written") is WARN


def test_attributes_of_an_application_are_a_warning() -> None:
    """Whether users may write them is a setting of the user pool, which cannot be seen."""
    assert level('tokens.claims.roles = "custom:roles"', "claim-user-written") is WARN


def test_the_email_may_be_of_the_users_making() -> None:
    """It is shown and gives no right."""
    assert level('tokens.claims.email = "user_metadata.email"', "claim-user-written") is OK


def test_a_claim_without_a_name_stops_any_start() -> None:
    """Without a user's id no token is accepted; other claims may be switched off."""
    assert levels('tokens.claims.sub = ""', "claim-form") == (FAIL, FAIL, True)
    assert levels("tokens.claims.sub = []", "claim-form") == (FAIL, FAIL, True)
    assert levels('tokens.claims.roles = ""', "claim-form") == (OK, OK, False)
    assert levels('tokens.require = { "" = 1 }', "claim-form") == (FAIL, FAIL, True)
    assert levels("tokens.require = { '[1]' = 1 }", "claim-form") == (FAIL, FAIL, True)
    made = Settings(tokens=Tokens(claims=Claims(roles="[")))
    assert levels(made, "claim-form") == (FAIL, FAIL, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('token_use = "id"', FAIL),
        ('token_use = ["id", "refresh"]', FAIL),
        ('typ = "ID"', FAIL),
        ('token_use = ["id", "access"]', OK),
        ('token_use = "access"', OK),
        ('typ = "Bearer"', OK),
        ('client_id = "id"', OK),
        ("token_use = 5", OK),
    ],
)
def test_what_is_always_refused_is_not_asked_for(text: str, expected: CheckLevel) -> None:
    """A kind of token that no endpoint takes cannot be required."""
    assert level(f"tokens.require = {{ {text} }}", "claim-required") is expected


@pytest.mark.parametrize("name", ["client_id", "azp", "appid", "cid"])
def test_a_client_stands_in_for_the_audience(name: str) -> None:
    """Issuers without `aud` name the client a token was made for in another claim."""
    issuer = 'tokens.issuer = "https://issuer.example"'
    assert level(issuer, "token-claims") is WARN
    assert level(f'{issuer}\ntokens.require.{name} = "a"', "token-claims") is OK
    (found,) = findings(f'{issuer}\ntokens.require.scope = "a"', "token-claims")
    assert "audience" in found.what
