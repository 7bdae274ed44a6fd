"""The small parts of the Diameter client on their own: back-off, breaker, redirects, views."""

import random

import pytest
import trio
from trio.testing import MockClock

from actors.diameter.back_off import BackOff
from actors.diameter.outcomes import (
    EapAnswer,
    EapProfile,
    EapRequest,
    NoAnswer,
    NoAnswerReason,
    ServerRequest,
)
from actors.diameter.peer_statistics import LATENCY_BOUNDS, LatencyHistogram
from actors.diameter.redirects import MAX_ENTRIES, Redirect, RedirectCache, Subject
from actors.diameter.unrecognised import MAX_NAMES, Unrecognised
from actors.runtime.breaker import LONGEST_OPEN_SECONDS, BreakerState, CircuitBreaker
from config.model import Diameter
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message, decode
from protocols.diameter.encoding import encode_avp, encode_message
from tests.actors.diameter.lab import NODE, REALM, Lab, first_round, silence

SETTINGS = Diameter(origin_host=NODE, origin_realm=REALM)


class Middle(random.Random):
    """No jitter."""

    def random(self) -> float:
        return 0.5


# --- back-off -----------------------------------------------------------------------------------


def test_the_delay_doubles_up_to_tc_and_starts_afresh_after_a_stable_connection() -> None:
    back_off = BackOff(SETTINGS, Middle())
    assert back_off.seconds == 0.0
    delays = []
    for _ in range(7):
        back_off.after_loss(0.0)
        delays.append(back_off.seconds)
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    back_off.after_loss(9.9)
    assert back_off.seconds == 30
    back_off.after_loss(10.0)
    assert back_off.seconds == 1
    back_off.at_once()
    assert back_off.seconds == 0


@pytest.mark.parametrize(
    ("cause", "comes_back", "seconds"),
    [
        (numbers.REBOOTING, True, 30),
        (numbers.BUSY, True, 300),
        (numbers.DO_NOT_WANT_TO_TALK_TO_YOU, False, 30),
    ],
)
def test_a_disconnect_cause_decides_the_delay(cause: int, comes_back: bool, seconds: float) -> None:
    back_off = BackOff(SETTINGS, Middle())
    assert back_off.after_disconnect(cause) is comes_back
    assert back_off.seconds == seconds


