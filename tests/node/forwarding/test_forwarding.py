"""Requests between workers: served by the owner, or gone on with when it is not there."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from node.forwarding.forwarding import Exchange, Forwarding
from node.forwarding.messages import Ask, decode, encode
from node.forwarding.outlet import SLACK_SECONDS, TAKE_SECONDS
from node.forwarding.place import Place
from node.frames import LONGEST, FrameCutter, FrameTooLong, framed
from protocols.http.message import HttpRequest, HttpResponse

NODE = 0xABCDEF
ANSWER_SECONDS = 2.0


def request(number: int = 1) -> HttpRequest:
    return HttpRequest(b"POST", b"/", b"aes:443", [(b"cookie", b"c=%d" % number)], b"body")


@dataclass
class Device:
    """An exchange of a device, as a listener gives it to a surface."""

    peer: str = "192.0.2.7"
    server_name: str = "aes.example"
    http_version: str = "2"
    gone: bool = False
    on_gone: Callable[[], None] | None = None
    responses: list[HttpResponse] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)

    def answer(self, response: HttpResponse) -> None:
        self.responses.append(response)
        self.changed.set()

    def go_on(self) -> None:
        """What the asking worker would do by itself."""
        self.responses.append(HttpResponse(299))
        self.changed.set()

    def leave(self) -> None:
        self.gone = True
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            on_gone()

    async def status(self) -> int:
        with trio.fail_after(10):
            await self.changed.wait()
        (response,) = self.responses
        return response.status


class Worker:
    """One worker with its forwarding; keeps the requests that it is given."""

    def __init__(self, folder: Path, number: int, workers: int = 2) -> None:
        self.place = Place(number, workers, NODE, folder)
        self.turn = Turn()
        self.timers = TimerWheel(self.turn)
        self.forwarding = Forwarding(
            self.place, self.turn, self.timers, answer_seconds=ANSWER_SECONDS
        )
        self.forwarding.serve_with(self.handle)
        self.asked: list[tuple[HttpRequest, Exchange]] = []
        self.arrived = trio.Event()
        self.at_once: HttpResponse | None = None

    def handle(self, http: HttpRequest, exchange: Exchange) -> None:
        self.asked.append((http, exchange))
        if self.at_once is not None:
            exchange.answer(self.at_once)
        self.arrived.set()

    def forward(self, owner: "Worker", device: Device, number: int = 1) -> None:
        self.forwarding.forward(owner.place.owner, request(number), device, device.go_on)
        self.turn.end()

    async def next(self) -> Exchange:
        with trio.fail_after(10):
            await self.arrived.wait()
        self.arrived = trio.Event()
        return self.asked[-1][1]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.timers.run)
            await nursery.start(self.forwarding.run)
            task_status.started()


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        for worker in workers:
            await nursery.start(worker.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_the_owner_serves_a_request_as_its_device_sent_it(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        device = Device()
        one.forward(two, device)
        exchange = await two.next()
        http = two.asked[0][0]
        assert (http.method, http.target, http.authority) == (b"POST", b"/", b"aes:443")
        assert (http.headers, http.body) == ([(b"cookie", b"c=1")], b"body")
        assert (exchange.peer, exchange.server_name) == ("192.0.2.7", "aes.example")
        assert (exchange.http_version, exchange.gone) == ("2", False)
        exchange.answer(HttpResponse(200, b"text/xml", b"<x/>", ((b"etag", b"1"),)))
        two.turn.end()
        assert await device.status() == 200
        (response,) = device.responses
        assert (response.content_type, response.body) == (b"text/xml", b"<x/>")
        assert response.headers == ((b"etag", b"1"),)
        exchange.answer(HttpResponse(500))  # only the first counts
        two.turn.end()
        assert one.forwarding.statistics().answered == 1
        assert two.forwarding.statistics().served == 1
        assert one.forwarding.statistics().waiting == two.forwarding.statistics().serving == 0


async def test_many_requests_travel_together_and_none_is_mixed_up(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        devices = [Device() for _ in range(500)]
        for number, device in enumerate(devices):
            one.forwarding.forward(two.place.owner, request(number), device, device.go_on)
        one.turn.end()
        with trio.fail_after(10):
            while len(two.asked) < 500:
                await two.next()
        for http, exchange in reversed(two.asked):
            exchange.answer(HttpResponse(200, b"", http.headers[0][1]))
        two.turn.end()
        for number, device in enumerate(devices):
            assert await device.status() == 200
            assert device.responses[0].body == b"c=%d" % number


async def test_a_device_that_leaves_is_gone_at_the_owner_as_well(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        device = Device()
        one.forward(two, device)
        exchange = await two.next()
        left = trio.Event()
        exchange.on_gone = left.set
        device.leave()
        one.turn.end()
        with trio.fail_after(10):
            await left.wait()
        assert exchange.gone
        assert device.responses == []
        assert one.forwarding.statistics().abandoned == 1
        assert two.forwarding.statistics().lost == 1


async def test_an_owner_that_does_not_listen_is_gone(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one):
        device = Device()
        one.forward(two, device)
        assert await device.status() == 299
        assert one.forwarding.statistics().gone_on == {"down": 1}


async def test_an_owner_that_comes_back_is_found_again(tmp_path: Path) -> None:
    one = Worker(tmp_path, 1)
    async with running(one):
        for _ in range(2):
            two = Worker(tmp_path, 2)
            two.at_once = HttpResponse(200)
            async with running(two):
                device = Device()
                one.forward(two, device)
                assert await device.status() == 200
            device = Device()
            one.forward(two, device)
            assert await device.status() == 299


async def test_an_owner_that_dies_with_a_request_is_gone_on_without(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one):
        device = Device()
        async with running(two):
            one.forward(two, device)
            await two.next()
        assert await device.status() == 299
        assert one.forwarding.statistics().gone_on == {"lost": 1}


async def test_a_worker_that_dies_takes_its_devices_with_it(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(two):
        left = trio.Event()
        async with running(one):
            one.forward(two, Device())
            (await two.next()).on_gone = left.set
        with trio.fail_after(10):
            await left.wait()


async def test_an_owner_that_says_nothing_is_given_up_soon(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """SIGSTOP: it is connected to, and reads nothing."""
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(two.place.socket_of(2)))
        silent.listen()
        async with running(one):
            began = trio.current_time()
            device = Device()
            one.forward(two, device)
            assert await device.status() == 299
            assert trio.current_time() - began < TAKE_SECONDS + SLACK_SECONDS + 0.2
            assert one.forwarding.statistics().gone_on == {"late": 1}
            connected, _ = silent.accept()
            # What it will read when it goes on: the request, and that nobody wants it any more.
            asked, gone = (decode(one)[0] for one in FrameCutter().cut(connected.recv(65_536)))
            assert isinstance(asked, Ask)
            assert gone.number == asked.number  # type: ignore[union-attr]
            connected.close()


async def test_an_owner_that_was_stopped_too_long_does_not_serve_what_it_finds(
    tmp_path: Path,
) -> None:
    two = Worker(tmp_path, 2)
    ask = Ask(7, 0.0, 2, "", "", "2", b"POST", b"/", b"", [], b"")
    async with running(two), await trio.open_unix_socket(two.place.socket_of(2)) as late:
        await late.send_all(encode([ask]))
        (refused,) = decode(FrameCutter().cut(await late.receive_some())[0])
        assert refused.number == 7  # type: ignore[union-attr]
        assert two.asked == []
        assert two.forwarding.statistics().refused == 1


async def test_a_slow_answer_is_waited_for_and_one_that_never_comes_is_503(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It was taken: the AAA may have been asked, so nobody else asks it again."""
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        slow, lost = Device(), Device()
        one.forward(two, slow)
        exchange = await two.next()
        one.forward(two, lost)
        await two.next()
        await trio.sleep(ANSWER_SECONDS)
        exchange.answer(HttpResponse(200))
        two.turn.end()
        assert await slow.status() == 200
        assert await lost.status() == 503
        assert lost.responses[0].header(b"retry-after")
        assert one.forwarding.statistics().excused == 1


