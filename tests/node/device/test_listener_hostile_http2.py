"""HTTP/2 attacks over TLS against the listener, with honest traffic beside them.

Each attack is bounded (RFC 9113 §10.5) and ended by a GOAWAY that says so; the honest phones are
served all the while, on connections that are kept and on new ones.
"""

import itertools
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import trio

from node.device.exchange import Exchange
from node.device.transport import RECEIVE_OCTETS
from protocols.http.message import HttpRequest, HttpResponse
from tests.node.device.hostile import (
    PATIENCE,
    POST,
    REQUEST,
    Attacker,
    headers,
    honest_traffic,
)
from tests.node.device.running_listener import Listening
from tests.protocols.http2.raw_client import (
    CALM,
    CONTINUATION,
    DATA,
    FLOW_CONTROL,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    frame,
    rst_stream,
    settings,
    window_update,
)

STREAMS = range(1, 1 << 31, 2)
LARGE = b"x" * 60_000


def rapid_reset() -> Iterator[bytes]:
    """CVE-2023-44487."""
    return (headers(stream) + rst_stream(stream) for stream in STREAMS)


def made_to_reset() -> Iterator[bytes]:
    """CVE-2025-8671: the server is made to reset streams that it works for."""
    return (headers(stream) + window_update(stream, 0) for stream in STREAMS)


def too_many_streams() -> Iterator[bytes]:
    yield from (headers(stream, POST, end=False) for stream in STREAMS)


def continuations() -> Iterator[bytes]:
    """CVE-2024-27316."""
    yield frame(HEADERS, 0, 1, REQUEST)
    yield from itertools.repeat(frame(CONTINUATION, 0, 1, b""))


def a_block_that_never_ends() -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, REQUEST)
    yield from itertools.repeat(frame(CONTINUATION, 0, 1, b"\x00\x01x\x7f\x80\x10" + bytes(2_175)))


def hpack_bomb() -> Iterator[bytes]:
    """One field of 4,000 octets in the table, referred to 12,000 times by an octet each."""
    yield headers(1, REQUEST + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4_000)
    yield from (headers(stream, REQUEST + b"\xbe" * 12_000) for stream in STREAMS[1:])


def refused_heads_of_posts() -> Iterator[bytes]:
    return (headers(stream, POST + b"\x90" * 1_000, end=False) for stream in STREAMS)


def settings_with_many_values() -> Iterator[bytes]:
    values = struct.pack(">HL", 4, 65_535) * 64
    return itertools.repeat(frame(SETTINGS, 0, 0, values))


