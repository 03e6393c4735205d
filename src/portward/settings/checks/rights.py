"""Rules about secrets that are used for two purposes, and about rights that all users have."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from portward.model.namespace import AccessRule
from portward.settings.checks.rule import WARN, Context, Problems, RuleTable
from portward.settings.checks.unused import JWKS, PRODUCTION, ROOMS
from portward.settings.endpoint import EndpointSettings
from portward.settings.keys import ApiKey
from portward.settings.schema import entries
from portward.settings.secret import Secret

EVERYBODY: Final = frozenset(
    {"*", "user", "users", "member", "guest", "anonymous", "public", "everyone", "everybody",
     "authenticated"}
)  # fmt: skip
"""Role names that tokens often have without a decision of the operator. `user` is the default."""
RULES: Final = RuleTable()


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


@RULES.rule("secret-reused", "every secret has one purpose")
def _reused(context: Context) -> Problems:
    places: dict[bytes, list[str]] = defaultdict(list)
    for entry in entries(context.settings):
        for digest in _held(entry.value):
            places[digest].append(entry.key)
    for keys in places.values():
        if len(keys) > 1:
            names = " and ".join(dict.fromkeys(keys))
            what = f"one secret stands more than once, in {names}: who has one use of it has all"
            yield context.grave, what, f"{keys[-1]}: a secret of its own"


@RULES.rule("jwks-issuer", "fetched keys belong to a named issuer", JWKS)
def _issuer(context: Context) -> Problems:
    if not context.settings.tokens.issuer:
        what = "tokens.issuer is empty, and keys are fetched: any token of that service comes in"
        yield context.grave, what, 'tokens.issuer = "https://…"'


@RULES.rule("role-everybody", "no role of everybody has every permission")
def _everybody(context: Context) -> Problems:
    for role, permissions in context.settings.roles.items():
        if role.lower() in EVERYBODY and "*" in permissions:
            what = f"roles.{role} has the permission *, so that everybody may do everything"
            yield context.grave, what, f'roles.{role} = ["dashboard.view"]'
        elif role == "*":
            what = "roles has an entry for *, which is no role; everybody is no role either"
            yield context.grave, what, 'roles.user = ["dashboard.view"]'


@RULES.endpoints("auto-create", "rooms are made by those who may", PRODUCTION, ROOMS)
def _creates(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.dialect == "rooms" and endpoint.auto_create:
        what = f"endpoint {name}: joining an unknown room makes it, for whoever asks"
        yield WARN, what, f"endpoints.{name}.auto_create = false"


@RULES.endpoints("rooms-declared", "there are rooms to join", ROOMS)
def _declared(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    """Report a gateway where no user can join any room, which passes every other rule."""
    settings = context.settings
    namespace = settings.namespaces.get(endpoint.namespace)
    guarded = namespace is not None and namespace.authorize is AccessRule.ROLES
    made = {room.namespace for room in settings.rooms.values()}
    if endpoint.dialect != "rooms" or not guarded or endpoint.auto_create:
        return
    if endpoint.namespace not in made:
        what = f"endpoint {name}: joining makes no room, and none is declared"
        change = 'rooms.lobby.name = "Lobby"'
        if endpoint.namespace != "rooms":
            change = f'rooms.lobby.namespace = "{endpoint.namespace}"'
        yield WARN, what, f"{change}  # or: portward rooms set lobby"


@RULES.endpoints("expose-email", "e-mail addresses of other users are hidden", PRODUCTION, ROOMS)
def _emails(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.dialect == "rooms" and endpoint.expose_email:
        what = f"endpoint {name}: users see the e-mail addresses of other users"
        yield WARN, what, f"endpoints.{name}.expose_email = false"
