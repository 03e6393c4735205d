import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import HEAD_COUNT, HEAD_LINE, HEAD_TOTAL
from portward.model.request import PeerAddress, RequestHead, by_name
from portward.wire.http_request import HttpRequestReader

LINE = b"GET /ws HTTP/1.1\r\n"
HEAD = LINE + b"Host: gate.example\r\nUpgrade: websocket\r\n\r\n"


def reader() -> HttpRequestReader:
    """A reader for a client at a documentation address."""
    return HttpRequestReader(PeerAddress(address="192.0.2.7"), secure=False)


def read(data: bytes) -> tuple[RequestHead, bytes]:
    """Read a head that is whole."""
    found = reader().feed(data)
    assert found is not None
    return found


def refusal_of(data: bytes, size: int = 0) -> HandshakeRejection | None:
    """The refusal of a head, fed in pieces of `size` bytes or at once; None when there is none."""
    feeding = reader()
    size = size or max(len(data), 1)
    try:
        for start in range(0, len(data), size):
            feeding.feed(data[start : start + size])
    except HandshakeRejected as refused:
        return refused.refusal
    return None


def test_a_head_is_read_with_what_follows_it() -> None:
    """Method, target, headers and version are told; later bytes are left alone."""
    head, rest = read(
        b"GET /ws?a=1&b=2 HTTP/1.1\r\nHost:  gate \r\nX-A: 1\r\nx-a: 2\r\n\r\n\x81\x00"
    )

    assert (head.method, head.path, head.query) == ("GET", "/ws", "a=1&b=2")
    assert head.headers == {"host": ["gate"], "x-a": ["1", "2"]}
    assert (head.http_version, head.peer, head.secure) == ("1.1", "192.0.2.7", False)
    assert rest == b"\x81\x00"


def test_the_connection_is_described_as_the_reader_was_told() -> None:
    """Whether TLS was there comes from the transport, never from the request."""
    found = HttpRequestReader(PeerAddress(address="2001:db8::1"), secure=True).feed(HEAD)

    assert found is not None
    assert (found[0].peer, found[0].secure) == ("2001:db8::1", True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_a_head_may_come_in_pieces(size: int) -> None:
    """The result does not depend on how the bytes arrive."""
    feeding, data = reader(), HEAD + b"tail"
    for start in range(0, len(data), size):
        found = feeding.feed(data[start : start + size])
        if found is not None:
            break

    assert found is not None
    assert found[0] == read(HEAD)[0]
    assert (b"tail").startswith(found[1])


def test_an_escape_in_the_path_stays_as_it_is() -> None:
    """Nothing is decoded and nothing is normalised, so nothing turns into another path."""
    assert read(b"GET /a/../b%2Fc//d HTTP/1.1\r\n\r\n")[0].path == "/a/../b%2Fc//d"


def test_header_bytes_beyond_ascii_are_read_as_latin_1() -> None:
    """A hostile header value is a value."""
    head, _ = read(LINE + b"X-Name: caf\xe9 \xff\r\n\r\n")

    assert head.headers == {"x-name": ["caf\xe9 \xff"]}


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_the_version_is_told(version: bytes) -> None:
    """HTTP/1.0 is read: a health check may speak it."""
    assert read(b"GET /health " + version + b"\r\n\r\n")[0].http_version == version[-3:].decode()


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET http://a@gate/ws HTTP/1.1\r\n\r\n",
        b"GET ws HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"CONNECT gate:80 HTTP/1.1\r\n\r\n",
        b"GET /w\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\n\r\n",
        b"GET /a\tb HTTP/1.1\r\n\r\n",
        LINE + b" folded: 1\r\n\r\n",
        LINE + b"a: 1\r\n folded\r\n\r\n",
        LINE + b"a: 1\r\n\tfolded\r\n\r\n",
        LINE + b"a: 1\n\r\n\r\n",
        LINE + b"a: 1\nb: 2\r\n\r\n",
        LINE + b"a: 1\rb: 2\r\n\r\n",
        b"GET /ws HTTP/1.1\n\n",
        LINE + b"no colon\r\n\r\n",
        LINE + b"a b: 1\r\n\r\n",
        LINE + b"a : 1\r\n\r\n",
        LINE + b": 1\r\n\r\n",
        LINE + b"a\x00: 1\r\n\r\n",
        LINE + b"a: 1\x00\r\n\r\n",
        LINE + b"\xe9: 1\r\n\r\n",
        LINE + b"Content-Length: -1\r\n\r\n",
        LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [0, 1])
