"""Rules about secrets that are used for two purposes, and about rights that all users have."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from portward.model.namespace import AccessRule
from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.keys import ApiKey
from portward.settings.schema import entries
from portward.settings.secret import Secret

EVERYBODY: Final = frozenset(
    {"*", "user", "users", "member", "guest", "anonymous", "public", "everyone", "everybody",
     "authenticated"}
)  # fmt: skip
"""Role names that tokens often have without a decision of the operator. `user` is the default."""


def _held(value: object) -> Iterator[bytes]:
    """Yield the SHA-256 of every secret in a value, because of an admin key only the digest may be known."""
    if isinstance(value, Secret):
        if value:
            yield sha256(value.encode()).digest()
    elif isinstance(value, ApiKey):
        try:
            yield value.digest
        except ValueError:
            return  # reported by admin-key-form
    elif isinstance(value, tuple):
        for each in value:
            yield from _held(each)


def _reused(context: Context) -> Iterator[CheckProblem]:
    places: dict[bytes, list[str]] = defaultdict(list)
    for entry in entries(context.settings):
        for digest in _held(entry.value):
            places[digest].append(entry.key)
    for keys in places.values():
        if len(keys) > 1:
            names = " and ".join(dict.fromkeys(keys))
            what = f"one secret stands more than once, in {names}: who has one use of it has all"
            yield CheckProblem(context.grave, what, f"{keys[-1]}: a secret of its own")


def _issuer(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    if not tokens.issuer:
        what = "tokens.issuer is empty, and keys are fetched: any token of that service comes in"
        yield CheckProblem(context.grave, what, 'tokens.issuer = "https://…"')


def _everybody(context: Context) -> Iterator[CheckProblem]:
    for role, permissions in context.settings.roles.items():
        if role.lower() in EVERYBODY and "*" in permissions:
            what = f"roles.{role} has the permission *, so that everybody may do everything"
            yield CheckProblem(context.grave, what, f'roles.{role} = ["dashboard.view"]')
        elif role == "*":
            what = "roles has an entry for *, which is no role; everybody is no role either"
            yield CheckProblem(context.grave, what, 'roles.user = ["dashboard.view"]')


def _creates(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.production:
        return
    for name, endpoint in context.served.items():
        if endpoint.dialect == "rooms" and endpoint.auto_create:
            what = f"endpoint {name}: joining an unknown room makes it, for whoever asks"
            yield CheckProblem(CheckLevel.WARN, what, f"endpoints.{name}.auto_create = false")


def _declared(context: Context) -> Iterator[CheckProblem]:
    """Report a gateway where no user can join any room, which passes every other rule."""
    settings = context.settings
    made = {room.namespace for room in settings.rooms.values()}
    for name, endpoint in context.served.items():
        namespace = settings.namespaces.get(endpoint.namespace)
        guarded = namespace is not None and namespace.authorize is AccessRule.ROLES
        if endpoint.dialect != "rooms" or not guarded or endpoint.auto_create:
            continue
        if endpoint.namespace not in made:
            what = f"endpoint {name}: joining makes no room, and none is declared"
            change = 'rooms.lobby.name = "Lobby"'
            if endpoint.namespace != "rooms":
                change = f'rooms.lobby.namespace = "{endpoint.namespace}"'
            yield CheckProblem(CheckLevel.WARN, what, f"{change}  # or: portward rooms set lobby")


def _emails(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.production:
        return
    for name, endpoint in context.served.items():
        if endpoint.dialect == "rooms" and endpoint.expose_email:
            what = f"endpoint {name}: users see the e-mail addresses of other users"
            yield CheckProblem(CheckLevel.WARN, what, f"endpoints.{name}.expose_email = false")


RIGHTS_RULES: Final = (
    CheckRule("secret-reused", "every secret has one purpose", _reused),
    CheckRule(
        "jwks-issuer", "fetched keys belong to a named issuer", _issuer, unused=unused.no_jwks
    ),
    CheckRule("role-everybody", "no role of everybody has every permission", _everybody),
    CheckRule(
        "auto-create",
        "rooms are made by those who may",
        _creates,
        unused=unused.any_of(unused.in_development, unused.no_rooms),
    ),
    CheckRule("rooms-declared", "there are rooms to join", _declared, unused=unused.no_rooms),
    CheckRule(
        "expose-email",
        "e-mail addresses of other users are hidden",
        _emails,
        unused=unused.any_of(unused.in_development, unused.no_rooms),
    ),
)
