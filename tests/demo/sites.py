"""A provider behind a site, asked in this process as a browser would ask."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.testclient import TestClient

from portward.demo.provider import StandInProvider, User
from portward.demo.site import Site
from portward.settings import Settings
from portward.testing.clock import FakeClock

PORT = 8082
ORIGIN = f"http://127.0.0.1:{PORT}"
GATEWAY = "ws://127.0.0.1:8080"


class Made:
    """A site, its parts, and a client that keeps cookies."""

    def __init__(self, client: TestClient, provider: StandInProvider, clock: FakeClock) -> None:
        self.client = client
        self.provider = provider
        self.clock = clock
        self.ada, self.bob = provider.users

    def login(self, user: User) -> None:
        """Log a user in."""
        body = {"email": user.email, "password": user.password}
        assert self.client.post("/auth/login", json=body).status_code == 200


@contextmanager
def site() -> Iterator[Made]:
    """A site that is asked for under its own name."""
    clock = FakeClock()
    provider = StandInProvider(Settings(), clock)
    app = Site(
        provider,
        PORT,
        gateway=GATEWAY,
        data={"chat": {"room": "</script>"}},
        calls=lambda: ("call-1", "call-2"),
    )
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield Made(client, provider, clock)
