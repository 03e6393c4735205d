"""Information about the demo, for its pages and for the terminal."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from portward.cli.signing import TokenClaims, mint
from portward.demo.analysis import TEAMS
from portward.demo.people import PRIVATE, PUBLIC, User
from portward.demo.workspace import WORKSPACE
from portward.settings import Settings

ROOM: Final = "lobby"
DAY: Final = 86_400.0
BOARDS: Final = (
    {"topic": f"event:{PUBLIC}", "title": "League match, for everybody"},
    {"topic": f"event:{PRIVATE}", "title": "Training match, behind closed doors"},
)
SUPERVISOR: Final = "sue (supervisor)"
AGENT: Final = f"andy (agent of team {TEAMS[0]})"
WENDY: Final = "wendy (agent)"
VICTOR: Final = "victor (viewer)"
_BEARERS: Final = {
    "chat": {
        "alice": TokenClaims(sub="alice", roles=("user",)),
        "bob": TokenClaims(sub="bob", roles=("user",)),
    },
    "realtime": {"rita": TokenClaims(sub="rita")},
    "workspaces": {
        WENDY: TokenClaims(sub="wendy", roles=("agent",), workspace=WORKSPACE),
        VICTOR: TokenClaims(sub="victor", roles=("viewer",), workspace=WORKSPACE),
    },
    "alerts": {
        SUPERVISOR: TokenClaims(sub="sue", permissions=("alerts:*",)),
        AGENT: TokenClaims(
            sub="andy",
            claims={
                "channels": [
                    {"channel": f"alerts:call-{TEAMS[0]}*", "allow": ["subscribe", "history"]}
                ]
            },
        ),
    },
}


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

    def told(self) -> dict[str, Any]:
        """Return the data for the pages."""
        users = [
            {"email": user.email, "password": user.password, "may": may(user)}
            for user in self.users
        ]
        return {
            "chat": {"address": self.at("rooms"), "room": ROOM, "tokens": self.tokens["chat"]},
            "alerts": {"address": self.at("alerts"), "tokens": self.tokens["alerts"]},
            "live": {
                "address": self.at("live"),
                "boards": BOARDS,
                "revalidate": self.settings.identity_provider.revalidate,
                "users": users,
            },
            "workspaces": {
                "address": self.at("workspaces"),
                "workspace": WORKSPACE,
                "tokens": self.tokens["workspaces"],
            },
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the printed lines: headings, and texts to paste."""
        chat, alerts = self.tokens["chat"], self.tokens["alerts"]
        for user in self.users:
            yield "log in", f"{user.email}  password {user.password}  ({may(user)})"
        realtime, workspaces = self.tokens["realtime"], self.tokens["workspaces"]
        for who, token in (
            *chat.items(),
            *alerts.items(),
            *realtime.items(),
            *workspaces.items(),
        ):
            yield "token", f"{who}: {token}"
        for who, token in chat.items():
            command = f"connect {self.at('rooms')} --subscribe {ROOM} --token {token}"
            yield f"{who} talks", f"{program()} {command}"
        heard = f"{self.at('alerts')}?token={alerts[SUPERVISOR]}"
        yield "sue listens", f'{sys.executable} -m websockets "{heard}"'
        yield "", """and type {"type":"subscribe","callIds":["*"]}"""
        command = f"connect {self.at('realtime')} --token {realtime['rita']}"
        yield "rita talks", f"{program()} {command}"
        yield "", 'and type {"type":"response.create"}'
        yield from self._workspace(workspaces[WENDY])
        command = f"publish live:event:{PUBLIC} '\"rain\"' --key weather --admin {self.admin}"
        yield "publish", f"{program()} {command}"

    def _workspace(self, token: str) -> Iterator[tuple[str, str]]:
        room = f"workspace:{WORKSPACE}:dashboard"
        command = f"connect {self.at('workspaces')} --subscribe {room} --token {token}"
        yield "wendy works", f"{program()} {command}"
        yield "", 'and type dashboard_action {"action":"reset"}'
        yield "socket.io", f"{self._http}, path {self.settings.endpoints['workspaces'].path}"

    @property
    def _http(self) -> str:
        """Return the address that a socket.io client connects to."""
        return self.address.replace("ws", "http", 1)


def may(user: User) -> str:
    """Describe the rights of an account."""
    return "may watch everything" if user.everything else "may watch the public event alone"


def tokens(settings: Settings) -> dict[str, dict[str, str]]:
    """Make a token for every user, by page and by name."""
    return {
        page: {name: mint(settings, replace(bearer, ttl=DAY)) for name, bearer in bearers.items()}
        for page, bearers in _BEARERS.items()
    }


def program() -> str:
    """Return the command that starts this program from the current folder."""
    return "portward" if shutil.which("portward") else sys.argv[0]
