"""A gateway as a process: listeners, signals, the drain, and the exit code."""

import asyncio
import gc
import ssl
from collections.abc import Callable
from typing import Final

from portward.admin.app import AdminApp
from portward.admin.host_check import HostCheck
from portward.admin.server import AdminServer
from portward.admin.status import NodeStatus
from portward.app.gateway import Gateway
from portward.app.judging import raise_descriptor_limit, refuse_unsafe
from portward.app.service_manager import READY, STOPPING, notified, notify
from portward.app.signals import Signals
from portward.app.workers.control_protocol import WorkerOrder
from portward.app.workers.handover import Handover
from portward.app.workers.status import WorkersStatus
from portward.app.workers.worker import WorkerPlace
from portward.model.limits import head_limits
from portward.security.client_address import AddressRules
from portward.settings import Changes, Settings, SettingsError, changes
from portward.telemetry.events import Event
from portward.transports.listener import DescriptorBudget, Listener
from portward.transports.listener_state import ListenerState
from portward.transports.unix_socket import PREFIX

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
GC_THRESHOLD: Final = 10_000
"""New objects between two collections: a gateway makes few cycles but very many short-lived objects."""
Announce = Callable[[str], None]


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Load the certificate of the public listener; None for plain text.

    Raises:
        SettingsError: the files cannot be used.
    """
    files = settings.server.tls
    if not files.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.cert, files.key or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"server.tls: {error.strerror or error}") from None
    return context


def proxies(settings: Settings) -> Callable[[str], bool] | None:
    """Return a function that accepts peers for PROXY headers; None when no PROXY header is expected."""
    server = settings.server
    if server.proxy_protocol == "off":
        return None
    return AddressRules(server.trusted_proxies).trusts_peer


class Server:
    """The public and the admin listener of one gateway. A worker (with a `place`) shares the port."""

    def __init__(self, gateway: Gateway, place: WorkerPlace | None = None) -> None:
        """`gateway` must be running."""
        settings, node = gateway.settings, gateway.node
        server, gate = settings.server, settings.gate
        self.gateway = gateway
        self.listener_state = ListenerState(
            gateway.front,
            node.clock,
            tls=tls_context(settings),
            head_limits=head_limits(settings.tokens.max_size, gate.head_timeout),
            # A polling client has a second connection for the messages that it sends.
            max_sockets=gate.max_connections * (2 if gateway.front.polls else 1),
        )
        self.public = Listener(
            self.listener_state,
            server.host,
            server.port,
            reuse_port=place is not None,
            descriptors=DescriptorBudget(reserve=gate.descriptor_reserve),
            proxies=proxies(settings),
        )
        self._status: WorkersStatus | None = None
        if place is not None:
            self._status = WorkersStatus(NodeStatus(node), place, server.workers)
        self.admin: AdminServer | None = None
        if settings.admin.enabled and (place is None or place.admin):
            self._admin_app = AdminApp(
                node,
                settings.admin.api_keys,
                self._status,
                open_metrics=server.admin_host in LOOPBACK,
            )
            self.admin = AdminServer(
                HostCheck(self._admin_app, server.admin_host, settings.admin.allowed_hosts),
                server.admin_host,
                server.admin_port,
                sockets=place.admin if place is not None else (),
            )
        self._handover: Handover | None = None
        if place is not None and self.listener_state.tls is None:
            self._handover = Handover(place, gateway.engine_io, self.listener_state, server.workers)

    async def start(self) -> None:
        """Bind and start both listeners.

        Raises:
            OSError: an address cannot be bound.
        """
        if self._handover is not None:
            self._handover.start()
        if self._status is not None:
            await self._status.start()
        await self.public.start()
        if self.admin is not None:
            try:
                await self.admin.start()
            except OSError:
                self.public.close()
                raise

    def adopt(self, settings: Settings) -> None:
        """Use the API keys of reloaded settings."""
        if self.admin is not None:
            self._admin_app.adopt(settings.admin.api_keys)

    async def stop(self) -> None:
        """Close both listeners."""
        if self._handover is not None:
            self._handover.close()
        if self._status is not None:
            self._status.close()
        self.public.close()
        if self.admin is not None:
            await self.admin.stop()

    def lines(self) -> list[str]:
        """Return one line for every served endpoint, and one for the admin API."""
        admin = self.admin.address if self.admin is not None else None
        return lines(self.gateway.settings, self.public.addresses[0], admin)


def lines(settings: Settings, public: tuple[str, int], admin: tuple[str, int] | None) -> list[str]:
    """Return one line for every endpoint at an address, and one for the admin API if there is one."""
    scheme = "wss" if settings.server.tls.cert else "ws"
    # The form that clients for Unix sockets use: ws+unix:/path/of/the/socket:/path/of/the/endpoint
    start = (
        f"{scheme}+{public[0]}:" if public[0].startswith(PREFIX) else f"{scheme}://{_place(public)}"
    )
    found = [
        f"{name:<12} {start}{endpoint.path}"
        for name, endpoint in settings.endpoints.items()
        if endpoint.enabled
    ]
    return [*found, f"{'admin':<12} http://{_place(admin)}/"] if admin else found


def _place(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(
    settings: Settings,
    *,
    announce: Announce,
    reload: Callable[[], Settings] | None = None,
    started: Callable[[Gateway, Server], None] | None = None,
    place: WorkerPlace | None = None,
) -> int:
    """Serve until a signal stops it; returns the exit code.

    `announce` is called with one line per endpoint and then with `ready`. `reload` reads the settings again,
    for SIGHUP. `started` is called when both listeners are open. With a `place`, this is one of several
    workers.

    Raises:
        SettingsError: these settings must not be served.
        OSError: an address cannot be bound.
    """
    refuse_unsafe(settings)
    raise_descriptor_limit()
    with Signals(alone=place is None) as signals:
        gateway = Gateway(settings)
        try:
            if await signals.unless_asked(gateway.start()):
                server = Server(gateway, place)
                again = _reloader(gateway, server, reload, announce)
                await _serve(server, signals, again, announce, started, place)
        finally:
            await gateway.stop()
    return 0


async def _serve(
    server: Server,
    signals: Signals,
    again: Callable[[], None] | None,
    announce: Announce,
    started: Callable[[Gateway, Server], None] | None,
    place: WorkerPlace | None,
) -> None:
    """Listen until a signal stops it, then drain."""
    gateway = server.gateway
    await server.start()
    try:
        _spare_collector()
        if place is not None:
            _obey(place, signals, again, gateway.node.settings.server.drain_timeout)
        for line in server.lines() if place is None else ():
            announce(line)
        announce("ready")
        if started is not None:
            started(gateway, server)
        if again is not None:
            signals.on_reload(again if place is not None else notified(again))
        if place is None:
            notify(READY)
        await signals.asked.wait()
        if place is None:
            notify(STOPPING)
        await _leave(gateway, server, signals)
    finally:
        await server.stop()


def _spare_collector() -> None:
    """Exclude the objects of the start from garbage collection: they live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _obey(
    place: WorkerPlace, signals: Signals, again: Callable[[], None] | None, drain: float
) -> None:
    deeds: dict[WorkerOrder, Callable[[], None]] = {
        WorkerOrder.LEAVE: signals.asked.set,
        WorkerOrder.END: signals.end,
    }
    if again is not None:
        deeds[WorkerOrder.RELOAD] = again
    place.obey(deeds, asyncio.get_running_loop().call_soon_threadsafe, drain)


