"""One trace over several workers: in the order of time, told of lost events, ended in time."""

from collections.abc import Callable
from contextlib import aclosing

import pytest
import trio
from trio.testing import MockClock

from actors.trace.recorder import TooManyTraces, TraceEvent
from node.trace.event_json import HEARTBEAT, TraceEnd, end_line, event_line, read_line
from node.workers.answering import ARMED
from node.workers.control import Piece
from node.workers.merged_trace import HOLD_SECONDS, MergedTrace
from node.workers.process import WorkerSilent

IMSI = "001010000000001"


class Traced:
    """A worker process that is asked for a trace."""

    def __init__(self, refusal: Piece | None = None, *, gone: bool = False) -> None:
        self.refusal = refusal
        self.gone = gone
        self.asked: dict[str, str] = {}
        self.closed: list[int] = []
        self.reader: Callable[[Piece], None] = lambda _: None

    def open(self, what: str, arguments: dict[str, str], reader: Callable[[Piece], None]) -> int:
        assert what == "trace"
        if self.gone:
            raise WorkerSilent("gone")
        self.asked, self.reader = arguments, reader
        reader(self.refusal or Piece(7, ARMED, last=False))
        return 7

    def close(self, number: int) -> None:
        self.closed.append(number)

    def tell(self, time: float, text: str) -> None:
        event = TraceEvent(time, "1.1", "mno", IMSI, "decision", "out", text)
        self.reader(Piece(7, event_line(event), last=False))


async def texts(trace: MergedTrace, count: int) -> list[str]:
    found: list[str] = []
    async with aclosing(trace.lines()) as lines:
        async for line in lines:
            event = read_line(line)
            if isinstance(event, TraceEvent):
                found.append(str(event.payload))
            if len(found) == count:
                break
    return found


async def test_events_come_in_the_order_of_their_time(autojump_clock: MockClock) -> None:
    one, two = Traced(), Traced()
    trace = MergedTrace(IMSI, 60.0, hide=True)
    await trace.arm([one, two])  # type: ignore[list-item]
    assert one.asked == {"imsi": IMSI, "seconds": "60.0", "hide": "1"}
    one.tell(3.0, "third")
    two.tell(1.0, "first")
    one.tell(2.0, "second")
    assert await texts(trace, 3) == ["first", "second", "third"]
    trace.close()
    assert one.closed == two.closed == [7]


async def test_an_event_waits_no_longer_than_others_may_need(autojump_clock: MockClock) -> None:
    one = Traced()
    trace = MergedTrace(IMSI, 60.0, hide=False)
    await trace.arm([one])  # type: ignore[list-item]
    one.tell(1.0, "only")
    began = trio.current_time()
    assert await texts(trace, 1) == ["only"]
    assert trio.current_time() - began == pytest.approx(HOLD_SECONDS, abs=0.01)


async def test_it_ends_with_its_time_and_adds_up_what_was_lost(autojump_clock: MockClock) -> None:
    one, two = Traced(), Traced()
    trace = MergedTrace(IMSI, 5.0, hide=True)
    await trace.arm([one, two])  # type: ignore[list-item]
    for worker, lost in ((one, 2), (two, 3)):
        worker.reader(Piece(7, end_line(lost), last=False))
    lines = [line async for line in trace.lines()]
    assert lines[:-1] == [HEARTBEAT] * len(lines[:-1])
    assert len(lines) > 4
    assert read_line(lines[-1]) == TraceEnd(5)


async def test_a_worker_that_starts_meanwhile_belongs_to_it(autojump_clock: MockClock) -> None:
    one, late = Traced(), Traced()
    trace = MergedTrace(IMSI, 60.0, hide=True)
    await trace.arm([one, Traced(gone=True)])  # type: ignore[list-item]
    await trio.sleep(20)
    trace.add(late)  # type: ignore[arg-type]
    assert float(late.asked["seconds"]) == pytest.approx(40.0)
    late.tell(1.0, "late")
    assert await texts(trace, 1) == ["late"]


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (Piece(7, b"16 traces are running", "full"), TooManyTraces),
        (Piece(7, b"seconds is more than 0", "value"), ValueError),
    ],
)
async def test_what_a_worker_refuses_is_refused(piece: Piece, error: type[Exception]) -> None:
    trace = MergedTrace(IMSI, 60.0, hide=True)
    with pytest.raises(error, match=piece.body.decode()):
        await trace.arm([Traced(), Traced(piece)])  # type: ignore[list-item]
