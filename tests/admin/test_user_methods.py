import pytest
from msgspec.structs import replace

from portward.admin.user_methods import RevokeRequest, TicketRequest, TicketResult
from portward.model.handshake_errors import HandshakeRejected
from portward.settings import Settings
from portward.testing.gateway import connect
from tests.admin.nodes import machines
from tests.admin.service import READER, Service, serving


async def test_disconnect_ends_every_connection_of_a_user(service: Service) -> None:
    """Disconnecting a user closes all of its connections and nobody else's."""
    ann, tab, bob = [await service.join(user) for user in ("ann", "ann", "bob")]
    assert await service.call("disconnect", user="ann") == {}
    assert (ann.closed, tab.closed) == ((3503, "force disconnect"),) * 2
    assert bob.open


async def test_disconnect_ends_one_connection(service: Service) -> None:
    """Named by its id, one connection is closed and the user's others stay."""
    ann, tab = [await service.join("ann") for _ in range(2)]
    first = (await service.call("connections", user="ann"))["connections"][0]["client"]
    await service.call("disconnect", user="ann", client=first)
    assert (ann.open, tab.open) == (False, True)


async def test_unsubscribe_takes_a_user_out(service: Service) -> None:
    """The user hears the channel no longer and is told so; the connection lives."""
    ann = await service.join("ann")
    assert await service.call("unsubscribe", user="ann", channel="rooms:general") == {}
    await ann.settle()
    assert ann.last("room_left")["roomId"] == "general"
    assert ann.open
    assert (await service.call("presence", channel="rooms:general"))["presence"] == {}


@pytest.mark.p0
async def test_revoking_a_user_ends_connections_and_tokens(service: Service) -> None:
    """Everything a user holds is taken back at once, and the answer counts the connections."""
    ann, _ = [await service.join("ann") for _ in range(2)]
    assert await service.call("revoke", user="ann") == {"ended": 2, "missing": []}
    assert ann.closed == (3503, "force disconnect")
    assert (await service.fail("ticket", token=service.gateway.token("ann")))[1] == 101


async def test_revoking_one_token_spares_the_others(service: Service) -> None:
    """A token taken back by itself or by its id is refused; another of the same user is not."""
    tokens = [service.gateway.token("ann", jti=f"j{number}") for number in range(3)]
    assert await service.call("revoke", token=tokens[0]) == {"ended": 0, "missing": []}
    await service.call("revoke", jti="j1")
    status, code, message = await service.fail("ticket", token=tokens[0])
    assert (status, code) == (400, 101)
    assert message.startswith("token has been revoked")
    assert (await service.fail("ticket", token=tokens[1]))[1] == 101
    assert "ticket" in await service.call("ticket", token=tokens[2])


async def test_revoking_a_session_ends_it(service: Service) -> None:
    """A session is taken back by its id."""
    client = await connect(service.gateway)
    client.send({"type": "auth", "data": {"token": service.gateway.token("ann", sid="s1")}})
    await client.settle()
    assert await service.call("revoke", session="s1") == {"ended": 1, "missing": []}
    assert not client.open


async def test_revocations_count_on_all_nodes() -> None:
    """One node carries it out; the number is that of the connections of all, those of a silent one aside."""
    async with machines() as two:
        for number in (0, 1, 1):
            await two.gateways[number].client("eve")
        await two.gateways[1].client("ann")
        await two.gateways[0].client("bob")
        bob = await two.gateways[1].client("bob")
        assert await two.call(0, "revoke", user="eve") == {"ended": 3, "missing": []}
        two.net.clock.advance(1.0)
        assert await two.call(1, "revoke", user="eve") == {"ended": 0, "missing": []}
        assert await two.call(0, "revoke", jti="of-nobody") == {"ended": 0, "missing": []}
        token = two.gateways[0].gateway.token("ann")
        assert await two.call(0, "revoke", token=token) == {"ended": 0, "missing": []}
        two.silence(1)
        assert await two.late(0, "revoke", user="bob") == {"ended": 1, "missing": [two.uids[1]]}
        assert not bob.open  # it hears the bus, and only its answer is lost


