"""What a broken AAA or agent sends: it costs that connection at most, and is counted."""

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.diameter.peer_statistics import PeerStatistics
from protocols.diameter import numbers
from scripts.lab.aaa_running import HOST, REALM, running_aaa
from scripts.lab.phone import PhoneResult
from tests.node.whole.whole_node import LabFolder, WholeNode, serving
from tests.node.whole.wire import Wire, wire_to

QUICK_END = {"sessions": {"finished-seconds": 0.05}}


def message(flags: int, command: int, body: bytes = b"", length: int | None = None) -> bytes:
    """RFC 6733 §3; every identifier is one that nobody uses."""
    size = 20 + len(body) if length is None else length
    first, second = 1 << 24 | size, flags << 24 | command
    return struct.pack(">IIIII", first, second, numbers.SWM, 0xDEAD, 0xBEEF) + body


def avp(code: int, value: bytes, flags: int = 0x40, length: int | None = None) -> bytes:
    """RFC 6733 §4.1."""
    size = 8 + len(value) if length is None else length
    return struct.pack(">II", code, flags << 24 | size) + value + bytes(-len(value) % 4)


ORIGIN = avp(264, HOST.encode()) + avp(296, REALM.encode())
SESSION = avp(263, b"somebody;else;1")

ENDS_THE_CONNECTION = {
    "noise": bytes(range(256)) * 4,
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3,
    "a length of nothing": message(0x40, 268, length=0),
    "a length that is too short": message(0x40, 268, length=12),
    "a length beyond every bound": message(0x40, 268, length=0xFFFFFF),
    "version 9": b"\x09" + message(0x40, 268)[1:],
}
IS_ANSWERED_OR_DROPPED = {
    "an answer to nothing": message(0x40, 268, SESSION + ORIGIN + avp(268, b"\0\0\x07\xd1")),
    "an answer to an STR that never was": message(0x40, 275, SESSION + ORIGIN),
    "a command of nobody": message(0xC0, 999, SESSION + ORIGIN),
    "a DER to the client": message(0xC0, 268, SESSION + ORIGIN),
    "a second CEA": message(0x00, 257, ORIGIN + avp(268, b"\0\0\x07\xd1")),
    "an ASR for an unknown session": message(0xC0, 274, SESSION + ORIGIN),
    "an ASR with a loop": message(0xC0, 274, SESSION + ORIGIN + avp(282, f"ecs1.{REALM}".encode())),
    "a DWA out of turn": message(0x00, 280, ORIGIN + avp(268, b"\0\0\x07\xd1")),
}


@asynccontextmanager
async def wired(lab: LabFolder, folder: Path) -> AsyncIterator[tuple[WholeNode, Wire]]:
    """A node with a wire to its AAA."""
    async with running_aaa() as aaa, wire_to(aaa.port) as wire:
        path = lab.prepare(folder, [(HOST, wire.port)], QUICK_END)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            yield node, wire


def peer_of(node: WholeNode) -> PeerStatistics:
    return node.node.router.statistics().peers[0]


def noticed(node: WholeNode) -> int:
    """Everything of the AAA that the node has counted as out of order."""
    peer = peer_of(node)
    return peer.malformed + peer.unexpected + peer.requests_received


@pytest.mark.parametrize("what", ENDS_THE_CONNECTION)
async def test_octets_that_are_no_diameter_cost_that_connection_alone(
    lab: LabFolder, tmp_path: Path, what: str
) -> None:
    async with wired(lab, tmp_path) as (node, wire):
        await wire.inject(ENDS_THE_CONNECTION[what])
        await node.until(lambda: peer_of(node).connections == 2)
        assert peer_of(node).malformed == 1
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


@pytest.mark.parametrize("what", IS_ANSWERED_OR_DROPPED)
async def test_messages_that_nobody_waits_for_are_counted_and_cost_nothing(
    lab: LabFolder, tmp_path: Path, what: str
) -> None:
    async with wired(lab, tmp_path) as (node, wire):
        await wire.inject(IS_ANSWERED_OR_DROPPED[what])
        assert (await node.phone(1).authenticate()).ok
        assert peer_of(node).connections == 1
        assert noticed(node) == 1 or what == "a DWA out of turn"
        await node.at_rest()


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "without any AVP": lambda body: b"",
    "without a result": lambda body: body.replace(avp(268, b"\0\0\x03\xe9"), b""),
    "with a result of three octets": lambda body: body.replace(
        avp(268, b"\0\0\x03\xe9"), avp(268, b"\0\x03\xe9")
    ),
    "with an AVP longer than the message": lambda body: body + avp(462, b"x", length=5_000),
    "with an AVP of no length": lambda body: body + avp(462, b"x", length=0),
}
# Readable: the first AVP of a kind counts, and what the node need not understand is passed over.
ODD: dict[str, Callable[[bytes], bytes]] = {
    "with a second result": lambda body: body + avp(268, b"\0\0\x07\xd1"),
    "with an unknown mandatory AVP": lambda body: body + avp(0xFFFF, b"x"),
    "with a second payload": lambda body: body + avp(462, b"\x01\x01\x00\x04"),
}


@pytest.mark.parametrize("what", [*CONTENTS, *ODD])
async def test_a_dea_that_cannot_be_right_is_a_transient_fault_at_most(
    lab: LabFolder, tmp_path: Path, what: str
) -> None:
    """Q-HTTP-3: never 400, 403 or 500 for what the AAA did; the next phone is served."""
    async with wired(lab, tmp_path) as (node, wire):
        results: list[PhoneResult] = []
        wire.cut = True  # we answer in the AAA's place

        async def authenticate() -> None:
            results.append(await node.phone(1).authenticate())

        request = trio.Event()
        wire.heard = request.set
        async with trio.open_nursery() as nursery:
            nursery.start_soon(authenticate)
            with trio.fail_after(5):
                await request.wait()
            der = wire.last
            good = avp(263, session_of(der)) + avp(268, b"\0\0\x03\xe9") + ORIGIN
            body = {**CONTENTS, **ODD}[what](good + avp(462, b"\x01\x02\x00\x08\x17\x01\x00\x00"))
            head = struct.pack(">II", 1 << 24 | 20 + len(body), 0x40 << 24 | 268)
            await wire.inject(head + der[8:20] + body)
        assert results[0].status == (200 if what in ODD else 503), results
        assert (results[0].retry_after is None) is (what in ODD)
        wire.cut = False
        await node.connected_to_aaa()
        assert (await node.phone(2).authenticate()).ok
        if what not in ODD:  # then a challenge waits for a phone that cannot read it
            await node.at_rest()


def session_of(der: bytes) -> bytes:
    """Session-Id, which stands first."""
    size = int.from_bytes(der[25:28], "big")
    return der[28 : 20 + size]