def test_what_is_not_http_is_refused(data: bytes, size: int) -> None:
    """A malformed head is refused in one piece as in many."""
    assert refusal_of(data, size) is HandshakeRejection.BAD_REQUEST


def test_what_does_not_begin_like_http_is_refused_at_its_first_byte() -> None:
    """A TLS hello on a plain port does not wait for the deadline."""
    assert refusal_of(b"\x16") is HandshakeRejection.BAD_REQUEST


def request_line(size: int) -> bytes:
    """A request line of `size` bytes, without its end."""
    return b"GET /" + b"a" * (size - 14) + b" HTTP/1.1"


def header(size: int) -> bytes:
    """A header of `size` bytes, without its end."""
    return b"x: " + b"a" * (size - 3)


@pytest.mark.p1
@pytest.mark.parametrize("size", [0, 1000])
@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (request_line(HEAD_LINE) + b"\r\n\r\n", None),
        (request_line(HEAD_LINE + 1) + b"\r\n\r\n", HandshakeRejection.URI_TOO_LONG),
        (request_line(HEAD_LINE * 100) + b"\r\n\r\n", HandshakeRejection.URI_TOO_LONG),
        (LINE + header(HEAD_LINE) + b"\r\n\r\n", None),
        (LINE + header(HEAD_LINE + 1) + b"\r\n\r\n", HandshakeRejection.HEADERS_TOO_LARGE),
        (LINE + header(HEAD_LINE * 100) + b"\r\n\r\n", HandshakeRejection.HEADERS_TOO_LARGE),
        (LINE + b"a: 1\r\n" * HEAD_COUNT + b"\r\n", None),
        (LINE + b"a: 1\r\n" * (HEAD_COUNT + 1) + b"\r\n", HandshakeRejection.HEADERS_TOO_LARGE),
        (LINE + b"a: 1\r\n" * HEAD_COUNT * 100 + b"\r\n", HandshakeRejection.HEADERS_TOO_LARGE),
    ],
)
def test_lines_and_their_number_are_bounded(
    data: bytes, refusal: HandshakeRejection | None, size: int
) -> None:
    """A limit is allowed and one more is not, however the bytes come."""
    assert refusal_of(data, size) is refusal


@pytest.mark.parametrize("size", [0, 1000])
@pytest.mark.parametrize(
    ("more", "refusal"), [(0, None), (1, HandshakeRejection.HEADERS_TOO_LARGE)]
)
def test_the_whole_head_is_bounded(
    more: int, refusal: HandshakeRejection | None, size: int
) -> None:
    """All lines together have a limit, too."""
    lines = LINE + (header(8000) + b"\r\n") * 4
    data = lines + header(HEAD_TOTAL - len(lines) + more) + b"\r\n\r\n"

    assert refusal_of(data, size) is refusal


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET /" + b"a" * HEAD_LINE, HandshakeRejection.URI_TOO_LONG),
        (LINE + b"x: " + b"a" * HEAD_LINE, HandshakeRejection.HEADERS_TOO_LARGE),
    ],
)
def test_a_line_without_end_is_refused_once_it_is_too_long(
    data: bytes, refusal: HandshakeRejection
) -> None:
    """Nobody waits for the end of a line that is over the limit already."""
    assert refusal_of(data) is refusal


def test_no_more_is_held_than_the_limit() -> None:
    """A megabyte of header in one piece is not kept."""
    feeding = reader()
    with pytest.raises(HandshakeRejected):
        feeding.feed(LINE + b"x: " + b"a" * 1_000_000)

    assert len(feeding._held) <= HEAD_TOTAL + 4


words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True).filter(
    lambda name: name not in {"content-length", "transfer-encoding", "connection", "upgrade"}
)


