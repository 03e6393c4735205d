"""What the pages and the terminal show of the demo: addresses, accounts, tokens and commands."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from portward.demo.engine import TEAMS
from portward.demo.provider import PRIVATE, PUBLIC, User
from portward.demo.simulations import WORKSPACE
from portward.settings import Settings

ROOM: Final = "lobby"
BOARDS: Final = (
    {"topic": f"event:{PUBLIC}", "title": "League match, for everybody"},
    {"topic": f"event:{PRIVATE}", "title": "Training match, behind closed doors"},
)
SUPERVISOR: Final = "sue (supervisor)"
AGENT: Final = f"andy (agent of team {TEAMS[0]})"
WENDY: Final = "wendy (agent)"
VICTOR: Final = "victor (viewer)"

Claims = dict[str, Any]
USERS: Final[Mapping[str, Mapping[str, Claims]]] = {
    "chat": {
        "alice": {"sub": "alice", "roles": ("user",)},
        "bob": {"sub": "bob", "roles": ("user",)},
    },
    "alerts": {
        SUPERVISOR: {"sub": "sue", "permissions": ("alerts:*",)},
        AGENT: {
            "sub": "andy",
            "claims": {
                "channels": [
                    {"channel": f"alerts:call-{TEAMS[0]}*", "allow": ["subscribe", "history"]}
                ]
            },
        },
    },
    "realtime": {"rita": {"sub": "rita"}},
    "workspaces": {
        WENDY: {"sub": "wendy", "roles": ("agent",), "workspace": WORKSPACE},
        VICTOR: {"sub": "victor", "roles": ("viewer",), "workspace": WORKSPACE},
    },
}
"""The claims of each user's token, by page and by name."""


class DemoInfo(Struct, frozen=True, kw_only=True):
    """The addresses: `address` of the gateway (`ws://host:port`), `admin` of the API, `page` of the pages."""

    settings: Settings
    address: str
    admin: str
    page: str
    users: Sequence[User]
    tokens: Mapping[str, Mapping[str, str]]

    def at(self, endpoint: str) -> str:
        """Return the address of an endpoint."""
        return self.address + self.settings.endpoints[endpoint].path

    def pages(self) -> dict[str, Any]:
        """Return the settings of each page."""
        tokens = self.tokens
        users = [
            {"email": user.email, "password": user.password, "may": _rights(user)}
            for user in self.users
        ]
        return {
            "chat": {"address": self.at("rooms"), "room": ROOM, "tokens": tokens["chat"]},
            "alerts": {"address": self.at("alerts"), "tokens": tokens["alerts"]},
            "live": {
                "address": self.at("live"),
                "boards": BOARDS,
                "revalidate": self.settings.identity_provider.revalidate,
                "users": users,
            },
            "workspaces": {
                "address": self.at("workspaces"),
                "workspace": WORKSPACE,
                "tokens": tokens["workspaces"],
            },
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the printed lines: headings, and texts to paste."""
        tokens = {name: token for page in self.tokens.values() for name, token in page.items()}
        for user in self.users:
            yield "log in", f"{user.email}  password {user.password}  ({_rights(user)})"
        for name, token in tokens.items():
            yield "token", f"{name}: {token}"
        for name, token in self.tokens["chat"].items():
            yield f"{name} talks", self._connect("rooms", token, ROOM)
        url = f"{self.at('alerts')}?token={tokens[SUPERVISOR]}"
        yield "sue listens", f'{sys.executable} -m websockets "{url}"'
        yield "", """and type {"type":"subscribe","callIds":["*"]}"""
        yield "rita talks", self._connect("realtime", tokens["rita"])
        yield "", 'and type {"type":"response.create"}'
        dashboard = f"workspace:{WORKSPACE}:dashboard"
        yield "wendy works", self._connect("workspaces", tokens[WENDY], dashboard)
        yield "", 'and type dashboard_action {"action":"reset"}'
        http = self.address.replace("ws", "http", 1)
        yield "socket.io", f"{http}, path {self.settings.endpoints['workspaces'].path}"
        command = f"publish live:event:{PUBLIC} '\"rain\"' --key weather --admin {self.admin}"
        yield "publish", f"{_program()} {command}"

    def _connect(self, endpoint: str, token: str, name: str = "") -> str:
        subscribe = f" --subscribe {name}" if name else ""
        return f"{_program()} connect {self.at(endpoint)}{subscribe} --token {token}"


def _rights(user: User) -> str:
    return "may watch everything" if user.everything else "may watch the public event alone"


def _program() -> str:
    """Return the command that starts this program from the current folder."""
    return "portward" if shutil.which("portward") else sys.argv[0]