@pytest.mark.parametrize("body", [{}, {"user": ""}, {"user": "ann", "jti": "j1"}])
async def test_exactly_one_thing_is_revoked(service: Service, body: dict[str, str]) -> None:
    """A revocation that names nothing, or two things, is refused."""
    status, code, message = await service.fail("revoke", **body)
    assert (status, code) == (400, 107)
    assert "exactly one of jti, session, user and token" in message


async def test_a_ticket_is_for_a_valid_token(service: Service) -> None:
    """A token is exchanged for a ticket that says how long it works; a bad one is refused."""
    result = await service.call("ticket", token=service.gateway.token("ann"))
    assert (set(result), result["expires_in"]) == ({"ticket", "expires_in"}, 60)
    assert (await service.fail("ticket", token="nonsense"))[:2] == (400, 101)
    expired = service.gateway.token("ann", ttl=10)
    service.clock.advance(100)
    status, code, message = await service.fail("ticket", token=expired)
    assert (status, code, message) == (400, 101, "authentication failed: expired")


async def test_roles_and_permissions_are_read_back(service: Service) -> None:
    """What is set replaces what was there, and is read back sorted."""
    assert await service.call("roles_get", READER, user="ann") == {"roles": []}
    await service.call("roles_set", user="ann", roles=["user", "admin", "user"])
    await service.call("permissions_set", user="ann", permissions=["room.create"])
    assert await service.call("roles_get", READER, user="ann") == {"roles": ["admin", "user"]}
    assert await service.call("permissions_get", READER, user="ann") == {
        "permissions": ["room.create"]
    }
    await service.call("roles_set", user="ann", roles=[])
    assert await service.call("roles_get", user="ann") == {"roles": []}


async def test_membership_reaches_the_directory(service: Service) -> None:
    """Workspaces are replaced as a whole."""
    await service.call("membership_set", user="ann", workspaces=["w1", "w2"])
    facts = await service.gateway.operations.facts("ann")
    assert facts.workspaces == frozenset({"w1", "w2"})


@pytest.mark.p0
async def test_rights_act_on_open_connections(service: Service) -> None:
    """A room that asks for another role puts out who lacks it; the role set lets them back in."""
    ann = await service.join("ann")
    await service.call("rooms_set", id="general", permissions={"read": ["staff"], "write": []})
    await ann.settle()
    assert ann.last("room_left") == {"roomId": "general", "reason": "permission_denied"}
    await service.call("roles_set", user="ann", roles=["staff"])
    await ann.settle()
    ann.send({"type": "join", "data": {"roomId": "general"}})
    await ann.settle()
    assert len(ann.all("room_joined")) == 2


@pytest.mark.p0
async def test_a_ticket_opens_the_door_once() -> None:
    """What the API gives out is a credential: good for one handshake, and then no more."""
    settings = Settings()
    echo = replace(settings.endpoints["echo"], enabled=True)
    async with serving(replace(settings, endpoints={"echo": echo})) as service:
        result = await service.call("ticket", token=service.gateway.token("ann"))
        client = await connect(service.gateway, f"/echo?ticket={result['ticket']}")
        assert (await service.call("connections"))["connections"][0]["user"] == "ann"
        client.leave()
        with pytest.raises(HandshakeRejected):
            await connect(service.gateway, f"/echo?ticket={result['ticket']}")


def test_tokens_are_not_shown() -> None:
    """The repr of a request or a result that holds a token or a ticket does not contain it."""
    assert "secret" not in repr(RevokeRequest(token="secret"))
    assert "secret" not in repr(TicketRequest(token="secret"))
    assert "secret" not in repr(TicketResult(ticket="secret", expires_in=60))
