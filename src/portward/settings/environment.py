"""Names in the environment: how keys are spelt there, and which other names are read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from portward.settings.schema import Path

PREFIX: Final = "PORTWARD_"
CONFIG: Final = "PORTWARD_CONFIG"
"""Names the file to read; no key of the tree."""
TOKEN: Final = "PORTWARD_TOKEN"  # noqa: S105 - the name of a variable
API_KEY: Final = "PORTWARD_API_KEY"
_NO_KEYS: Final = frozenset({CONFIG, TOKEN, API_KEY})
"""What else is ours: the last two are for commands that talk to a gateway."""


class Alias(NamedTuple):
    """A name that older servers read. With `whole`, its text is one entry of a list."""

    name: str
    path: Path
    whole: bool = False


ALIASES: Final = (
    Alias("JWT_SECRET", ("tokens", "secrets"), whole=True),
    Alias("ALLOWED_ORIGINS", ("gate", "allowed_origins")),
    Alias("PORT", ("server", "port")),
)

_SERVICE_LINK: Final = re.compile(
    r"PORTWARD(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://")


def variable(path: Iterable[str]) -> str:
    """Spell a key as the environment does: `PORTWARD_SECTION__KEY`."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


def parts(name: str) -> Path:
    """Take the name of a variable apart; the parts are in lower case."""
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def chosen(part: str, names: Iterable[str]) -> str:
    """Find the name an operator chose that `part` of a variable stands for; itself when none."""
    spelt = (name for name in names if name.lower().replace("-", "_") == part)
    return next(spelt, part)


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """List the variables that are meant for the gateway.

    Kubernetes describes every service to every container; a service called `portward` gives names
    that begin like ours (`PORTWARD_SERVICE_HOST`, `PORTWARD_PORT=tcp://…`) and are passed over.
    """
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in _NO_KEYS:
            continue
        link = _SERVICE_LINK.fullmatch(name) or (
            name.endswith("_PORT") and _LINK_VALUE.match(value)
        )
        if "__" in name or not link:
            yield name, value
