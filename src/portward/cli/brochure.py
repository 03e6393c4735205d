"""What the demo says of itself: to its pages, and on the terminal."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from portward.cli.minting import Bearer, mint
from portward.demo.analysis import TEAMS
from portward.demo.people import PRIVATE, PUBLIC, User
from portward.settings import Settings

ROOM: Final = "lobby"
DAY: Final = 86_400.0
BOARDS: Final = (
    {"topic": f"event:{PUBLIC}", "title": "League match, for everybody"},
    {"topic": f"event:{PRIVATE}", "title": "Training match, behind closed doors"},
)
SUPERVISOR: Final = "sue (supervisor)"
AGENT: Final = f"andy (agent of team {TEAMS[0]})"
_BEARERS: Final = {
    "chat": {
        "alice": Bearer(sub="alice", roles=("user",)),
        "bob": Bearer(sub="bob", roles=("user",)),
    },
    "realtime": {"rita": Bearer(sub="rita")},
    "alerts": {
        SUPERVISOR: Bearer(sub="sue", permissions=("alerts:*",)),
        AGENT: Bearer(
            sub="andy",
            claims={
                "channels": [
                    {"channel": f"alerts:call-{TEAMS[0]}*", "allow": ["subscribe", "history"]}
                ]
            },
        ),
    },
}


class Brochure(Struct, frozen=True, kw_only=True):
    """`address` is the gateway's (`ws://host:port`), `admin` the admin API's, `page` the pages'."""

    settings: Settings
    address: str
    admin: str
    page: str
    users: Sequence[User]
    tokens: Mapping[str, Mapping[str, str]]

    def at(self, endpoint: str) -> str:
        """The address of an endpoint."""
        return self.address + self.settings.endpoints[endpoint].path

    def told(self) -> dict[str, Any]:
        """What the pages are told."""
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
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """What is printed: headings, and texts to paste."""
        chat, alerts = self.tokens["chat"], self.tokens["alerts"]
        yield "page", f"{self.page}/  (open it in a browser: chat, alerts, live)"
        for user in self.users:
            yield "log in", f"{user.email}  password {user.password}  ({may(user)})"
        realtime = self.tokens["realtime"]
        for who, token in (*chat.items(), *alerts.items(), *realtime.items()):
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
        command = f"publish live:event:{PUBLIC} '\"rain\"' --key weather --admin {self.admin}"
        yield "publish", f"{program()} {command}"
        yield "leave", "Ctrl-C"


def may(user: User) -> str:
    """What an account is good for."""
    return "may watch everything" if user.everything else "may watch the public event alone"


def tokens(settings: Settings) -> dict[str, dict[str, str]]:
    """Make a token for everyone, by page and by name."""
    return {
        page: {name: mint(settings, replace(bearer, ttl=DAY)) for name, bearer in bearers.items()}
        for page, bearers in _BEARERS.items()
    }


def program() -> str:
    """How this program is called from where it was started."""
    return "portward" if shutil.which("portward") else sys.argv[0]