@given(
    st.from_regex(r"/[a-z0-9/%.]{0,20}", fullmatch=True),
    st.lists(st.tuples(names, words), max_size=10),
    st.binary(max_size=20),
    st.lists(st.integers(1, 30), max_size=20),
)
def test_any_good_head_reads_the_same_however_it_is_cut(
    path: str, fields: list[tuple[str, str]], rest: bytes, sizes: list[int]
) -> None:
    """What was sent is what is read, and not a byte of what follows is lost."""
    text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
    data = text.encode() + b"\r\n" + rest
    feeding, found = reader(), None
    while found is None:
        size = sizes.pop() if sizes else len(data)
        piece, data = data[:size], data[size:]
        found = feeding.feed(piece)

    assert (found[0].path, found[0].headers) == (path, by_name(fields))
    assert found[1] + data == rest


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_a_head_or_a_refusal_or_not_enough(pieces: list[bytes]) -> None:
    """Nothing a client can send raises anything else."""
    assert refusal_of(b"".join([b"GET / HTTP/1.1\r\n", *pieces])) in {
        HandshakeRejection.BAD_REQUEST,
        HandshakeRejection.HEADERS_TOO_LARGE,
        None,
    }


HOSTED = b" HTTP/1.1\r\nX-A: 1\r\nHost: other.example\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://gate.example/ws", "/ws", "", "gate.example"),
        (b"http://gate.example/ws/?a=1&b=?", "/ws/", "a=1&b=?", "gate.example"),
        (b"HTTPS://GATE.example:8443/ws", "/ws", "", "GATE.example:8443"),
        (b"http://[2001:db8::1]:80/ws", "/ws", "", "[2001:db8::1]:80"),
        (b"http://192.0.2.1/a//b%2F", "/a//b%2F", "", "192.0.2.1"),
        (b"http://gate.example", "/", "", "gate.example"),
        (b"http://gate.example/", "/", "", "gate.example"),
        (b"http://gate.example?a=1", "/", "a=1", "gate.example"),
        (b"http://gate.example//ws", "//ws", "", "gate.example"),
    ],
)
def test_a_target_may_be_in_absolute_form(target: bytes, path: str, query: str, host: str) -> None:
    """Its authority stands in place of `Host`, where that header stood (RFC 9112 section 3.2.2)."""
    head, _ = read(b"GET " + target + HOSTED)

    assert (head.path, head.query) == (path, query)
    assert head.headers == {"x-a": ["1"], "host": [host]}


@pytest.mark.parametrize(
    "target",
    [
        b"http://",
        b"http:///ws",
        b"http:/ws",
        b"http:ws",
        b"http://user@gate.example/ws",
        b"http://user:secret@gate.example/ws",
        b"http://gate.example\\ws",
        b"http://gate.example/ws#part",
        b"http://gate.example#part",
        b"http://gat\xe9.example/ws",
        b"http://%67ate.example/ws",
        b"ftp://gate.example/ws",
        b"ws://gate.example/ws",
        b"//",
        b"*",
        b"gate.example:443",
        b"ws",
    ],
)
def test_other_forms_of_a_target_are_refused(target: bytes) -> None:
    """User-info, other schemes, an empty host and fragments are no request for this gateway."""
    expected = None if target == b"//" else HandshakeRejection.BAD_REQUEST
    assert refusal_of(b"GET " + target + HOSTED) is expected


@pytest.mark.parametrize("hosts", [[], [b"a.example", b"b.example"], [b"a.example"] * 2])
def test_an_absolute_form_does_not_mend_what_host_says(hosts: list[bytes]) -> None:
    """Without `Host`, or with several, the request stays what it is, and is refused for that later."""
    lines = b"".join(b"Host: " + host + b"\r\n" for host in hosts)
    head, _ = read(b"GET http://gate.example/ws HTTP/1.1\r\n" + lines + b"\r\n")

    assert head.all("host") == [host.decode() for host in hosts]


@given(st.binary(max_size=60))
def test_no_target_raises_anything_else(target: bytes) -> None:
    """Whatever stands in the request line is read or refused."""
    refusal_of(b"GET " + target + HOSTED)
    refusal_of(b"GET http://" + target + HOSTED)
