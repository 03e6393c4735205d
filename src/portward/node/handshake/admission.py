"""Admission: the checks of a handshake on the public listener, cheapest first (see docs/gate.md)."""

import asyncio
import re
from typing import Final
from uuid import uuid4

from portward.model.errors import Unavailable
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.identity import Identity
from portward.model.limits import LimitMode, LimitName
from portward.model.path_router import PathParameters
from portward.model.request import RequestHead
from portward.node.handshake.handshake_auth import HandshakeAuthenticator
from portward.node.handshake.handshake_limits import HandshakeLimits
from portward.node.rights import IdentityBinding
from portward.node.sessions import (
    ActiveEndpoint,
    HandshakeFacts,
    NodeContext,
    PendingConnections,
)
from portward.security.address import limit_keys, mask
from portward.security.client_address import AddressRules, ClientAddress
from portward.security.handshake import check_upgrade
from portward.security.hosts import HostPolicy
from portward.security.rate import ConcurrencyTable
from portward.security.redaction import clean
from portward.security.subprotocols import PROTOCOL_HEADER, select
from portward.settings.endpoint import CredentialSource
from portward.telemetry.events import Event

LIMIT_FACTORS = (1, 16)
"""Factors of the connection cap: for the key of an address (IPv6: its /64), and for its /48."""

_CLAIM: Final = 80
"""Maximum length, in characters, of the claimed scheme (from a proxy or client) in a log line."""
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}\Z")
OVER_CAP_FACTOR: Final = 2
"""Factor of the cap of an address where the protocol authenticates by itself: it refuses later."""