async def _leave(gateway: Gateway, server: Server, signals: Signals) -> None:
    """Drain; a second signal ends the drain."""
    drain = asyncio.ensure_future(gateway.drain())
    insisted = asyncio.ensure_future(signals.insisted.wait())
    await asyncio.wait({drain, insisted}, return_when=asyncio.FIRST_COMPLETED)
    server.public.stop_accepting()
    for task in (drain, insisted):
        task.cancel()
    await asyncio.gather(drain, insisted, return_exceptions=True)


def _reloader(
    gateway: Gateway,
    server: Server,
    reload: Callable[[], Settings] | None,
    announce: Announce,
) -> Callable[[], None] | None:
    if reload is None:
        return None

    def again() -> None:
        telemetry = gateway.telemetry
        try:
            fresh = reload()
            refuse_unsafe(fresh)
            changed = changes(gateway.settings, fresh)
            gateway.reload(fresh)
            server.adopt(gateway.settings)
        except (SettingsError, ValueError) as error:
            telemetry.record(Event.SETTINGS_REJECT, detail=str(error))
            announce(f"reload refused: {error}")
            return
        telemetry.record(Event.SETTINGS_RELOAD, changed=changed.reloadable)
        announce(describe_changes(changed))

    return again


def describe_changes(changed: Changes) -> str:
    """Describe a reload in one line."""
    text = f"reloaded: {', '.join(changed.reloadable) or 'nothing changed'}"
    return f"{text}; needs a restart: {', '.join(changed.restart)}" if changed.restart else text


__all__ = ["Server", "describe_changes", "lines", "serve"]
