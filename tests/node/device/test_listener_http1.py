"""HTTP/1.1 through the listener: real sockets, real TLS, the real machine."""

import gc
import re
import socket
import ssl
import struct

import pytest
import trio

from node.device.connection import DeviceConnection
from node.device.exchange import Exchange
from protocols.http.message import HttpRequest, HttpResponse
from tests.node.device.running_listener import Listening, answer_later, read_response, read_to_end


@pytest.mark.parametrize("alpn", [("http/1.1",), ("http/1.1", "spdy/3"), ()])
async def test_a_request_is_answered_and_the_connection_kept(
    listening: Listening, alpn: tuple[str, ...]
) -> None:
    async with listening() as running:
        tls = await running.connect_tls(*alpn)
        for target in (b"/one", b"/two?x=1"):
            await tls.send_all(b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
            head, body = await read_response(tls)
            assert head.startswith(b"HTTP/1.1 200")
            assert body == target
        statistics = running.listener.statistics()
        assert (statistics.accepted, statistics.requests, statistics.open) == (1, 2, 1)
        assert statistics.protocols == {"http/1.1": 1}
        await tls.aclose()
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().closed == {"peer_closed": 1}


async def test_an_answer_may_come_later_from_elsewhere(listening: Listening) -> None:
    async with listening(answer_later) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nhi")
        await running.until(lambda now: now.requests == 1)
        exchange = running.exchanges[0]
        assert (exchange.gone, exchange.answered) == (False, False)
        assert exchange.server_name == "localhost"
        assert exchange.peer == "127.0.0.1"
        assert exchange.http_version == "1.1"
        exchange.answer(HttpResponse(200, b"text/plain", b"first"))
        exchange.answer(HttpResponse(500, b"text/plain", b"second"))
        running.turn.end()
        head, body = await read_response(tls)
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"first"
        assert (exchange.gone, exchange.answered) == (False, True)


async def test_octet_by_octet_is_the_same(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        for octet in b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n":
            await tls.send_all(bytes([octet]))
        assert (await read_response(tls))[1] == b"/slow"


async def test_many_records_of_one_segment_are_all_read_before_the_answer(
    listening: Listening,
) -> None:
    """`SSLObject.read` gives one record at a time: the body comes in 100 of them."""
    async with listening() as running:
        tls = await running.connect_tls()
        await tls.send_all(b"POST /r HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000\r\n\r\n")
        outgoing = tls._outgoing  # the records gather here, then leave at once
        for _ in range(100):
            tls._ssl_object.write(b"x" * 100)
        await tls.transport_stream.send_all(outgoing.read())
        assert (await read_response(tls))[1] == b"/r"
        assert running.requests[0].body == b"x" * 10_000


async def test_a_reset_tells_whoever_works_for_the_device(listening: Listening) -> None:
    async with listening(answer_later) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        told: list[str] = []
        exchange = running.exchanges[0]
        exchange.on_gone = lambda: told.append("gone")
        # l_onoff, l_linger: close sends RST
        tls.transport_stream.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        tls.transport_stream.socket.close()
        await running.until(lambda now: now.open == 0)
        assert told == ["gone"]
        assert exchange.gone
        exchange.answer(HttpResponse(200, b"text/plain", b"for nobody"))
        running.turn.end()
        statistics = running.listener.statistics()
        assert statistics.closed == {"reset": 1}
        assert statistics.abandoned == 1


async def test_a_device_that_leaves_without_close_notify_is_no_error(
    listening: Listening,
) -> None:
    async with listening(answer_later) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        statistics = running.listener.statistics()
        assert statistics.closed == {"peer_closed": 1}
        assert statistics.abandoned == 1
        assert statistics.protocol_errors == {}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_close_notify_is_answered(listening: Listening, version: ssl.TLSVersion) -> None:
    async with listening() as running:
        context = running.lab.client_context()
        context.maximum_version = version
        tls = trio.SSLStream(await running.connect(), context, server_hostname="localhost")
        with trio.fail_after(5):
            await tls.unwrap()  # sends close-notify and waits for the other one
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().closed == {"close_notify": 1}


async def test_a_device_that_half_closes_gets_the_answer_of_that_step(
    listening: Listening,
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        outgoing = tls._outgoing
        tls._ssl_object.write(b"GET /half HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            tls._ssl_object.unwrap()
        await tls.transport_stream.send_all(outgoing.read())
        tls._incoming.write(await read_to_end(tls.transport_stream))
        assert tls._ssl_object.read(4_096).endswith(b"/half")


async def test_mail_about_a_lost_device_is_worked_off_in_the_same_turn(
    listening: Listening,
) -> None:
    async with listening(answer_later) as running:
        mail: list[str] = []
        worked_off: list[str] = []

        def work() -> None:
            worked_off.extend(mail)
            mail.clear()

        running.turn.before_flush(work)
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        running.exchanges[0].on_gone = lambda: mail.append("gone")
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        assert worked_off == ["gone"]


async def test_a_handler_with_a_bug_costs_one_503(listening: Listening) -> None:
    def fail(request: HttpRequest, exchange: Exchange) -> None:
        if request.target == b"/bug":
            raise KeyError("a bug")
        exchange.answer(HttpResponse(200, b"text/plain", b"fine"))

    async with listening(fail, bugs_expected=True) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET /bug HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head, _ = await read_response(tls)
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 30" in head.lower()
        # Without it Samsung's client does not read Retry-After.
        assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$", head)
        await tls.send_all(b"GET /fine HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await read_response(tls))[1] == b"fine"
        assert running.listener.statistics().crashes == 1
        assert [type(error) for error in running.crashes] == [KeyError]


async def test_a_field_that_would_split_the_response_becomes_a_503(listening: Listening) -> None:
    def split(_request: HttpRequest, exchange: Exchange) -> None:
        fields = ((b"location", b"x\r\nset-cookie: y"),)
        exchange.answer(HttpResponse(302, b"text/plain", b"", fields))

    async with listening(split, bugs_expected=True) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head, _ = await read_response(tls)
        assert head.startswith(b"HTTP/1.1 503")
        assert b"set-cookie" not in head
        assert running.listener.statistics().crashes == 1


async def test_a_callback_with_a_bug_ends_nothing(listening: Listening) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    async with listening(answer_later, bugs_expected=True) as running:
        first = await running.connect_tls()
        await first.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        running.exchanges[0].on_gone = fail
        await first.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        second = await running.connect_tls()
        await second.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 2)
        running.exchanges[1].answer(HttpResponse(200, b"text/plain", b"fine"))
        running.turn.end()
        assert (await read_response(second))[1] == b"fine"


async def test_connection_close_is_answered_then_closed_with_close_notify(
    listening: Listening,
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        data = b""
        while part := await tls.receive_some():
            data += part
        assert data.endswith(b"/a")
        # SSLStream gave b"" instead of raising: the close-notify came. Now the other direction.
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().closed == {"ended": 1}


async def test_a_protocol_error_is_answered_and_counted_by_name(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/9.9\r\n\r\n")
        assert (await read_response(tls))[0].startswith(b"HTTP/1.1 ")
        await tls.aclose()
        await running.until(lambda now: now.open == 0)
        errors = running.listener.statistics().protocol_errors
        assert sum(errors.values()) == 1
        assert all(name.startswith("http1_") for name in errors)


async def test_stopping_the_listener_closes_everything_and_tells_the_waiting(
    listening: Listening,
) -> None:
    told: list[str] = []
    async with listening(answer_later) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        running.exchanges[0].on_gone = lambda: told.append("gone")
        assert running.listener.ready
    assert told == ["gone"]
    assert not running.listener.ready
    assert running.listener.statistics().closed == {"stopped": 1}
    with pytest.raises(OSError, match=r"refused|all attempts"):
        await running.connect()
    with trio.fail_after(1):
        assert await tls.transport_stream.receive_some() == b""


async def test_closed_connections_leave_no_cycles_for_the_collector(listening: Listening) -> None:
    """A reference cycle per connection would keep each alive until a full collection."""
    async with listening() as running:
        for _ in range(2):  # the first round warms caches
            gc.collect()
            gc.disable()
            try:
                tls = await running.connect_tls("http/1.1")
                await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                await read_response(tls)
                await tls.transport_stream.aclose()
                await running.until(lambda now: now.open == 0)
                running.exchanges.clear()
                running.requests.clear()
                left = [one for one in gc.get_objects() if type(one) is DeviceConnection]
            finally:
                gc.enable()
        assert left == []
