"""The registry of sessions and its interpreter: real store, real timers, an AAA that obeys."""

import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.counters import Counters
from actors.diameter.outcomes import (
    EapOutcome,
    EapRequest,
    NoAnswer,
    NoAnswerReason,
    ServerRequest,
)
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from actors.session.cookie import CookieSeal
from actors.session.sessions import Sessions
from actors.session.user_data import UserDataSeal
from actors.store.sqlite import SqliteStore
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.model import Config, Diameter, Tenant
from config.model import Sessions as Limits
from config.model import Store as StoreSettings
from protocols.http.message import HttpRequest
from tests.actors.session.session_bench import (
    ANSWER,
    CHALLENGE,
    IMEI,
    IMSI,
    RESYNC,
    FakeExchange,
    dea,
    get,
    post,
)

CONFIG = Config(
    diameter=Diameter(origin_host="ecs1.x", origin_realm="x"),
    tenants=(Tenant(id="mno", plmns=("00101",)),),
)
MNO = CONFIG.tenants[0]
HTTP = HttpRequest(b"GET", b"/", b"localhost", [])
KEY = b"k" * 32


class ObedientAaa:
    """Answers each DER with the next of its outcomes, or later when told to."""

    def __init__(self) -> None:
        self.outcomes: deque[EapOutcome] = deque()
        self.asked: list[EapRequest] = []
        self.terminated: list[EapRequest] = []
        self.waiting: list[Callable[[EapOutcome], None]] = []
        self._count = 0

    def request(self, der: EapRequest, reply: Callable[[EapOutcome], None]) -> None:
        self.asked.append(der)
        if self.outcomes:
            reply(self.outcomes.popleft())
        else:
            self.waiting.append(reply)

    def terminate(self, request: EapRequest) -> None:
        self.terminated.append(request)

    def new_session_id(self, actor: str) -> bytes:
        self._count += 1
        return f"ecs1.x;1;{self._count};ecs1-{actor}".encode()


class Office:
    """All that sessions need, in one place."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.turn = Turn()
        self.timers = TimerWheel(self.turn)
        self.aaa = ObedientAaa()
        self.counters = Counters()
        self.recorder = TraceRecorder()
        self.store = SqliteStore(path, StoreSettings(), self.turn.end)
        self.sessions = Sessions(
            limits or CONFIG.sessions,
            aaa=self.aaa,
            bss=self.store,
            store=self.store,
            timers=self.timers,
            counters=self.counters,
            recorder=self.recorder,
            seal=CookieSeal((KEY,)),
            user_data=UserDataSeal((KEY,), os.urandom),
            tenants=Tenants(CONFIG),
        )
        self.turn.before_flush(self.sessions.pool.run_ready)

    def authenticate(self, **parameters: str) -> FakeExchange:
        exchange = FakeExchange()
        self.sessions.authenticate(MNO, get(**parameters), exchange, HTTP)
        self.turn.end()
        return exchange

    def relay(self, packet: bytes, *cookies: str) -> FakeExchange:
        exchange = FakeExchange()
        self.sessions.relay(post(packet, *cookies), exchange, HTTP)
        self.turn.end()
        return exchange

    def with_token(self, token: str, **parameters: str) -> FakeExchange:
        exchange = FakeExchange()
        request = get(**{"EAP_ID": "", "IMSI": IMSI, "token": token, **parameters})
        self.sessions.serve_with_token(MNO, request, exchange, HTTP, lambda: self.no_good(exchange))
        self.turn.end()
        return exchange

    @staticmethod
    def no_good(exchange: FakeExchange) -> None:
        exchange.answers.clear()
        exchange.gone = True

    async def abort(self, session_id: bytes) -> int:
        """An ASR; the result code that the AAA gets."""
        codes: list[int] = []
        self.sessions.serve_aaa(ServerRequest(274, session_id, b"aaa1"), codes.append)
        self.turn.end()
        await until(lambda: codes)
        return codes[0]

    def eap_event(self, name: str) -> int:
        return next(one for one in self.counters.all() if one.name == "eap_events").rows.get(
            ("mno", name), 0
        )


@asynccontextmanager
async def office(path: Path, limits: Limits | None = None) -> AsyncIterator[Office]:
    one = Office(path, limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(one.store.run)
        await nursery.start(one.timers.run)
        yield one
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for the database thread."""
    with trio.fail_after(5):
        while not condition():
            await trio.lowlevel.checkpoint()


