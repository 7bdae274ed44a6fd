"""The capture file: read back block by block, and by tshark."""

import dataclasses
import io
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from actors.trace.recorder import TraceEvent
from node.pcapng import TLS_NOTE, PcapngWriter, http_message
from node.trace.redaction import redacted
from node.trace.tcp_synthesis import MAX_SEGMENT_OCTETS, TcpConnection, checksum
from protocols.http.message import HttpRequest, HttpResponse, text_response

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def capture(events: list[TraceEvent]) -> bytes:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    for event in events:
        writer.add(event)
    return file.getvalue()


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        yield kind, data[at + 8 : at + length - 4]
        at += length


def frames(data: bytes) -> list[bytes]:
    return [
        body[20 : 20 + struct.unpack_from("<I", body, 12)[0]]
        for kind, body in blocks(data)
        if kind == 6
    ]


def tshark(path: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        ["tshark", "-r", str(path), *arguments], capture_output=True, check=True, text=True
    )
    return done.stdout.splitlines()


def test_the_file_is_made_of_whole_blocks(exchange: list[TraceEvent]) -> None:
    kinds = Counter(kind for kind, _ in blocks(capture(exchange)))
    assert kinds[0x0A0D0D0A] == kinds[1] == 1
    assert kinds[4] == 2  # the node and the AAA; the phone has an address
    assert kinds[6] == 2 * 3 + 8 * 2  # two handshakes, eight messages with acknowledgement


def test_sequence_numbers_and_checksums_hold() -> None:
    connection = TcpConnection((IPv4Address("192.0.2.7"), 50_000), (IPv4Address("192.0.2.1"), 80))
    data = bytes(range(256)) * 16  # 4096 octets: three segments
    written = [
        *connection.open(),
        *connection.send(data, from_client=True),
        *connection.send(b"ok", from_client=False),
    ]
    received = {50_000: b"", 80: b""}
    expected = {50_000: 0, 80: 0}
    for frame in written:
        header, segment = frame[14:34], frame[34:]
        assert checksum(header) == 0
        assert checksum(header[12:20] + struct.pack(">HH", 6, len(segment)) + segment) == 0
        port, _, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", segment)
        part = segment[(offset >> 4) * 4 :]
        assert len(part) <= MAX_SEGMENT_OCTETS
        if flags & 2:
            expected[port] = sequence + 1
        else:
            assert sequence == expected[port]
            expected[port] += len(part)
        received[port] += part
    assert received == {50_000: data, 80: b"ok"}
    assert len(written) == 3 + 4 + 2


def test_time_never_runs_backwards(exchange: list[TraceEvent]) -> None:
    events = [exchange[1], dataclasses.replace(exchange[2], time=exchange[1].time - 1)]
    stamps = [
        struct.unpack_from("<II", body, 4) for kind, body in blocks(capture(events)) if kind == 6
    ]
    assert stamps == sorted(stamps)


def test_reasons_and_the_note_on_tls_are_comments(exchange: list[TraceEvent]) -> None:
    data = capture(exchange)
    comments = [body for kind, body in blocks(data) if kind == 6 and TLS_NOTE.encode() in body]
    assert len(comments) == 1
    assert b"decision: ap2004 enabled: the plan has vowifi, terms accepted" in data


def test_addresses_that_are_not_ipv4_get_one_and_keep_their_name(
    exchange: list[TraceEvent],
) -> None:
    phones = [
        dataclasses.replace(exchange[0], peer=peer, exchange=peer)
        for peer in ("2001:db8::7", "2001:db8::8", "192.0.2.99", "")
    ]
    data = capture(phones)
    sources = [str(IPv4Address(frame[26:30])) for frame in frames(data)]
    assert [sources[at] for at in range(0, len(sources), 5)] == [
        "203.0.113.1", "203.0.113.2", "192.0.2.99", "203.0.113.3"
    ]  # fmt: skip
    assert b"\xcb\x00\x71\x012001:db8::7\0" in data


def test_http_is_rendered_in_the_form_of_1_1() -> None:
    request = HttpRequest(
        b"POST", b"/x?y=1", b"aes.example", [(b"content-length", b"9"), (b"a", b"b\r\nc")], b"body"
    )
    assert http_message(request) == (
        b"POST /x?y=1 HTTP/1.1\r\nhost: aes.example\r\na: b  c\r\ncontent-length: 4\r\n\r\nbody"
    )
    assert http_message(text_response(503, "later", ((b"retry-after", b"10"),))) == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"retry-after: 10\r\ncontent-length: 6\r\n\r\nlater\n"
    )
    assert http_message(HttpResponse(599)) == b"HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n"


@pytest.mark.interop
@pytest.mark.slow
@needs_tshark
def test_tshark_decodes_both_legs_without_a_warning(
    exchange: list[TraceEvent], tmp_path: Path
) -> None:
    path = tmp_path / "trace.pcapng"
    path.write_bytes(capture(exchange))
    fields = [
        "frame.number", "http.request.method", "http.response.code", "diameter.cmd.code",
        "diameter.Result-Code", "eap.code", "eap.type", "_ws.expert.severity", "tcp.dstport",
    ]  # fmt: skip
    arguments = [part for field in fields for part in ("-e", field)]
    rows = [line.split("\t") for line in tshark(path, "-T", "fields", *arguments)]
    assert len(rows) == 22
    assert [row[1] or row[2] for row in rows if row[1] or row[2]] == ["GET", "200", "POST", "200"]
    assert [(row[3], row[4]) for row in rows if row[3]] == [
        ("268", ""), ("268", "1001"), ("268", ""), ("268", "2001")
    ]  # fmt: skip
    assert [(row[5], row[6]) for row in rows if row[5]] == [
        ("2", "1"), ("1", "23"), ("2", "23"), ("3", "")
    ]  # fmt: skip
    # Warnings and errors are 0x600000 and 0x800000; the chat about SYN is 0x200000.
    severities = {int(one, 0) for row in rows for one in row[7].split(",") if one}
    assert all(severity < 0x400000 for severity in severities), severities


@pytest.mark.interop
@pytest.mark.slow
@needs_tshark
def test_tshark_reads_a_redacted_trace_as_well_and_finds_no_secret(
    exchange: list[TraceEvent], secrets: tuple[bytes, ...], tmp_path: Path
) -> None:
    path = tmp_path / "trace.pcapng"
    data = capture([redacted(event) for event in exchange])
    path.write_bytes(data)
    assert all(secret not in data for secret in secrets)
    shown = tshark(path, "-Y", "diameter || http", "-V")
    text = "\n".join(shown)
    assert "Malformed" not in text
    assert text.count("Diameter Protocol") == 4
    assert "RAND" in text
    assert "EAP-Master-Session-Key" in text
    assert "Media type: application/vnd.gsma.eap-relay.v1.0+json" in text
    assert "decision: ap2004 enabled" in text  # as the comment of a packet
