"""The lab devices' HTTP client against what is not ours: the h2 library, hpack, plain octets."""

from collections import deque
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import trio
from hpack import Decoder

from scripts.lab.device_hpack import RequestEncoder, huffman, integer, string
from scripts.lab.device_http1 import Http1Exchange
from scripts.lab.device_http2 import Http2Client, frame
from scripts.lab.device_http_errors import DeviceHttpError

Reply = Callable[[h2.connection.H2Connection, int, dict[bytes, bytes], bytes], None]


def echo(
    server: h2.connection.H2Connection, stream: int, head: dict[bytes, bytes], body: bytes
) -> None:
    """Answer with the path as a field and the body as it came."""
    server.send_headers(stream, [(b":status", b"200"), (b"x-path", head[b":path"])])
    server.send_data(stream, body, end_stream=True)


class H2Server:
    """The h2 library at the other end, without a socket: a transport for `Http2Client`.

    Attributes:
        seen: the header list of each request.
    """

    def __init__(self, reply: Reply = echo, settings: dict[int, int] | None = None) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        if settings:
            self.connection.local_settings = h2.settings.Settings(
                client=False, initial_values=settings
            )
        self.connection.initiate_connection()
        self.reply = reply
        self.seen: list[list[tuple[bytes, bytes]]] = []
        self.bodies: dict[int, bytes] = {}
        self.heads: dict[int, dict[bytes, bytes]] = {}
        self.outgoing: deque[bytes] = deque()
        self.arrived = trio.Event()
        self.held = False

    async def send(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self._event(event)
        self.flush()
        await trio.lowlevel.checkpoint()

    def flush(self) -> None:
        data = self.connection.data_to_send()
        if data:
            self.outgoing.append(data)
            self.arrived.set()

    async def receive(self) -> bytes:
        while not self.outgoing:
            self.arrived = trio.Event()
            await self.arrived.wait()
        return self.outgoing.popleft()

    def _event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.seen.append([(bytes(n), bytes(v)) for n, v in event.headers])
                self.heads[event.stream_id] = dict(self.seen[-1])
            case h2.events.DataReceived():
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            case h2.events.StreamEnded():
                self.answer(event.stream_id)
            case _:
                pass

    def answer(self, stream: int) -> None:
        if not self.held:
            self.reply(self.connection, stream, self.heads[stream], self.bodies.get(stream, b""))


def client_of(server: H2Server) -> Http2Client:
    return Http2Client(server, b"localhost")


# The h2 library hands cookies over last.
FIELDS = [
    (b"user-agent", b"PRD-TS43"),
    (b"accept", b"a/b"),
    (b"x-own", b"y"),
    (b"cookie", b"SID=1"),
]


async def test_requests_reach_the_h2_library_and_come_back() -> None:
    server = H2Server()
    client = client_of(server)
    status, headers, body = await client.request(b"GET", b"/?app=ap2004", FIELDS, b"")
    assert (status, headers, body) == (200, [(b"x-path", b"/?app=ap2004")], b"")
    status, _, body = await client.request(b"POST", b"/", FIELDS, b"{}")
    assert (status, body) == (200, b"{}")
    expected = [(b"GET", b"/?app=ap2004", []), (b"POST", b"/", [(b"content-length", b"2")])]
    for seen, (method, path, length) in zip(server.seen, expected, strict=True):
        pseudo = [
            (b":method", method),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path),
        ]
        assert seen[:4] == pseudo
        assert seen[4:] == FIELDS[:3] + length + FIELDS[3:]


async def test_many_devices_share_a_connection(autojump_clock: trio.testing.MockClock) -> None:
    server = H2Server()
    client = client_of(server)
    answers: dict[int, list[tuple[bytes, bytes]]] = {}

    async def device(number: int) -> None:
        for _ in range(3):
            _, answers[number], _ = await client.request(b"GET", b"/%d" % number, FIELDS, b"")

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(device, number)
    assert answers == {number: [(b"x-path", b"/%d" % number)] for number in range(50)}
    assert len(server.seen) == 150