async def test_nothing_goes_round_in_circles(tmp_path: Path) -> None:
    """A request may have the cookies of two owners; whoever gets it by the first serves it."""
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        device = Device()
        one.forward(two, device)
        exchange = await two.next()
        went_on = []
        two.forwarding.forward(one.place.owner, request(), exchange, lambda: went_on.append(1))
        assert went_on == [1]
        assert one.asked == []


@pytest.mark.parametrize("owner", [0, NODE << 8 | 3, (NODE + 1) << 8 | 2, NODE << 8 | 1])
async def test_an_owner_that_is_not_of_this_node_is_gone(tmp_path: Path, owner: int) -> None:
    one = Worker(tmp_path, 1)
    async with running(one):
        device = Device()
        one.forwarding.forward(owner, request(), device, device.go_on)
        assert await device.status() == 299
        assert one.forwarding.statistics().gone_on == {"elsewhere": 1}


async def test_a_bug_in_serving_another_workers_request_is_503(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)

    def fails(http: HttpRequest, exchange: Exchange) -> None:
        raise ZeroDivisionError

    two.forwarding.serve_with(fails)
    async with running(one, two):
        device = Device()
        one.forward(two, device)
        assert await device.status() == 503
        assert two.turn.crashes == 1


async def test_a_worker_that_leaves_answers_what_it_took_and_refuses_the_rest(
    tmp_path: Path,
) -> None:
    one, two = Worker(tmp_path, 1), Worker(tmp_path, 2)
    async with running(one, two):
        before, after = Device(), Device()
        one.forward(two, before)
        exchange = await two.next()
        two.forwarding.refuse()
        one.forward(two, after)
        assert await after.status() == 299
        assert one.forwarding.statistics().gone_on == {"refused": 1}
        exchange.answer(HttpResponse(200))
        two.turn.end()
        assert await before.status() == 200


