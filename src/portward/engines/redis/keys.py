"""Names of all keys and channels in the store. Text from outside is encoded in them.

Keys that one script uses have one hash tag, so that a cluster keeps them on one server. With `portward:`
as the prefix:

    portward:{<channel>}:meta           epoch, offset and replication id; log, times, latest, order, once
    portward:{<channel>}:members        connections in the channel; users, leases
    portward:{<channel>}:said           Pub/Sub channel of its publications
    portward:{streams}:epochs           how many streams were made; in a cluster one key for each slot
    portward:leases                     all leases of presence, by when they expire
    portward:bus                        Pub/Sub channel between nodes
    portward:{<channel>}:ended          `life` of the room record that ended last, for a limited time
    portward:room:<room>                a record; portward:rooms lists them
    portward:about:{portward:room:<room>}   origin of the record, and when it ends
    portward:{rooms}:due                when to check whether a record ends; makers, counts
    portward:user_workspaces:<user>     a set; with "" in it the workspaces are known
    portward:ws_session:<session>, portward:ticket:<digest>
    portward:returns:<user>             channels of a user when a connection was lost, for a short time
    portward:{revoked}:<kind>:<value>   and the lists at, until
    portward:{approvals}:<id>           and waiting:<channel>
    portward:{shared:<owner>}:values    and turns
    portward:{nodes}:info               and until
    portward:rate:<key>, portward:sum:<key>
    portward:ws_security_events         audit events, the newest first, for other readers of the store
    portward:audit:<file>:<node>        the last position of an audit file

Keys shared with other applications have a prefix of their own, empty by default, and the names that those
applications use: `user_roles:<user>`, `user_permissions:<user>`, `revoked_token:<token>`.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from portward.engines.port import Key
from portward.model.channel import Channel

_SAFE: Final = ":@/+,;=!$&'()|~"
_PREFIX: Final = re.compile(r"[A-Za-z0-9:._-]*\Z")


class StreamKeys(NamedTuple):
    """Keys of one channel's stream."""

    meta: str
    log: str
    times: str
    latest: str
    order: str


class PresenceKeys(NamedTuple):
    """Keys of one channel's presence."""

    members: str
    users: str
    leases: str


class RoomsKeys(NamedTuple):
    """Keys of the records that may end, and of how many rooms each user's joins have made."""

    due: str
    makers: str
    counts: str


def encoded(text: str) -> str:
    """Encode a text as part of a key: printable ASCII without braces, wildcards, spaces and percent signs."""
    return quote(text, safe=_SAFE, errors="surrogatepass")


class Keys:
    """Makes the names. `db` separates Pub/Sub channels of several databases, which servers do not."""

    def __init__(self, prefix: str, shared: str, db: int = 0) -> None:
        """Check the prefixes.

        Raises:
            ValueError: one is not made of letters, digits and `:._-`.
        """
        for name, value in (("prefix", prefix), ("shared_prefix", shared)):
            if not _PREFIX.match(value):
                raise ValueError(f"redis {name}: only letters, digits and any of :._- are allowed")
        self._prefix = prefix
        self._shared = shared
        self._pubsub_prefix = f"{prefix}db{db}:" if db else prefix
        self.bus = f"{self._pubsub_prefix}bus"
        self.leases = f"{prefix}leases"
        self.rooms = f"{prefix}rooms"
        self.rooms_due = RoomsKeys(*(f"{prefix}{{rooms}}:{name}" for name in RoomsKeys._fields))
        self.streams = f"{prefix}{{*}}:meta"
        """A pattern for the streams of all channels."""

    # -- channels

    def stream(self, channel: Channel) -> StreamKeys:
        """The keys of a stream."""
        base = f"{self._prefix}{{{encoded(channel)}}}:"
        return StreamKeys(*(base + name for name in StreamKeys._fields))

    def idempotency(self, channel: Channel, key: str) -> str:
        """Key of the result of a publish with an idempotency key."""
        return f"{self._prefix}{{{encoded(channel)}}}:once:{encoded(key)}"

    def pubsub_channel(self, channel: Channel) -> str:
        """Pub/Sub channel of a channel's publications."""
        return f"{self._pubsub_prefix}{{{encoded(channel)}}}:said"

    def probe(self, name: str, uid: str) -> str:
        """A private Pub/Sub channel on the server that has `name`."""
        _, brace, rest = name.partition("{")
        tag = rest.partition("}")[0] if brace else name
        return f"{self._pubsub_prefix}{{{tag}}}:canary:{uid}"

    def presence(self, channel: Channel) -> PresenceKeys:
        """The keys of a channel's presence."""
        base = f"{self._prefix}{{{encoded(channel)}}}:"
        return PresenceKeys(*(base + name for name in PresenceKeys._fields))

    def channel(self, meta: str) -> Channel | None:
        """The channel whose stream has this key; None when the key is no stream's."""
        try:
            channel = Channel.parse(unquote(meta.partition("{")[2].partition("}")[0]))
        except ValueError:
            return None
        return channel if self.stream(channel).meta == meta else None

    def ended(self, channel: Channel) -> str:
        """Key of the `life` of the ended room; on the server of the stream, so that one script sees both."""
        return f"{self._prefix}{{{encoded(channel)}}}:ended"

    def epochs(self, tag: str) -> str:
        """Key of the count of streams, of all channels or of those in the slot of a tag."""
        return f"{self._prefix}{{{tag}}}:epochs"

    # -- entries of the key-value port

    def entry(self, key: Key) -> str:
        """The name of an entry; other applications know the external ones by it."""
        if key.external:
            return f"{self._shared}{key.name}"
        group = f"{{{encoded(key.group)}}}" if key.group else ""
        return f"{self._prefix}{group}{encoded(key.name)}"

    # -- rooms, rates and counters

    def room(self, channel: Channel) -> str:
        """The record of a room: by its id in the namespace `rooms`, else with the namespace before it."""
        place = "" if channel.namespace == "rooms" else f"{encoded(channel.namespace)}:"
        return f"{self._prefix}room:{place}{quote(channel.name, safe='')}"

    def about(self, channel: Channel) -> str:
        """Key of the data about a record; the tag puts it on the same server as the record."""
        return f"{self._prefix}about:{{{self.room(channel)}}}"

    def room_channel(self, key: str) -> Channel | None:
        """The channel whose room has this key; None when the key is no room's."""
        namespace, colon, name = key.removeprefix(f"{self._prefix}room:").rpartition(":")
        try:
            channel = Channel.parse(f"{unquote(namespace) if colon else 'rooms'}:{unquote(name)}")
        except ValueError:
            return None
        return channel if self.room(channel) == key else None

    def rate(self, key: str) -> str:
        """The state of a rate limit: when its debt is paid."""
        return f"{self._prefix}rate:{encoded(key)}"

    def sum(self, key: str) -> str:
        """A counter."""
        return f"{self._prefix}sum:{encoded(key)}"