async def test_a_body_larger_than_the_window_waits_for_it() -> None:
    def count(
        server: h2.connection.H2Connection, stream: int, head: dict[bytes, bytes], body: bytes
    ) -> None:
        server.send_headers(stream, [(b":status", b"%d" % (len(body) // 1000))], end_stream=True)

    client = client_of(H2Server(count))
    assert (await client.request(b"POST", b"/", [], bytes(300_000)))[0] == 300


async def test_the_reader_may_be_cancelled_and_another_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = H2Server()
    server.held = True
    client = client_of(server)
    finished: list[int] = []

    async def device(number: int, patience: float) -> None:
        with trio.move_on_after(patience):
            await client.request(b"GET", b"/%d" % number, FIELDS, b"")
            finished.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(device, 0, 1.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(device, 1, 60.0)
        nursery.start_soon(device, 2, 60.0)
        await trio.sleep(2)
        server.held = False
        for stream in (5, 3):
            server.answer(stream)
        server.flush()
    assert sorted(finished) == [1, 2]


async def test_a_reset_stream_fails_alone() -> None:
    def reset(
        server: h2.connection.H2Connection, stream: int, head: dict[bytes, bytes], body: bytes
    ) -> None:
        server.reset_stream(stream, error_code=7)

    server = H2Server(reset)
    client = client_of(server)
    with pytest.raises(DeviceHttpError, match="reset, code 7"):
        await client.request(b"GET", b"/", [], b"")
    server.reply = echo
    assert (await client.request(b"GET", b"/", [], b""))[0] == 200


async def test_goaway_closes_for_new_requests() -> None:
    server = H2Server()
    client = client_of(server)
    await client.request(b"GET", b"/", [], b"")
    server.held = True
    server.outgoing.append(frame(7, 0, 0, bytes((0, 0, 0, 1, 0, 0, 0, 0))))
    with pytest.raises(DeviceHttpError, match="goes away"):
        await client.request(b"GET", b"/", [], b"")
    assert client.closed
    with pytest.raises(DeviceHttpError, match="closed"):
        await client.request(b"GET", b"/", [], b"")


async def test_a_smaller_header_table_is_obeyed() -> None:
    server = H2Server(settings={h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
    client = client_of(server)
    for _ in range(3):
        await client.request(b"GET", b"/", FIELDS, b"")
    assert server.seen[2][4:8] == FIELDS


async def test_a_ping_is_answered() -> None:
    server = H2Server()
    client = client_of(server)
    server.connection.ping(b"12345678")
    server.flush()
    await client.request(b"GET", b"/", [], b"")
    await client.request(b"GET", b"/", [], b"")


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "ended"),
        (frame(0, 0, 1, bytes(16_385))[:20], "16,384"),
        (frame(5, 4, 1, bytes(4)), "push"),
        (frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff"), "HPACK"),
        (frame(1, 0, 1, b"\x88") + frame(0, 1, 1, b""), "interrupted"),
        (frame(1, 5, 1, b"\x82"), "without :status"),
        (frame(0, 8, 1, b"\x05a"), "padding"),
        (frame(4, 0, 0, bytes(5)), "SETTINGS"),
        (frame(0, 1, 1, b"x"), "body without a head"),
    ],
)
async def test_a_malformed_answer_is_an_error(octets: bytes, why: str) -> None:
    class Replay:
        async def send(self, data: bytes) -> None:
            await trio.lowlevel.checkpoint()

        async def receive(self) -> bytes:
            await trio.lowlevel.checkpoint()
            return octets

    client = Http2Client(Replay(), b"localhost")
    with pytest.raises(DeviceHttpError, match=why):
        await client.request(b"GET", b"/", [], b"")


def test_a_header_block_in_pieces_is_joined() -> None:
    class Replay:
        async def send(self, data: bytes) -> None:
            await trio.lowlevel.checkpoint()

        async def receive(self) -> bytes:
            await trio.lowlevel.checkpoint()
            return frame(1, 1, 1, b"\x88") + frame(9, 0, 1, b"\x40\x01a") + frame(9, 4, 1, b"\x01b")

    client = Http2Client(Replay(), b"localhost")
    assert trio.run(client.request, b"GET", b"/", [], b"") == (200, [(b"a", b"b")], b"")


# --- HPACK --------------------------------------------------------------------------------------


def test_every_octet_is_decoded_by_the_hpack_library() -> None:
    value = bytes(range(256))
    for text in (value, b"", b"/?EAP_ID=0001010000000001%40nai", b"\xff" * 40):
        block = b"\x04" + string(text)
        assert Decoder().decode(block, raw=True) == [(b":path", text)]


def test_the_huffman_example_of_rfc_7541() -> None:
    assert huffman(b"www.example.com").hex() == "f1e3c2e5f23a6ba0ab90f4ff"
    assert integer(1337, 5, 0).hex() == "1f9a0a"


def test_repeated_fields_shrink_to_an_octet_each() -> None:
    encoder, decoder = RequestEncoder(b"localhost"), Decoder()
    sizes = []
    for _ in range(3):
        block = encoder.encode(b"GET", b"/", FIELDS[:2], None)
        assert decoder.decode(block, raw=True)[4:] == FIELDS[:2]
        sizes.append(len(block))
    assert sizes[1] == sizes[2] == 1 + 1 + 1 + 3 + 2


def test_a_full_table_takes_no_more() -> None:
    encoder, decoder = RequestEncoder(b"localhost"), Decoder()
    for number in range(40):
        field = (b"user-agent", b"%d" % number * 60)
        block = encoder.encode(b"GET", b"/", [field, FIELDS[1]], None)
        assert decoder.decode(block, raw=True)[4:] == [field, FIELDS[1]]


# --- HTTP/1.1 -----------------------------------------------------------------------------------


def received(*pieces: bytes, method: bytes = b"GET") -> Http1Exchange:
    exchange = Http1Exchange(b"localhost")
    exchange.encode(method, b"/", [], b"")
    for piece in pieces[:-1]:
        assert not exchange.receive(piece)
    assert exchange.receive(pieces[-1])
    return exchange


def test_a_request_in_http_1_1() -> None:
    encoded = Http1Exchange(b"localhost:8443").encode(b"POST", b"/", [(b"cookie", b"a=b")], b"{}")
    assert encoded == (
        b"POST / HTTP/1.1\r\nhost: localhost:8443\r\ncookie: a=b\r\ncontent-length: 2\r\n\r\n{}"
    )


OK_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n{}"
)


def test_a_response_octet_by_octet_and_at_once() -> None:
    pieces = [OK_RESPONSE[at : at + 1] for at in range(len(OK_RESPONSE))]
    for exchange in (received(*pieces), received(OK_RESPONSE)):
        assert (exchange.status, exchange.body, exchange.must_close) == (200, b"{}", False)
        assert exchange.headers[1:] == [(b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]


def test_chunks_interim_responses_and_the_end_of_the_stream() -> None:
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert received(head, b"3;x=y\r\nab", b"c\r\n", b"0\r\n\r\n").body == b"abc"
    endless = received(b"HTTP/1.1 200\r\n\r\nab", b"c", b"")
    assert (endless.body, endless.must_close) == (b"abc", True)
    assert received(b"HTTP/1.1 204 No\r\nconnection: close\r\n\r\n").must_close
    assert received(b"HTTP/1.1 200\r\ncontent-length: 9\r\n\r\n", method=b"HEAD").body == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200\r\nx : y\r\n\r\n",
        b"HTTP/1.1 200\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nab",
        b"HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        b"x" * 70_000,
    ],
)
def test_a_malformed_response_is_refused(octets: bytes) -> None:
    exchange = Http1Exchange(b"localhost")
    exchange.encode(b"GET", b"/", [], b"")
    with pytest.raises(DeviceHttpError):
        exchange.receive(octets)


def test_a_cut_response_is_refused() -> None:
    exchange = Http1Exchange(b"localhost")
    exchange.encode(b"GET", b"/", [], b"")
    exchange.receive(OK_RESPONSE[:-1])
    with pytest.raises(DeviceHttpError, match="inside a response"):
        exchange.receive(b"")