def on_an_open_stream(octets: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.chain([headers(1, POST, end=False)], itertools.repeat(octets))


def on_a_gone_stream(octets: bytes) -> Callable[[], Iterator[bytes]]:
    """The peer reset it, then we did, so that what comes late is ignored."""
    return lambda: itertools.chain(
        [headers(1, POST, end=False), rst_stream(1), frame(DATA, 0, 1)], itertools.repeat(octets)
    )


def endless(octets: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.repeat(octets)


FLOODS = {
    "rapid reset": (rapid_reset, "resets"),
    "made to reset": (made_to_reset, "resets"),
    "too many streams": (too_many_streams, "resets"),
    "continuations": (continuations, "continuations"),
    "a block that never ends": (a_block_that_never_ends, "header_block"),
    "hpack bomb": (hpack_bomb, "resets"),
    "refused heads": (refused_heads_of_posts, "resets"),
    "ping": (endless(frame(PING, 0, 0, b"12345678")), "ping"),
    "ping acknowledgements": (endless(frame(PING, 1, 0, b"12345678")), "ping"),
    "settings": (endless(settings()), "settings"),
    "settings acknowledgements": (endless(frame(SETTINGS, 1, 0)), "settings"),
    "settings with values": (settings_with_many_values, "settings"),
    "empty data": (on_an_open_stream(frame(DATA, 0, 1)), "empty_data"),
    "padding alone": (on_an_open_stream(frame(DATA, 8, 1, b"\xff" + bytes(255))), "empty_data"),
    "priority": (endless(frame(PRIORITY, 0, 1, bytes(5))), "priority"),
    "window updates": (endless(window_update(0, 1)), "window_update"),
    "window updates of a stream": (on_an_open_stream(window_update(1, 1)), "window_update"),
    "unknown frames": (endless(frame(0x20, 0, 0, b"x")), "unknown_frame"),
    "data of a stream that is gone": (on_a_gone_stream(frame(DATA, 0, 1, b"x")), "late_data"),
    "trailers of a stream that is gone": (on_a_gone_stream(headers(1, b"\x90")), "late_headers"),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_ended_and_the_honest_are_served(listening: Listening, name: str) -> None:
    flood, counter = FLOODS[name]
    async with (
        listening() as running,
        honest_traffic(running) as honest,
        trio.open_nursery() as nursery,
    ):
        attackers = [await Attacker.connect(running, nursery) for _ in range(3)]
        served = honest.served
        async with trio.open_nursery() as attacks:
            for attacker in attackers:
                attacks.start_soon(attacker.flood, flood())
        for attacker in attackers:
            assert await attacker.verdict() == CALM
        statistics = running.listener.statistics()
        assert statistics.protocol_errors[f"http2_{counter}"] >= 3
        assert statistics.protocol_errors["http2_abuse"] == 3
        # Bounded work: what came before the end are a few hundred frames, not what was sent.
        assert sum(statistics.protocol_errors.values()) < 3 * 200
        nursery.cancel_scope.cancel()
        assert honest.served >= served


def answer_large(request: HttpRequest, exchange: Exchange) -> None:
    body = request.target if request.target == b"/honest" else LARGE
    exchange.answer(HttpResponse(200, b"text/plain", body))


async def test_windows_that_never_open_keep_a_bounded_amount(listening: Listening) -> None:
    """Answers without window wait, up to the limit of the queue; then the connection ends."""
    async with (
        listening(answer_large, max_queued_octets=200_000) as running,
        honest_traffic(running),
        trio.open_nursery() as nursery,
    ):
        attacker = await Attacker.connect(running, nursery)
        await attacker.send(settings(window=0))
        for stream in range(1, 7, 2):
            await attacker.send(headers(stream))
        await running.until(lambda _: sum(r.target == b"/" for r in running.requests) == 3)
        kept = [
            one._machine._held  # type: ignore[union-attr]
            for one in running.listener._connections.by_descriptor.values()
            if one.http_version == "2"
        ]
        assert kept == [3 * len(LARGE)]
        await attacker.send(headers(7))
        with trio.fail_after(PATIENCE):
            await attacker.over.wait()
        assert running.listener.statistics().closed["queued_output"] == 1
        nursery.cancel_scope.cancel()


async def test_a_window_opened_octet_by_octet_is_paid_for(listening: Listening) -> None:
    """Each update brings a DATA frame of one octet, which excuses two updates and no more."""
    async with (
        listening(answer_large) as running,
        honest_traffic(running),
        trio.open_nursery() as nursery,
    ):
        attacker = await Attacker.connect(running, nursery)
        await attacker.send(settings(window=0) + headers(1))
        await attacker.send(window_update(1, 1) * 500)
        await attacker.flood(itertools.repeat(window_update(0, 1)))
        assert await attacker.verdict() == CALM
        data = [one for one in attacker.frames() if one.kind == DATA]
        assert len(data) <= 500
        assert all(len(one.payload) == 1 for one in data)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stream", [0, 1])
async def test_an_overflow_of_a_window_ends_what_it_concerns(
    listening: Listening, stream: int
) -> None:
    def answer_none(request: HttpRequest, exchange: Exchange) -> None:
        if request.target == b"/honest":
            exchange.answer(HttpResponse(200, b"text/plain", request.target))

    async with (
        listening(answer_none) as running,
        honest_traffic(running),
        trio.open_nursery() as nursery,
    ):
        attacker = await Attacker.connect(running, nursery)
        await attacker.send(headers(1) + window_update(stream, (1 << 31) - 1))
        if stream:
            await running.until(lambda _: any(one.kind == RST_STREAM for one in attacker.frames()))
            [reset] = [one for one in attacker.frames() if one.kind == RST_STREAM]
            assert (reset.stream, reset.code) == (1, FLOW_CONTROL)
        else:
            assert await attacker.verdict() == FLOW_CONTROL
        assert running.listener.statistics().abandoned == 1
        nursery.cancel_scope.cancel()


async def test_much_of_one_connection_is_worked_off_in_bounded_turns(listening: Listening) -> None:
    """Megabytes of well-formed requests wait in the kernel: in each turn a few are taken."""
    field = b"\x00\x01x\x7f\xd1\x0e" + b"y" * 2_000
    many = b"".join(headers(stream, POST + field) for stream in range(1, 2_000, 2))
    turn = itertools.count()
    taken: Counter[tuple[object, int]] = Counter()  # by connection and turn
    number = next(turn)

    def count(request: HttpRequest, exchange: Exchange) -> None:
        taken[exchange._connection, number] += 1
        exchange.answer(HttpResponse(200, b"text/plain", request.target))

    def end_turn() -> None:
        nonlocal number
        number = next(turn)

    async with (
        listening(count, max_streams=100) as running,
        honest_traffic(running) as honest,
        trio.open_nursery() as nursery,
    ):
        running.turn.flusher(end_turn)
        attackers = [await Attacker.connect(running, nursery) for _ in range(2)]
        served = honest.served
        for attacker in attackers:
            nursery.start_soon(attacker.send, many)
        await running.until(
            lambda _: sum(one.method == b"POST" for one in running.requests) == 2_000, PATIENCE
        )
        nursery.cancel_scope.cancel()
    # One read, and the part of a record that the read before it left.
    assert max(taken.values()) <= 2 * RECEIVE_OCTETS // 2_000 + 1
    assert honest.served > served