def cookie_of(exchange: FakeExchange) -> str:
    line = exchange.answers[0].header(b"set-cookie") or b""
    name, _, value = line.decode().partition(";")[0].partition("=")
    assert name == "SID"
    return value


def token_of(exchange: FakeExchange) -> str:
    body = exchange.answers[0].body.decode()
    return body.partition('name="token" value="')[2].partition('"')[0]


async def authenticated(one: Office) -> tuple[str, str]:
    """A whole authentication; (cookie, token)."""
    one.aaa.outcomes.extend([dea(1001, CHALLENGE), dea(2001)])
    cookie = cookie_of(one.authenticate())
    exchange = one.relay(ANSWER, cookie)
    await until(lambda: exchange.answers)
    assert exchange.answers[0].status == 200
    return cookie, token_of(exchange)


async def test_two_legs_lead_to_a_document_and_one_str(tmp_path: Path) -> None:
    """EAP-13a, EAP-14a."""
    async with office(tmp_path / "node.db") as one:
        _, token = await authenticated(one)
        assert len(token) > 40
        assert len(one.aaa.asked) == 2
        assert len(one.aaa.terminated) == 1
        assert one.eap_event("success") == 1


async def test_a_token_is_served_without_the_aaa_and_survives_a_restart(tmp_path: Path) -> None:
    """TOK-26, TOK-28."""
    async with office(tmp_path / "node.db") as one:
        _, token = await authenticated(one)
        exchange = one.with_token(token)
        assert exchange.answers[0].status == 200
        assert token_of(exchange) == token
    async with office(tmp_path / "node.db") as again:
        assert again.with_token(token).answers[0].status == 200
        assert again.aaa.asked == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"token": "nonsense"},
        {"terminal_id": "350000000000026"},
        {"IMSI": "001010000000002"},
        {"app": "ap2003"},
        {"app_name": "other"},
    ],
    ids=lambda one: next(iter(one)),
)
async def test_a_token_of_something_else_is_no_good(
    tmp_path: Path, parameters: dict[str, str]
) -> None:
    """TOK-27, TOK-29."""
    async with office(tmp_path / "node.db") as one:
        _, token = await authenticated(one)
        assert one.with_token(**{"token": token, **parameters}).answers == []