class AdmissionControl:
    """Checks handshakes and counts open connections for `node.sessions.HandshakeGate`."""

    def __init__(
        self,
        context: NodeContext,
        binding: IdentityBinding,
        authenticator: HandshakeAuthenticator,
        pending: PendingConnections,
    ) -> None:
        settings = context.settings.now
        server, self._gate = settings.server, settings.gate
        self._hosts = HostPolicy(server.allowed_hosts)
        self._addresses = AddressRules(server.trusted_proxies, server.forwarded_header)
        self._require_https = settings.production and server.behind_tls_proxy
        self.draining = False
        self.inside = 0
        self.emptied = asyncio.Event()
        """Set when the last connection of a draining node has left."""
        self.pending = pending
        self.authenticator = authenticator
        self._telemetry = context.telemetry
        self._binding = binding
        self._by_address = ConcurrencyTable()
        self._counts = HandshakeLimits(
            self._gate.accept_rate, context.cluster_limits, context.clock
        )

    def start_drain(self) -> None:
        """Reject all handshakes from now on."""
        self.draining = True
        if not self.inside:
            self.emptied.set()

    def has_capacity(self) -> HandshakeRejection | None:
        """Run check 1 of docs/gate.md, the global cap; None when one more connection fits."""
        return HandshakeRejection.GLOBAL_CAP if self.inside >= self._gate.max_connections else None

    async def check(
        self,
        head: RequestHead,
        endpoint: ActiveEndpoint | None,
        parameters: PathParameters,
        *,
        upgrade_checked: bool,
    ) -> HandshakeFacts:
        """Run checks 3 to 11 of docs/gate.md; `endpoint` is that of the path, `parameters` those in it.

        `left` releases what this counts; a rejection releases it at once.

        Raises:
            HandshakeRejected: with a row of `HandshakeRejection`.
        """
        address = self._address(head)
        endpoint = self._usable(endpoint)
        subprotocol = self.check_page(head, endpoint, upgrade_checked=upgrade_checked)
        keys = limit_keys(address)
        credential = self.authenticator.find(head, endpoint)
        self._counts.check_attempts(endpoint, keys)
        over_cap = self._enter(endpoint, keys, shown=credential is not None)
        handshake = HandshakeFacts(
            endpoint,
            address,
            keys,
            uuid4().hex,
            self._url(head),
            origin="".join(head.headers.get("origin", ())[:1]),
            over_cap=over_cap,
            subprotocol=subprotocol,
            path_parameters=parameters,
        )
        used_once = credential is not None and credential.kind is CredentialSource.TICKET
        try:
            if used_once:  # authentication uses the ticket up: check the accept rate before
                self._counts.check_accepts(handshake)
            handshake = await self.authenticator.authenticate(head, handshake, credential)
            identity, rules = handshake.identity, endpoint.rules
            if identity is not None and rules.authenticated and rules.roles:
                await self._check_entitlement(handshake, identity)
            self._check_capacity(endpoint, identity)
            await self._counts.count(handshake, refuse=not used_once)
        except BaseException as error:
            self.left(handshake)
            if isinstance(error, HandshakeRejected):
                self._counts.refused(handshake, error.refusal, shown=credential is not None)
            raise
        return handshake

    def check_page(
        self, head: RequestHead, endpoint: ActiveEndpoint, *, upgrade_checked: bool
    ) -> str | None:
        """Check the upgrade headers, the host and the origin; return the subprotocol to answer.

        Raises:
            HandshakeRejected: with a row of `HandshakeRejection`.
        """
        if not upgrade_checked:
            check_upgrade(head)
        self._check_site(head, endpoint)
        if PROTOCOL_HEADER not in head.headers:
            return None
        rules = endpoint.rules
        return select(head, rules.subprotocols, first=rules.steady_ping)

    def check_request(self, head: RequestHead, endpoint: ActiveEndpoint) -> str:
        """Check scheme, host and origin of a further request of a session; return the client's address.

        Raises:
            HandshakeRejected: INSECURE, BAD_REQUEST, HOST or ORIGIN.
        """
        found = self._addresses.derive(head.peer, head.headers, via=head.via, scheme=head.scheme)
        if self._require_https:
            _check_secure(head, found)
        self._check_site(head, endpoint)
        return found.address

    def address(self, head: RequestHead) -> str:
        """Return the derived address of the client, masked for logs."""
        return mask(self.client_address(head))

    def client_address(self, head: RequestHead) -> str:
        """Return the derived address of the client."""
        return self._addresses.derive(
            head.peer, head.headers, via=head.via, scheme=head.scheme
        ).address

    def _address(self, head: RequestHead) -> str:
        found = self._addresses.derive(head.peer, head.headers, via=head.via, scheme=head.scheme)
        if found.ignored:
            self._telemetry.record(Event.PROXYHDR_IGNORED, address=found.peer)
        if self._require_https:
            _check_secure(head, found)
        return found.address

    def _url(self, head: RequestHead) -> str:
        """Return the WebSocket URL that the client used; empty when its `Host` header is not valid."""
        host = "".join(head.headers.get("host", ())[:1])
        if not _HOST.match(host):
            return ""
        secure = head.secure or self._require_https
        return f"{'wss' if secure else 'ws'}://{host}{head.path}"

    def _usable(self, endpoint: ActiveEndpoint | None) -> ActiveEndpoint:
        if endpoint is None:
            raise HandshakeRejected(HandshakeRejection.UNKNOWN_PATH)
        if not endpoint.rules.enabled:
            raise HandshakeRejected(HandshakeRejection.DISABLED)
        if self.draining:
            raise HandshakeRejected(HandshakeRejection.DRAINING)
        return endpoint

    def _check_site(self, head: RequestHead, endpoint: ActiveEndpoint) -> None:
        """Check the host that was asked, and the page that asks."""
        self._hosts.check(head.headers.get("host", ()))
        endpoint.origins.check(
            head.headers.get("origin", ()),
            ambient=endpoint.by_cookie,
            allow_missing=endpoint.rules.allow_missing_origin,
        )

    def _enter(self, endpoint: ActiveEndpoint, keys: tuple[str, ...], *, shown: bool) -> bool:
        """Count the handshake, unless its address or the whole node has too many connections already.

        Return True when the address is over its cap and the protocol of the endpoint reports that itself.
        """
        if self.inside >= self._gate.max_connections:
            raise HandshakeRejected(HandshakeRejection.GLOBAL_CAP, "while it was judged")
        limit = endpoint.rules.connections_per_address
        held: list[str] = []
        over_cap = False
        for factor, key in zip(LIMIT_FACTORS, keys, strict=False):
            if not self._by_address.acquire(f"{endpoint.name} {key}", limit * factor):
                self._telemetry.metrics.limit_refusals_total.add(
                    (LimitName.CONNECTIONS, endpoint.rules.connections_mode)
                )
                enforced = endpoint.rules.connections_mode is LimitMode.ENFORCE
                over_cap = over_cap or enforced
                if enforced and not self._count_over_cap(
                    endpoint, f"{endpoint.name} {key}", factor
                ):
                    for each in held:
                        self._by_address.release(each)
                    if not shown:
                        self._counts.charge(endpoint, keys)
                    raise HandshakeRejected(HandshakeRejection.ADDRESS_CAP)
                if not enforced:  # count it all the same, since `left` releases it
                    self._by_address.acquire(f"{endpoint.name} {key}", 0)
            held.append(f"{endpoint.name} {key}")
        self.inside += 1
        endpoint.open += 1
        return over_cap

    def _count_over_cap(self, endpoint: ActiveEndpoint, key: str, factor: int) -> bool:
        """Count a connection above the cap, up to `OVER_CAP_FACTOR` times it, for the protocol to refuse."""
        limit = endpoint.rules.connections_per_address * factor * OVER_CAP_FACTOR
        return endpoint.protocol.own_authentication and self._by_address.acquire(key, limit)

    def left(self, handshake: HandshakeFacts) -> None:
        """Release what `check` counted. Called exactly once for each counted handshake."""
        for key in handshake.keys:
            self._by_address.release(f"{handshake.endpoint.name} {key}")
        self.inside -= 1
        handshake.endpoint.open -= 1
        if self.draining and not self.inside:
            self.emptied.set()

    async def _check_entitlement(self, handshake: HandshakeFacts, identity: Identity) -> None:
        """Check the roles of a user; without roles of the endpoint, the directory is not asked."""
        self._counts.check_user(handshake)
        try:
            entitled = await self._binding.entitled(handshake.endpoint, identity)
        except Unavailable as unavailable:
            raise HandshakeRejected(
                HandshakeRejection.UNAVAILABLE, type(unavailable).__name__
            ) from None
        if not entitled:
            raise HandshakeRejected(
                HandshakeRejection.FORBIDDEN, "none of the roles the endpoint wants"
            )

    def _check_capacity(self, endpoint: ActiveEndpoint, identity: Identity | None) -> None:
        if 0 < endpoint.rules.max_connections < endpoint.open:
            raise HandshakeRejected(HandshakeRejection.ENDPOINT_CAP)
        if identity is not None and self._binding.has_too_many(endpoint, identity):
            raise HandshakeRejected(HandshakeRejection.USER_CAP)


def _check_secure(head: RequestHead, found: ClientAddress) -> None:
    if not head.secure and found.scheme != "https":
        raise HandshakeRejected(
            HandshakeRejection.INSECURE, f"not https: {clean(found.claim, _CLAIM)}"
        )
