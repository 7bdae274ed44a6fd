"""Compressed request bodies (Q-TR-11) reach the handler as they were before."""

import gzip

import pytest

from tests.node.device.running_listener import Listening, Stream, read_response
from tests.protocols.http2.raw_client import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    POST,
    PREFACE,
    SETTINGS,
    RawClient,
    frame,
    parse,
    settings,
)

BODY = b'[{"method":"3gppAuthentication","message-id":1}]' * 20


async def post(tls: Stream, body: bytes, *fields: bytes) -> tuple[bytes, bytes]:
    lines = [b"POST / HTTP/1.1", b"host: localhost", b"content-length: %d" % len(body), *fields]
    await tls.send_all(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    return await read_response(tls)


async def test_a_compressed_body_is_delivered_plain(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        head, _ = await post(tls, gzip.compress(BODY), b"Content-Encoding: gzip")
        assert head.startswith(b"HTTP/1.1 200")
        await post(tls, BODY, b"Content-Encoding: identity")
        await post(tls, BODY)
        # A field without a body means nothing.
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: br\r\n\r\n")
        await read_response(tls)
        assert [one.body for one in running.requests] == [BODY, BODY, BODY, b""]


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (gzip.compress(bytes(1_000_000)), b"gzip", b"413"),
        (BODY, b"gzip", b"400"),
        (BODY, b"br", b"415"),
        (gzip.compress(gzip.compress(BODY)), b"gzip\r\ncontent-encoding: gzip", b"415"),
    ],
)
async def test_what_cannot_be_decoded_is_refused_and_the_connection_stays(
    listening: Listening, body: bytes, coding: bytes, status: bytes
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        head, _ = await post(tls, body, b"Content-Encoding: " + coding)
        assert head.split(b" ")[1] == status
        assert (b"accept-encoding: gzip, deflate" in head) is (status == b"415")
        assert running.requests == []
        await post(tls, BODY)
        assert running.requests[0].body == BODY
        assert running.listener.statistics().protocol_errors == {
            f"http1_status_{status.decode()}": 1
        }


async def test_the_limit_of_the_configuration_is_that_of_the_decoded_body(
    listening: Listening,
) -> None:
    async with listening(max_body_octets=1_000) as running:
        tls = await running.connect_tls()
        body = bytes(range(250)) * 4
        head, _ = await post(tls, gzip.compress(body), b"content-encoding: gzip")
        assert head.startswith(b"HTTP/1.1 200")
        head, _ = await post(tls, gzip.compress(body + b"x"), b"content-encoding: gzip")
        assert head.startswith(b"HTTP/1.1 413")


async def test_http_2_bodies_are_decoded_as_well(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls("h2")
        client = RawClient(start=False)  # only its encoder is used
        fields = (*POST[:2], (":authority", "localhost"), POST[3])
        parts = [PREFACE, settings(), frame(SETTINGS, ACK, 0)]
        for stream, coding, body in (
            (1, "gzip", gzip.compress(BODY)),
            (3, "gzip", gzip.compress(bytes(1_000_000))),
            (5, "br", BODY),
        ):
            parts.append(client.headers(stream, (*fields, ("content-encoding", coding)), end=False))
            parts.append(frame(DATA, END_STREAM, stream, body))
        await tls.send_all(b"".join(parts))
        data = b""
        while data.count(b"decompressed") + data.count(b"not supported") < 2:
            data += await tls.receive_some()
        await tls.transport_stream.aclose()
        statuses = {
            one.stream: client.decoder.decode(one.payload)[0][1]
            for one in parse(data)
            if one.kind == HEADERS
        }
        assert statuses == {1: "200", 3: "413", 5: "415"}
        assert [one.body for one in running.requests] == [BODY]