async def test_an_exchange_goes_on_after_a_restart_from_its_cookie(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as before:
        before.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(before.authenticate())
        session_id = before.aaa.asked[0].session_id
    async with office(tmp_path / "node.db") as after:
        after.aaa.outcomes.append(dea(2001))
        exchange = after.relay(ANSWER, cookie)
        await until(lambda: exchange.answers)
        assert exchange.answers[0].status == 200
        der = after.aaa.asked[0]
        assert (der.session_id, der.state, der.destination_host) == (
            session_id,
            b"st01",
            dea(1001).origin_host,
        )
        assert after.with_token(token_of(exchange)).answers[0].status == 200


async def test_an_answer_that_the_aaa_has_seen_of_a_dead_process_is_challenged_anew(
    tmp_path: Path,
) -> None:
    """A challenge is good for one answer; 403 would stop the device. The second 403 is meant."""
    async with office(tmp_path / "node.db") as before:
        before.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(before.authenticate())
    async with office(tmp_path / "node.db") as after:
        second = CHALLENGE[:1] + b"\x03" + CHALLENGE[2:]
        after.aaa.outcomes.extend([dea(4001), dea(1001, second), dea(4001)])
        assert after.relay(ANSWER, cookie).answers[0].status == 200
        assert after.aaa.asked[1].session_id != after.aaa.asked[0].session_id
        answer = ANSWER[:1] + b"\x03" + ANSWER[2:]
        assert after.relay(answer, cookie).answers[0].status == 403


async def test_an_answer_to_a_round_lost_with_another_process_is_challenged_anew(
    tmp_path: Path,
) -> None:
    """The cookie knows the first challenge only; 400 would stop a Samsung phone until reboot."""
    async with office(tmp_path / "node.db") as before:
        second = CHALLENGE[:1] + b"\x03" + CHALLENGE[2:]
        before.aaa.outcomes.extend([dea(1001, CHALLENGE), dea(1001, second)])
        cookie = cookie_of(before.authenticate())
        before.relay(RESYNC, cookie)
    async with office(tmp_path / "node.db") as after:
        third = CHALLENGE[:1] + b"\x07" + CHALLENGE[2:]
        after.aaa.outcomes.extend([dea(1001, third), dea(2001)])
        exchange = after.relay(ANSWER[:1] + b"\x03" + ANSWER[2:], cookie)
        assert b"eap-relay-packet" in exchange.answers[0].body
        assert after.aaa.asked[0].session_id != before.aaa.asked[0].session_id
        assert after.aaa.asked[0].destination_host == b""
        final = after.relay(ANSWER[:1] + b"\x07" + ANSWER[2:], cookie)
        await until(lambda: final.answers)
        assert token_of(final)


async def test_an_aaa_that_accepts_without_a_challenge_after_a_lost_round_is_not_believed(
    tmp_path: Path,
) -> None:
    async with office(tmp_path / "node.db") as before:
        before.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(before.authenticate())
    async with office(tmp_path / "node.db") as after:
        after.aaa.outcomes.append(dea(2001))
        exchange = after.relay(ANSWER[:1] + b"\x03" + ANSWER[2:], cookie)
        assert exchange.answers[0].status == 503


async def test_a_resumed_session_that_is_not_finished_is_reaped(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with office(tmp_path / "node.db") as before:
        before.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(before.authenticate())
    async with office(tmp_path / "node.db") as after:
        assert after.relay(ANSWER[:-1], cookie).answers[0].status == 400
        assert after.sessions.pool.statistics().alive == 1
        await trio.sleep(CONFIG.sessions.challenge_seconds + 1)
        assert after.sessions.pool.statistics().alive == 0


async def test_a_boost_request_stays_one_over_a_restart(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as before:
        before.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(before.authenticate(app="ap2010", boost_type="0"))
    async with office(tmp_path / "node.db") as after:
        after.aaa.outcomes.append(dea(2001))
        exchange = after.relay(ANSWER, cookie)
        await until(lambda: exchange.answers)
        assert b"EntitlementStatus" in exchange.answers[0].body
        assert b"5GSAInfo" not in exchange.answers[0].body


async def test_an_exchange_that_is_over_does_not_rise_from_its_cookie(tmp_path: Path) -> None:
    """EAP-22."""
    async with office(tmp_path / "node.db", Limits(finished_seconds=0.01)) as one:
        cookie, _ = await authenticated(one)
        await until(lambda: one.sessions.pool.statistics().alive == 0)
        asked = len(one.aaa.asked)
        assert one.relay(ANSWER, cookie).answers[0].status == 511
        assert len(one.aaa.asked) == asked


async def test_an_exchange_that_the_aaa_aborted_does_not_go_on(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        one.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(one.authenticate())
        session_id = one.aaa.asked[0].session_id
        assert await one.abort(session_id) == 2001
        assert one.relay(ANSWER, cookie).answers[0].status == 511
        assert len(one.aaa.asked) == 1


async def test_nobody_waits_for_a_session_that_ended_under_their_request(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        one.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(one.authenticate())
        exchange = FakeExchange()
        abort = ServerRequest(274, one.aaa.asked[0].session_id, b"aaa1")
        one.sessions.serve_aaa(abort, lambda code: None)
        one.sessions.relay(post(ANSWER, cookie), exchange, HTTP)  # in the same turn
        one.turn.end()
        assert exchange.answers[0].status == 503


@pytest.mark.parametrize("cookies", [(), ("unknown",), ("3" * 300,)])
async def test_an_answer_without_a_known_cookie_reaches_no_aaa(
    tmp_path: Path, cookies: tuple[str, ...]
) -> None:
    """EAP-19."""
    async with office(tmp_path / "node.db") as one:
        exchange = one.relay(ANSWER, *cookies)
        assert exchange.answers[0].status == 511
        assert one.aaa.asked == []


async def test_a_stale_cookie_before_the_right_one_does_no_harm(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        one.aaa.outcomes.extend([dea(1001, CHALLENGE), dea(2001)])
        cookie = cookie_of(one.authenticate())
        exchange = one.relay(ANSWER, "stale", cookie)
        await until(lambda: exchange.answers)
        assert exchange.answers[0].status == 200


async def test_every_challenge_of_an_exchange_has_the_same_cookie(tmp_path: Path) -> None:
    """EAP-15."""
    async with office(tmp_path / "node.db") as one:
        second = CHALLENGE[:1] + b"\x03" + CHALLENGE[2:]
        one.aaa.outcomes.extend([dea(1001, CHALLENGE), dea(1001, second)])
        cookie = cookie_of(one.authenticate())
        assert cookie_of(one.relay(RESYNC, cookie)) == cookie
        assert one.eap_event("resync") == 1


async def test_an_abandoned_exchange_is_reaped(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """EAP-24."""
    async with office(tmp_path / "node.db") as one:
        one.aaa.outcomes.append(dea(1001, CHALLENGE))
        cookie = cookie_of(one.authenticate())
        await trio.sleep(CONFIG.sessions.challenge_seconds + 1)
        assert one.sessions.pool.statistics().alive == 0
        assert one.eap_event("abandoned") == 1
        assert not any(one.sessions.sizes().values())
        assert cookie


async def test_nothing_is_left_of_a_finished_exchange(tmp_path: Path) -> None:
    limits = Limits(finished_seconds=0.01)
    async with office(tmp_path / "node.db", limits) as one:
        _, token = await authenticated(one)
        one.with_token(token)
        await until(lambda: one.sessions.pool.statistics().alive == 0)
        assert not any(one.sessions.sizes().values())


async def test_a_device_that_leaves_before_its_challenge_leaves_nothing(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        exchange = one.authenticate()
        exchange.leave()
        one.aaa.waiting.pop()(dea(1001, CHALLENGE))
        one.turn.end()
        assert exchange.answers == []
        assert one.sessions.pool.statistics().alive == 0


async def test_one_terminal_cannot_fill_the_node(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db", Limits(max_requests_per_device=2)) as one:
        waiting = [one.authenticate() for _ in range(2)]
        third = one.authenticate()
        assert third.answers[0].status == 503
        assert third.answers[0].header(b"retry-after")
        assert one.authenticate(terminal_id="350000000000026").answers == []
        for reply in list(one.aaa.waiting):
            reply(NoAnswer(NoAnswerReason.TIMEOUT))
        one.turn.end()
        assert [exchange.answers[0].status for exchange in waiting] == [503, 503]
        assert one.authenticate().answers == []  # room again


async def test_a_full_node_answers_503(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db", Limits(capacity=1)) as one:
        one.authenticate()
        refused = one.authenticate(terminal_id="350000000000026")
        assert refused.answers[0].status == 503


async def test_an_abort_of_the_aaa_revokes_the_tokens(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        _, token = await authenticated(one)
        session_id = one.aaa.asked[0].session_id
        assert await one.abort(session_id) == 2001
        assert one.with_token(token).answers == []  # revoked before the AAA was told so
    async with office(tmp_path / "node.db") as later:
        assert await later.abort(session_id) == 2001  # known by its token alone
        assert await later.abort(b"other;1;1") == 5002


async def test_an_abort_that_could_not_be_kept_is_5012(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        await authenticated(one)
        one.store._writer._accepting = False
        assert await one.abort(one.aaa.asked[0].session_id) == 5012


async def test_a_notification_token_is_registered_once(tmp_path: Path) -> None:
    """APP-42."""
    async with office(tmp_path / "node.db") as one:
        _, token = await authenticated(one)
        statuses = []
        for push in ("fcm-1", "fcm-1", "fcm-2"):
            exchange = one.with_token(token, notif_action="2", notif_token=push)
            await until(lambda exchange=exchange: exchange.answers)
            body = exchange.answers[0].body.decode()
            statuses.append(body.partition('RegisterNotifStatus" value="')[2][0])
        assert statuses == ["0", "2", "0"]


async def test_a_bug_in_one_session_costs_that_session_and_answers_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path / "node.db") as one:
        broken = one.authenticate()
        sound = one.authenticate(terminal_id="350000000000026")
        bad, good = one.aaa.waiting
        monkeypatch.setattr(
            "actors.session.authentication.inspect_request", lambda _: 1 / 0, raising=True
        )
        bad(dea(1001, CHALLENGE))
        one.turn.end()
        assert broken.answers[0].status == 503
        monkeypatch.undo()
        good(dea(1001, CHALLENGE))
        one.turn.end()
        assert sound.answers[0].status == 200
        assert one.sessions.pool.statistics().crashes == 1


async def test_a_trace_sees_both_legs_and_the_reasons(tmp_path: Path) -> None:
    async with office(tmp_path / "node.db") as one:
        trace = one.recorder.arm(IMSI, 60, 100)
        await authenticated(one)
        trace.close()
        events = [event async for event in trace]
        assert {type(event.imsi) for event in events} == {str}  # encoders take no subclasses
        legs = [(event.leg, event.direction) for event in events]
        assert legs[:4] == [("http", "in"), ("swm", "out"), ("swm", "in"), ("http", "out")]
        assert ("decision", "out") in legs
        assert legs[-1] == ("http", "out")


def test_the_terminal_of_the_tests_is_an_imei() -> None:
    assert len(IMEI) == 15