async def test_a_peer_that_shall_stay_away_comes_back_when_the_operator_says_so(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    lab = Lab(nursery)
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    aaa.client.stop(numbers.DO_NOT_WANT_TO_TALK_TO_YOU)
    lab.turn.end()
    await trio.sleep(1000)
    assert not router.ready
    router._peers[aaa.name].peer.start()
    await lab.settle()
    assert router.ready


# --- breaker ------------------------------------------------------------------------------------


def test_a_breaker_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker()
    for _ in range(20):
        for _ in range(4):
            breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert breaker.opened == 0


def test_an_open_breaker_lets_one_probe_through_and_waits_longer_each_time() -> None:
    breaker = CircuitBreaker()
    now = 0.0
    for _ in range(5):
        breaker.failed(now)
    waits = []
    for _ in range(7):
        assert breaker.state(now) is BreakerState.OPEN
        assert not breaker.allows(now)
        opened = now
        while not breaker.allows(now):
            now += 0.5
        waits.append(now - opened)
        assert breaker.state(now) is BreakerState.HALF_OPEN
        breaker.started()
        assert not breaker.allows(now)
        breaker.failed(now)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert waits[-1] == LONGEST_OPEN_SECONDS
    assert breaker.opened == 8


def test_a_lost_probe_makes_room_for_the_next() -> None:
    breaker = CircuitBreaker()
    for _ in range(5):
        breaker.failed(0.0)
    breaker.started()
    breaker.probe_lost()
    assert breaker.allows(10.0)
    breaker.started()
    breaker.succeeded()
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_latencies_fall_into_their_buckets() -> None:
    histogram = LatencyHistogram()
    for bound in LATENCY_BOUNDS:
        histogram.add(bound)
    histogram.add(100.0)
    assert histogram.buckets == [1] * (len(LATENCY_BOUNDS) + 1)
    assert histogram.count == len(LATENCY_BOUNDS) + 1
    assert histogram.total_seconds == sum(LATENCY_BOUNDS) + 100


# --- redirects ----------------------------------------------------------------------------------

SUBJECT = Subject(b"session", b"realm", b"swm", b"user", b"host")
OTHER = Subject(b"session2", b"realm2", b"swa", b"user2", b"host2")


@pytest.mark.parametrize(
    "usage",
    [
        numbers.ALL_SESSION,
        numbers.ALL_REALM,
        numbers.REALM_AND_APPLICATION,
        numbers.ALL_APPLICATION,
        numbers.ALL_HOST,
        numbers.ALL_USER,
    ],
)
def test_a_redirect_holds_for_what_its_usage_names_and_for_its_time(usage: int) -> None:
    cache = RedirectCache()
    cache.put(Redirect(("aaa2",), usage, 10), SUBJECT, 0.0)
    assert cache
    assert cache.find(SUBJECT, 9.9) == ("aaa2",)
    assert cache.find(OTHER, 9.9) == ()
    assert cache.find(SUBJECT, 10.0) == ()
    assert not cache


def test_the_more_specific_redirect_wins() -> None:
    cache = RedirectCache()
    cache.put(Redirect(("realm",), numbers.ALL_REALM, 10), SUBJECT, 0.0)
    cache.put(Redirect(("session",), numbers.ALL_SESSION, 10), SUBJECT, 0.0)
    assert cache.find(SUBJECT, 1.0) == ("session",)


@pytest.mark.parametrize(
    "redirect",
    [
        Redirect(("aaa2",), numbers.DONT_CACHE, 10),
        Redirect(("aaa2",), numbers.ALL_REALM, 0),
        Redirect((), numbers.ALL_REALM, 10),
        Redirect(("aaa2",), 99, 10),
    ],
)
def test_a_redirect_without_use_or_time_is_not_kept(redirect: Redirect) -> None:
    cache = RedirectCache()
    cache.put(redirect, SUBJECT, 0.0)
    assert not cache


def test_the_number_of_redirects_is_bounded() -> None:
    cache = RedirectCache()
    for number in range(MAX_ENTRIES + 5):
        subject = Subject(b"%d" % number, b"r", b"a", b"u", b"h")
        cache.put(Redirect(("aaa2",), numbers.ALL_SESSION, 10), subject, 0.0)
    assert cache.find(Subject(b"0", b"r", b"a", b"u", b"h"), 1.0) == ("aaa2",)
    assert cache.find(Subject(b"%d" % MAX_ENTRIES, b"r", b"a", b"u", b"h"), 1.0) == ()
    cache.put(Redirect(("aaa3",), numbers.ALL_SESSION, 10), SUBJECT, 11.0)
    assert cache.find(SUBJECT, 12.0) == ("aaa3",)


# --- the server's own requests ------------------------------------------------------------------


async def test_a_server_learns_that_no_answer_comes(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    lab = Lab(nursery)
    aaa = lab.aaa("aaa1", silence)
    await lab.router("aaa1")
    answers: list[Message | None] = []
    ask = (aaa.client, numbers.ABORT_SESSION, numbers.SWM, b"", answers.append)
    for far in aaa.connections:
        assert far.other is not None
        far.other.mute = True
    aaa.server.request(*ask)
    lab.turn.end()
    await trio.sleep(5.1)
    assert answers == [None]
    aaa.server.request(*ask, seconds=50.0)
    lab.turn.end()
    aaa.crash()
    await lab.settle()
    assert answers == [None, None]
    aaa.server.request(*ask)
    assert answers == [None, None, None]


async def test_a_client_that_was_not_declared_is_refused(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    lab = Lab(nursery)
    aaa = lab.aaa("aaa1")
    aaa.server._known = set()
    router = await lab.router("aaa1")
    assert router.statistics().peers[0].last_error == "CEA with result 3010"


# --- nothing names a subscriber -----------------------------------------------------------------


def test_no_repr_names_a_subscriber_or_holds_a_key() -> None:
    answer = EapAnswer(0, 2001, user_name=b"0001010", raw=b"0001010", msisdn=b"0001010")
    shown = [
        first_round(),
        answer,
        NoAnswer(NoAnswerReason.TIMEOUT, b"0001010"),
        ServerRequest(258, b"a;1;2", b"aaa1", b"0001010"),
        EapRequest(EapProfile(), b"a;1;2", b"0001010", b"0001010", b"realm"),
    ]
    assert all("0001010" not in repr(one) for one in shown)


def test_invented_avps_do_not_fill_the_memory() -> None:
    found = Unrecognised()
    for code in range(10_000, 10_000 + MAX_NAMES + 50):
        row = d.Avp(code, "Unknown", d.AvpType.OCTET_STRING, True)
        found.look_at(decode(encode_message(0, 268, 0, 1, 2, encode_avp(row, b""))), "aaa1")
    assert len(found.counts) == MAX_NAMES + 1
    assert found.counts["others"] == 50
