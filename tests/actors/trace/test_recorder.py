"""A trace gets what it asked for, ends in time, and never holds up who records."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.trace.recorder import LONGEST_SECONDS, TRACES, TooManyTraces, TraceEvent, TraceRecorder

IMSI = "001010000000001"
OTHER_IMSI = "001010000000002"


def event(text: str = "entitled", imsi: str = IMSI) -> TraceEvent:
    return TraceEvent(1_700_000_000.0, "x1", "op1", imsi, "decision", "out", text)


async def test_nothing_is_armed_at_first_and_nothing_is_kept() -> None:
    recorder = TraceRecorder()
    assert not recorder.armed
    assert not recorder.wants(IMSI)
    recorder.record(event())
    assert recorder.statistics().recorded == 0


async def test_a_trace_gets_the_events_of_its_subscriber_alone_in_order() -> None:
    recorder = TraceRecorder()
    with recorder.arm(IMSI, 60.0, 10) as trace:
        assert recorder.armed
        assert recorder.wants(IMSI)
        assert not recorder.wants(OTHER_IMSI)
        recorder.record(event("first"))
        recorder.record(event("not mine", OTHER_IMSI))
        recorder.record(event("second"))
        assert [(await anext(trace)).payload for _ in range(2)] == ["first", "second"]
    assert not recorder.armed
    assert not recorder.wants(IMSI)


async def test_two_readers_of_one_subscriber_get_everything_each() -> None:
    recorder = TraceRecorder()
    with recorder.arm(IMSI, 60.0, 10) as one:
        with recorder.arm(IMSI, 60.0, 10) as two:
            recorder.record(event())
            assert (await anext(one)) is (await anext(two))
        assert recorder.wants(IMSI)
        recorder.record(event("later"))
        assert (await anext(one)).payload == "later"


async def test_a_slow_reader_loses_the_newest_events_and_that_is_counted() -> None:
    recorder = TraceRecorder()
    with recorder.arm(IMSI, 60.0, 2) as trace:
        for text in ("a", "b", "c", "d"):
            recorder.record(event(text))
        assert [(await anext(trace)).payload for _ in range(2)] == ["a", "b"]
        assert trace.lost == 2
        statistics = recorder.statistics()
        assert (statistics.armed, statistics.recorded, statistics.lost) == (1, 2, 2)


async def test_time_ends_a_trace_whose_reader_waits(autojump_clock: MockClock) -> None:
    recorder = TraceRecorder()
    with recorder.arm(IMSI, 30.0, 2) as trace:
        recorder.record(event())
        assert [one.payload async for one in trace] == ["entitled"]
    assert trio.current_time() == 30.0
    assert not recorder.armed


async def test_time_ends_a_trace_that_nobody_reads(mock_clock: MockClock) -> None:
    recorder = TraceRecorder()
    recorder.arm(IMSI, 30.0, 2)
    mock_clock.jump(30.0)
    assert not recorder.wants(IMSI)
    assert not recorder.armed


async def test_closing_ends_the_reader_after_the_events_that_wait() -> None:
    recorder = TraceRecorder()
    trace = recorder.arm(IMSI, 30.0, 2)
    got: list[object] = []

    async def read() -> None:
        got.extend([one.payload async for one in trace])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        recorder.record(event())
        trace.close()
        trace.close()  # a second time is nothing
    assert got == ["entitled"]


async def test_traces_are_bounded_and_those_that_time_ended_make_room(
    mock_clock: MockClock,
) -> None:
    recorder = TraceRecorder()
    for number in range(TRACES):
        recorder.arm(f"00101000000{number:04}", 10.0, 1)
    with pytest.raises(TooManyTraces):
        recorder.arm(IMSI, 10.0, 1)
    mock_clock.jump(10.0)
    recorder.arm(IMSI, 10.0, 1)
    assert recorder.statistics().armed == 1


async def test_neither_an_event_nor_a_trace_shows_whose_it_is() -> None:
    recorder = TraceRecorder()
    with recorder.arm(IMSI, 30.0, 2) as trace:
        recorder.record(event("secret"))
        for text in (repr(trace), repr(event("secret"))):
            assert IMSI not in text
            assert "secret" not in text
        assert repr(trace) == "<Trace of 00101…01 waiting=1 lost=0>"


@pytest.mark.parametrize("seconds", [0.0, -1.0, LONGEST_SECONDS + 1, float("nan")])
async def test_a_trace_has_a_time_that_ends(seconds: float) -> None:
    recorder = TraceRecorder()
    with pytest.raises(ValueError, match="seconds is more than 0 and at most 3600"):
        recorder.arm(IMSI, seconds, 1)
    assert not recorder.armed
