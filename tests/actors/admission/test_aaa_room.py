"""What may be asked of the AAA: by its own rate of answers, and little after an outage."""

from itertools import pairwise

import pytest

from actors.admission.aaa_room import (
    OUTAGE_SECONDS,
    PROBES,
    RAMP_SECONDS,
    AaaRoom,
    AaaSample,
    AaaState,
)


class Server:
    """An AAA that answers so many a second, in order."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.able = True
        self.in_flight = 0
        self.answers = 0
        self._done = 0.0

    def work(self, seconds: float) -> None:
        self._done = min(self._done + seconds * self.rate, float(self.in_flight))
        done = int(self._done)
        self._done -= done
        self.in_flight -= done
        self.answers += done

    def sample(self) -> AaaSample:
        return AaaSample(self.able, self.in_flight, self.answers)


def offer(
    room: AaaRoom, server: Server, rate: int, seconds: float, now: float, *, greedy: bool = False
) -> tuple[float, list[tuple[float, str]]]:
    """Offer new authentications evenly; when each was decided, and why not."""
    decided = []
    for _ in range(round(rate * seconds)):
        now += 1 / rate
        server.work(1 / rate)
        if room.wants_sample(now, greedy=greedy):
            room.observe(server.sample(), now)
        why = room.takes(now, greedy=greedy)
        decided.append((now, why))
        if not why:
            server.in_flight += 1
    return now, decided


def admitted(decided: list[tuple[float, str]]) -> int:
    return sum(not why for _, why in decided)


def test_an_aaa_that_follows_is_asked_everything() -> None:
    room = AaaRoom(1.0, 64, 50.0)
    _, decided = offer(room, Server(2_000.0), 1_000, 5.0, 10.0)
    assert admitted(decided) == len(decided)


def test_a_slow_aaa_has_a_short_queue() -> None:
    """Offered three times what it can: its queue stays near a second, whatever the load."""
    room, server = AaaRoom(1.0, 64, 50.0), Server(300.0)
    now, _ = offer(room, server, 900, 10.0, 10.0)
    _, decided = offer(room, server, 900, 10.0, now)
    assert admitted(decided) == pytest.approx(3_000, rel=0.1)
    assert server.in_flight / server.rate <= 1.3
    assert {why for _, why in decided} == {"", "aaa busy"}


def test_an_aaa_that_says_nothing_is_sent_no_more_than_the_least() -> None:
    room, server = AaaRoom(1.0, 64, 50.0), Server(0.0)
    offer(room, server, 1_000, 5.0, 10.0)
    assert server.in_flight == 64


def test_a_tenant_over_its_share_leaves_room_at_the_aaa() -> None:
    room, server = AaaRoom(1.0, 100, 50.0), Server(0.0)
    now, _ = offer(room, server, 1_000, 1.0, 10.0, greedy=True)
    assert server.in_flight == 80
    offer(room, server, 1_000, 1.0, now)
    assert server.in_flight == 100


def test_during_an_outage_only_probes_pass() -> None:
    room, server = AaaRoom(1.0, 64, 50.0), Server(0.0)
    server.able = False
    now, decided = offer(room, server, 1_000, 4.0, 10.0)
    assert admitted(decided) == pytest.approx(5 * PROBES, abs=1)
    assert room.out_seconds(now) == pytest.approx(4.0, abs=0.1)
    assert decided[-1][1] == "aaa outage"


def test_after_an_outage_the_rate_begins_small_and_doubles_each_second() -> None:
    room, server = AaaRoom(1.0, 64, 50.0), Server(0.0)
    server.able = False
    now, _ = offer(room, server, 1_000, 5.0, 10.0)
    server.able, server.rate = True, 5_000.0
    by_second = []
    for _ in range(6):
        now, decided = offer(room, server, 2_000, 1.0, now)
        by_second.append(admitted(decided))
        if len(by_second) == 1:
            assert room.state is AaaState.RAMP
    assert 50 <= by_second[0] <= 120
    assert all(after > before * 1.5 for before, after in pairwise(by_second[:5]))
    now, _ = offer(room, server, 2_000, RAMP_SECONDS, now)
    assert room.state is AaaState.ABLE
    assert room.outages == 1
    _, decided = offer(room, server, 2_000, 1.0, now)
    assert admitted(decided) == len(decided)


def test_a_connection_that_is_back_at_once_makes_no_slow_start() -> None:
    room, server = AaaRoom(1.0, 64, 50.0), Server(5_000.0)
    server.able = False
    now, _ = offer(room, server, 100, OUTAGE_SECONDS / 2, 10.0)
    server.able = True
    _, decided = offer(room, server, 1_000, 1.0, now)
    assert room.outages == 0
    assert admitted(decided) == len(decided)
