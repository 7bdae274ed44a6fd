"""Octets that are no TLS, no HTTP, or end too soon: counted, and the node at rest afterwards."""

import contextlib
import socket
import ssl
import struct

import pytest
import trio

from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import WholeNode, asking

QUICK_END = {"sessions": {"finished-seconds": 0.05}}

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113 §4.1."""
    head = struct.pack(">I", len(payload))[1:] + bytes((kind, flags))
    return head + struct.pack(">I", stream) + payload


# What is sent over TLS, by the protocol that ALPN agrees on.
GARBAGE: dict[str, tuple[str, bytes]] = {
    "noise to HTTP/2": ("h2", bytes(range(256)) * 8),
    "HTTP/1.1 to HTTP/2": ("h2", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "HEADERS before SETTINGS": ("h2", PREFACE + frame(1, 5, 1, b"\x82\x84\x87")),
    "HEADERS with a broken block": ("h2", PREFACE + SETTINGS + frame(1, 5, 1, b"\xff" * 40)),
    "HEADERS on an even stream": ("h2", PREFACE + SETTINGS + frame(1, 5, 2, b"\x82\x84\x87")),
    "DATA on no stream": ("h2", PREFACE + SETTINGS + frame(0, 0, 0, b"x")),
    "a frame too large": ("h2", PREFACE + SETTINGS + b"\xff\xff\xff\0\0\0\0\0\x01"),
    "CONTINUATION alone": ("h2", PREFACE + SETTINGS + frame(9, 4, 1, b"x")),
    "PING of a wrong size": ("h2", PREFACE + SETTINGS + frame(6, 0, 0, b"x")),
    "WINDOW_UPDATE of nothing": ("h2", PREFACE + SETTINGS + frame(8, 0, 0, bytes(4))),
    "a flood of PINGs": ("h2", PREFACE + SETTINGS + frame(6, 0, 0, bytes(8)) * 2_000),
    "noise to HTTP/1.1": ("http/1.1", bytes(range(128, 256)) * 8 + b"\r\n\r\n"),
    "HTTP/2 to HTTP/1.1": ("http/1.1", PREFACE + SETTINGS),
    "no host": ("http/1.1", b"GET / HTTP/1.1\r\n\r\n"),
    "two lengths": (
        "http/1.1",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ),
    "length and chunks": (
        "http/1.1",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "a chunk of no size": (
        "http/1.1",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ),
    "a header without end": ("http/1.1", b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000),
}


async def talk(node: WholeNode, alpn: str, data: bytes) -> bytes:
    """Send octets over TLS, then read what the node has to say: a head, or to the end."""
    context = ssl.create_default_context(cafile=str(node.lab.ca))
    context.set_alpn_protocols([alpn])
    tcp = await trio.open_tcp_stream("127.0.0.1", node.port)
    tls = trio.SSLStream(tcp, context, server_hostname="localhost", https_compatible=True)
    said = b""
    with trio.fail_after(5):
        try:
            await tls.send_all(data)
            while alpn == "h2" or b"\r\n\r\n" not in said:
                some = await tls.receive_some()
                if not some:
                    break
                said += some
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # it may close while we still talk
    await tcp.aclose()
    return said


@pytest.mark.parametrize("what", GARBAGE)
async def test_octets_that_are_no_http_end_their_connection_alone(whole: Whole, what: str) -> None:
    """Counted by name; the phone on the next connection does not notice."""
    async with whole(QUICK_END) as node:
        phone = await node.with_token(1)
        bad = node.bad_inputs()
        said = await talk(node, *GARBAGE[what])
        assert said[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5") or GARBAGE[what][0] == "h2"
        assert b" 500 " not in said
        await node.until(lambda: node.bad_inputs() > bad)
        assert (await node.get(asking(phone))).status == 200
        await node.at_rest()


@pytest.mark.parametrize(
    "octets",
    [b"\0" * 64, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x16\x03\x01\x02\0" + b"\xff" * 512, b""],
    ids=["zeros", "plain HTTP", "a broken hello", "nothing"],
)
async def test_octets_that_are_no_tls_end_their_connection_alone(
    whole: Whole, octets: bytes
) -> None:
    async with whole(QUICK_END) as node:
        bad = node.bad_inputs()
        stream = await trio.open_tcp_stream("127.0.0.1", node.port)
        async with stream:
            await stream.send_all(octets or b"\x16")
            if not octets:
                await stream.send_eof()
            with trio.fail_after(5), contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
        await node.until(lambda: node.bad_inputs() > bad)
        await node.at_rest()


async def test_truncated_requests_leave_nothing_behind(whole: Whole) -> None:
    """A frame, a head, a body that never ends: the device goes away in the middle."""
    async with whole(QUICK_END) as node:
        half = [
            ("h2", PREFACE[:10]),
            ("h2", PREFACE + SETTINGS + frame(1, 5, 1, b"\x82\x84\x87\x01")[:-2]),
            ("h2", PREFACE + SETTINGS + frame(1, 4, 1, b"\x83\x84\x87")),  # END_STREAM to come
            ("http/1.1", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-le"),
            ("http/1.1", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{"),
        ]
        context = ssl.create_default_context(cafile=str(node.lab.ca))
        for alpn, data in half:
            context.set_alpn_protocols([alpn])
            tcp = await trio.open_tcp_stream("127.0.0.1", node.port)
            tls = trio.SSLStream(tcp, context, server_hostname="localhost", https_compatible=True)
            await tls.send_all(data)
            # A reset, as of a phone that lost its network.
            tcp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await tcp.aclose()
        await node.at_rest()
        assert node.node.listener.statistics().accepted == len(half)
        assert (await node.phone(1).authenticate()).ok