async def test_a_successor_gets_the_requests_of_its_predecessors_devices(tmp_path: Path) -> None:
    """They are held until it listens."""
    old, new = Worker(tmp_path, 2), Worker(tmp_path, 2)
    async with running(old) as nursery:
        old.forwarding.refuse()
        devices = [Device() for _ in range(3)]
        for device in devices:
            old.forwarding.hand_over(request(), device)
        devices[1].leave()
        await trio.testing.wait_all_tasks_blocked()
        await nursery.start(new.run)
        new.at_once = HttpResponse(200)
        assert [await devices[0].status(), await devices[2].status()] == [200, 200]
        assert len(new.asked) == 2
        late = Device()
        old.forwarding.hand_over(request(), late)
        old.turn.end()
        assert await late.status() == 200
        assert old.forwarding.statistics().handed_over == 4


async def test_a_successor_that_never_comes_is_503(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    old = Worker(tmp_path, 2)
    async with running(old):
        old.forwarding.refuse()
        device = Device()
        old.forwarding.hand_over(request(), device)
        assert await device.status() == 503


async def test_a_request_handed_over_may_still_reach_the_owner_of_its_session(
    tmp_path: Path,
) -> None:
    old, new, other = Worker(tmp_path, 2), Worker(tmp_path, 2), Worker(tmp_path, 1)
    other.at_once = HttpResponse(200)
    async with running(old, other) as nursery:
        old.forwarding.refuse()
        await nursery.start(new.run)
        device = Device()
        old.forwarding.hand_over(request(), device)
        exchange = await new.next()
        new.forwarding.forward(other.place.owner, request(), exchange, device.go_on)
        new.turn.end()
        assert await device.status() == 200
        assert len(other.asked) == 1


async def test_a_stranger_on_the_socket_is_thrown_out(tmp_path: Path) -> None:
    two = Worker(tmp_path, 2)
    async with running(two):
        for octets in (
            framed(b"\xc1"),
            (LONGEST + 1).to_bytes(4, "big"),
            framed(b"\x91\x92\x09\x01"),
        ):
            async with await trio.open_unix_socket(two.place.socket_of(2)) as stranger:
                await stranger.send_all(octets)
                with trio.fail_after(10):
                    assert await stranger.receive_some() == b""
        assert two.asked == []


def test_frames_are_cut_wherever_the_stream_is_cut() -> None:
    contents = [b"", b"a", b"bc" * 1_000]
    stream = b"".join(map(framed, contents))
    assert FrameCutter().cut(stream) == contents
    cutter = FrameCutter()
    found = [frame for at in range(len(stream)) for frame in cutter.cut(stream[at : at + 1])]
    assert found == contents
    with pytest.raises(FrameTooLong):
        cutter.cut((LONGEST + 1).to_bytes(4, "big"))
