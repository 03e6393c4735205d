"""Issuers in wide use: the keys they publish, their access tokens, and what else they sign.

Claims and headers are those that each issuer documents.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from tests.issuers.keys import EC, RSA, jwk, private_key, signed

Claims = dict[str, Any]
DIRECTUS_SECRET: Final = "f3Kq9vTxw2LmZ7sRb5nYc8dHf1gJp4uXaQ6"


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """One issuer. `access` are the claims of a good access token, without its times.

    `user`, `roles` and `email` are what is read of it. `good` are other access tokens that come in, as
    changes to it, and `bad` are tokens that do not, by what they are: a change to the claims, where None
    takes one out, or a whole token.
    """

    title: str
    access: Claims
    user: str
    roles: tuple[str, ...] = ()
    email: str | None = None
    kid: str = "k1"
    algorithm: str = RSA
    header: Mapping[str, Any] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Mapping[str, Any], ...] = ()
    good: Mapping[str, Claims] = field(default_factory=dict)
    bad: Mapping[str, Claims] = field(default_factory=dict)
    made: Mapping[str, Callable[[], str]] = field(default_factory=dict)

    def key_set(self) -> dict[str, Any]:
        """What it publishes."""
        own = jwk(private_key(self.title, self.algorithm), kid=self.kid, **self.entry)
        return {"keys": [*self.others, own]}

    def claims(self, change: Mapping[str, Any] | None = None) -> Claims:
        """The claims of its access token with a change; None takes one out."""
        now = int(time.time())
        changed = {"iat": now, "exp": now + 300, **self.access, **(change or {})}
        return {name: value for name, value in changed.items() if value is not None}

    def token(self, change: Mapping[str, Any] | None = None) -> str:
        """Its access token with a change."""
        claims = self.claims(change)
        if self.title == "Directus":
            return jwt.encode(claims, DIRECTUS_SECRET, algorithm="HS256")
        key = private_key(self.title, self.algorithm)
        return signed(key, claims, self.kid, **self.header)


def _hs256(**claims: Any) -> Callable[[], str]:
    """A token with an HMAC by a secret of the issuer, which the gateway does not have."""
    return lambda: jwt.encode({"exp": time.time() + 300, **claims}, "s" * 40, algorithm="HS256")


KEYCLOAK: Final = Issuer(
    title="Keycloak",
    kid="nnniBrxL0qhG79pkF3ccQj_l0jDmxKrYYy2YLlEe1s0",
    header={"typ": "JWT"},
    entry={"alg": "RS256", "use": "sig", "x5c": ["MIIClTCCAX0="], "x5t": "x", "x5t#S256": "y"},
    others=(jwk(private_key("encryption"), kid="enc", alg="RSA-OAEP", use="enc", x5c=["MIIC"]),),
    access={
        "jti": "onrtac:9c0f1f0e-6f1b-4b7e-a6a4-0c1f6f0f1a11",
        "iss": "https://sso.example.com/realms/acme",
        "aud": ["portward", "account"],
        "sub": "f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e",
        "typ": "Bearer",
        "azp": "web",
        "sid": "4c0a3a8a-3a47-4f2f-8e89-9e5f9b0a0a0a",
        "acr": "1",
        "allowed-origins": ["https://app.example.com"],
        "realm_access": {"roles": ["default-roles-acme", "user"]},
        "resource_access": {
            "portward": {"roles": ["room.create"]},
            "account": {"roles": ["manage-account", "view-profile"]},
        },
        "scope": "openid profile email",
        "email_verified": True,
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "email": "ada@example.com",
    },
    user="f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e",
    roles=("default-roles-acme", "user"),
    email="ada@example.com",
    good={"one audience": {"aud": "portward"}, "no client roles": {"resource_access": None}},
    bad={
        "an ID token": {"typ": "ID", "aud": "web", "nonce": "n", "at_hash": "h"},
        "an ID token for the gateway": {"typ": "ID", "aud": "portward"},
        "a refresh token": {"typ": "Refresh", "aud": "https://sso.example.com/realms/acme"},
        "an offline token": {"typ": "Offline"},
        "a logout token": {"typ": "Logout", "events": {}},
        "for another audience": {"aud": "account"},
        "without an audience": {"aud": None},
        "of another client": {"azp": "other"},
        "without a client": {"azp": None},
        "of another realm": {"iss": "https://sso.example.com/realms/other"},
        "of another host": {"iss": "https://sso.example.org/realms/acme"},
        "roles that are no object": {"realm_access": "user"},
    },
)

AUTH0: Final = Issuer(
    title="Auth0",
    kid="NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg",
    header={"typ": "JWT"},
    entry={"alg": "RS256", "use": "sig", "x5t": "x", "x5c": ["MIIDBTCCAe2g"]},
    access={
        "https://example.com/roles": ["user"],
        "iss": "https://acme.eu.auth0.com/",
        "sub": "auth0|6553da60a54af58e29493993",
        "aud": ["https://gateway.example.com", "https://acme.eu.auth0.com/userinfo"],
        "scope": "openid profile email",
        "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
        "permissions": ["room.create"],
    },
    user="auth0|6553da60a54af58e29493993",
    roles=("user",),
    good={
        "the profile of RFC 9068": {
            "azp": None, "client_id": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "jti": "73WakrfVbNJBaAmhQtEeDv"
        },
        "one audience": {"aud": "https://gateway.example.com"},
        "no roles": {"https://example.com/roles": None},
    },
    bad={
        "an ID token": {
            "aud": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "azp": None, "nonce": "n", "name": "Ada"
        },
        "for the Management API": {"aud": "https://acme.eu.auth0.com/api/v2/"},
        "for userinfo alone": {"aud": ["https://acme.eu.auth0.com/userinfo"]},
        "of another tenant": {"iss": "https://other.eu.auth0.com/"},
        "of an issuer without its slash": {"iss": "https://acme.eu.auth0.com"},
    },
)  # fmt: skip

COGNITO: Final = Issuer(
    title="Amazon Cognito",
    kid="abcdefgh+1234/ABCDEFGH5678ijklmnop90=",
    entry={"alg": "RS256", "use": "sig"},
    others=(jwk(private_key("other"), kid="1234example=", alg="RS256", use="sig"),),
    access={
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "cognito:groups": ["user", "staff"],
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
        "version": 2,
        "client_id": "3n4b5urk1ft4fl3mg5e62d9ado",
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "event_id": "ce82b157-abd7-11e8-a0b2-f197cbb44c95",
        "token_use": "access",
        "scope": "openid profile email gateway/connect",
        "auth_time": 1676312777,
        "jti": "d49208e7-e619-40c7-a0b4-bb3c9607effa",
        "username": "ada",
    },
    user="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    roles=("staff", "user"),
    good={"in no group": {"cognito:groups": None}, "one scope": {"scope": "openid"}},
    bad={
        "an ID token": {
            "token_use": "id", "aud": "3n4b5urk1ft4fl3mg5e62d9ado", "client_id": None,
            "cognito:username": "ada", "email": "ada@example.com",
        },
        "an ID token with the client": {"token_use": "id"},
        "of another client": {"client_id": "5h57kf5urk1ft4fl3mg5e62d9a"},
        "without a client": {"client_id": None},
        "without a use": {"token_use": None},
        "several clients": {"client_id": ["3n4b5urk1ft4fl3mg5e62d9ado"]},
        "with an audience": {"aud": "somebody else"},
        "of another pool": {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ZyXwVuTsR"},
        "of another region": {"iss": "https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AbCdEfGhI"},
    },
)  # fmt: skip

_SUPABASE: Final = "https://abcdefghijklmnop.supabase.co/auth/v1"
SUPABASE: Final = Issuer(
    title="Supabase",
    kid="b81269f1-21d8-4f2e-b719-c2240a840d90",
    algorithm=EC,
    header={"typ": "JWT"},
    entry={"alg": "ES256", "use": "sig", "ext": True, "key_ops": ["verify"]},
    access={
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": 1676312777}],
        "app_metadata": {"provider": "email", "providers": ["email"], "roles": ["user"]},
        "aud": "authenticated",
        "email": "ada@example.com",
        "is_anonymous": False,
        "iss": _SUPABASE,
        "phone": "",
        "role": "authenticated",
        "session_id": "4b938a09-5372-4177-a314-cfa292099ea2",
        "sub": "123e4567-e89b-12d3-a456-426614174000",
        "user_metadata": {"roles": ["admin"], "email_verified": True},
    },
    user="123e4567-e89b-12d3-a456-426614174000",
    roles=("user",),
    email="ada@example.com",
    good={"no roles": {"app_metadata": {"provider": "email"}}, "no email": {"email": ""}},
    bad={
        "an anonymous user": {"is_anonymous": True, "email": ""},
        "of the service role": {"role": "service_role"},
        "for another audience": {"aud": "anon", "role": "anon"},
        "of another project": {"iss": "https://zyxwvutsrqponmlk.supabase.co/auth/v1"},
        "of an issuer that begins alike": {"iss": f"{_SUPABASE}x"},
    },
    made={
        "the key anon": _hs256(iss="supabase", ref="abcdefghijklmnop", role="anon"),
        "the key service_role": _hs256(iss="supabase", ref="x", role="service_role"),
        "with the legacy secret": _hs256(
            iss=_SUPABASE, aud="authenticated", role="authenticated", sub="a", is_anonymous=False
        ),
    },
)

CLERK: Final = Issuer(
    title="Clerk",
    kid="ins_2abcDEFghiJKLmnoPQRstuVWXyz",
    header={"typ": "JWT", "cat": "cl_B7d4PD111AAA"},
    entry={"alg": "RS256", "use": "sig"},
    access={
        "azp": "https://app.example.com",
        "fva": [7, -1],
        "iss": "https://clerk.example.com",
        "jti": "0a1b2c3d4e5f",
        "nbf": 1676312777,
        "o": {"id": "org_123", "rol": "admin", "slg": "acme", "per": "manage,read", "fpm": "3,2"},
        "pla": "o:pro",
        "fea": "o:dashboard,o:teams",
        "sid": "sess_123",
        "sts": "active",
        "sub": "user_123",
        "v": 2,
    },
    user="user_123",
    roles=("admin",),
    good={"in no organization": {"o": None, "pla": "u:free"}},
    bad={
        "for another page": {"azp": "https://evil.example"},
        "for no page": {"azp": None},
        "of a pending session": {"sts": "pending"},
        "of another application": {"iss": "https://clerk.other.example"},
        "of a template with an audience": {"aud": "somewhere else"},
        "that lives for a day": {"exp": 4102444800},
    },
)

FIREBASE: Final = Issuer(
    title="Firebase",
    kid="35e4b2f1c0a94f1ea2c3d4e5f60718293a4b5c6d",
    header={"typ": "JWT"},
    entry={"alg": "RS256", "use": "sig"},
    others=(jwk(private_key("other"), kid="f1e2d3", alg="RS256", use="sig"),),
    access={
        "roles": ["user"],
        "name": "Ada Lovelace",
        "iss": "https://securetoken.google.com/acme-prod",
        "aud": "acme-prod",
        "auth_time": 1676312777,
        "user_id": "kq3vT9xw2LmZ7sRb5nYc8dHf1gJ2",
        "sub": "kq3vT9xw2LmZ7sRb5nYc8dHf1gJ2",
        "email": "ada@example.com",
        "email_verified": True,
        "firebase": {
            "identities": {"email": ["ada@example.com"]},
            "sign_in_provider": "password",
        },
    },
    user="kq3vT9xw2LmZ7sRb5nYc8dHf1gJ2",
    roles=("user",),
    email="ada@example.com",
    good={"logged in by Google": {"firebase": {"sign_in_provider": "google.com"}}},
    bad={
        "of another project": {
            "iss": "https://securetoken.google.com/other-prod", "aud": "other-prod"
        },
        "for another project": {"aud": "other-prod"},
        "by another project": {"iss": "https://securetoken.google.com/other-prod"},
        "an anonymous user": {"firebase": {"sign_in_provider": "anonymous", "identities": {}}},
        "of a custom login": {"firebase": {"sign_in_provider": "custom"}},
        "without a way to log in": {"firebase": None},
        "a way to log in that is no object": {"firebase": "password"},
        "a session cookie": {"iss": "https://session.firebase.google.com/acme-prod"},
        "of Google": {"iss": "https://accounts.google.com", "aud": "1234.apps.googleusercontent.com"},
    },
)  # fmt: skip

_TENANT: Final = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
_OTHER: Final = "ffffeeee-9999-dddd-8888-cccc7777bbbb"
_LOGIN: Final = "https://login.microsoftonline.com"
ENTRA: Final = Issuer(
    title="Microsoft Entra ID",
    kid="H9nj5AOSswMphg1SFx7jaV-lB9w",
    header={"typ": "JWT"},
    entry={
        "use": "sig", "x5t": "H9nj5AOSswMphg1SFx7jaV-lB9w", "x5c": ["MIIC"],
        "cloud_instance_name": "microsoftonline.com", "issuer": f"{_LOGIN}/{{tenantid}}/v2.0",
    },
    access={
        "aud": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "iss": f"{_LOGIN}/{_TENANT}/v2.0",
        "nbf": 1676312777,
        "aio": "AXQAi/8IAAAA",
        "azp": "22223333-bbbb-4444-cccc-5555dddd6666",
        "azpacr": "0",
        "name": "Ada Lovelace",
        "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
        "preferred_username": "ada@example.com",
        "rh": "0.AAAA",
        "roles": ["user"],
        "scp": "gateway.connect gateway.admin",
        "sub": "pairwise-subject-of-the-application",
        "tid": _TENANT,
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    },
    user="aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
    roles=("user",),
    good={"no roles": {"roles": None}, "one scope": {"scp": "gateway.connect"}},
    bad={
        "an ID token": {
            "aud": "22223333-bbbb-4444-cccc-5555dddd6666", "azp": None, "scp": None, "nonce": "n"
        },
        "an ID token of the same application": {"azp": None, "scp": None, "nonce": "n"},
        "of another tenant": {"iss": f"{_LOGIN}/{_OTHER}/v2.0", "tid": _OTHER},
        "of a personal account": {"iss": f"{_LOGIN}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"},
        "of version 1": {"iss": f"https://sts.windows.net/{_TENANT}/", "ver": "1.0", "azp": None},
        "for Microsoft Graph": {"aud": "00000003-0000-0000-c000-000000000000"},
        "for the address of the API": {"aud": "api://00001111-aaaa-2222-bbbb-3333cccc4444"},
        "of another application": {"azp": "33334444-cccc-5555-dddd-6666eeee7777"},
        "without a user": {"oid": None},
    },
)  # fmt: skip

DIRECTUS: Final = Issuer(
    title="Directus",
    access={
        "id": "a4b5c6d7-1234-4abc-9def-0123456789ab",
        "role": "e1f2a3b4-5678-4cde-8f01-23456789abcd",
        "app_access": False,
        "admin_access": False,
        "iss": "directus",
    },
    user="a4b5c6d7-1234-4abc-9def-0123456789ab",
    roles=("e1f2a3b4-5678-4cde-8f01-23456789abcd",),
    good={
        "of a session": {"session": "n4n01d"},
        "without a role": {"role": None},
        "of an administrator": {"app_access": True, "admin_access": True},
    },
    bad={
        "of a share": {"id": None, "share": "s1", "share_scope": {"item": "1", "collection": "c"}},
        "of an invitation": {"id": None, "email": "ada@example.com", "scope": "invite"},
        "for a forgotten password": {"id": None, "email": "a@b.c", "scope": "password-reset"},
        "of another issuer": {"iss": "elsewhere"},
        "without an issuer": {"iss": None},
        "for an audience": {"aud": "elsewhere"},
    },
    made={"with another secret": _hs256(id="a", iss="directus")},
)

ISSUERS: Final = (KEYCLOAK, AUTH0, COGNITO, SUPABASE, CLERK, FIREBASE, ENTRA, DIRECTUS)
