"""AAAs that are down, die, stay silent, are slow or say good-bye; and what they ask of the node."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from scripts.lab.aaa_behaviour import parse_behaviour as behaviour
from scripts.lab.aaa_running import HOST, REALM, running_aaa
from scripts.lab.phone import Outcome, PhoneResult
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import LabFolder, WholeNode, asking, free_port, serving
from tests.node.whole.wire import wire_to

SECOND = f"aaa2.{REALM}"
QUICK_END = {"sessions": {"finished-seconds": 0.05}}
FIRST_PREFERRED = {**QUICK_END, "diameter": {"peers": {0: {"priority": 1}, 1: {"priority": 2}}}}
IN_TIME_SECONDS = 1.0  # the budget of QUICK for one DER at all peers


def is_excused(result: PhoneResult) -> bool:
    """503 with Retry-After, in time."""
    return (
        (result.outcome, result.status) == (Outcome.REFUSED, 503)
        and (result.retry_after or "").isdigit()
        and result.legs[-1][1] < IN_TIME_SECONDS + 0.3
    )


async def test_a_node_starts_without_its_aaa_and_serves_as_soon_as_it_comes(
    lab: LabFolder, tmp_path: Path
) -> None:
    """EAP-18a: not ready, 503 at once; then everything works without a restart."""
    port = free_port()
    async with serving(lab, lab.prepare(tmp_path, [(HOST, port)])) as node:
        assert not node.node.router.ready
        result = await node.phone(1).authenticate()
        assert is_excused(result), result
        assert result.legs[-1][1] < 0.2  # nobody is waited for
        async with running_aaa(port=port) as aaa:
            node.waiting.watch(aaa.turn)
            await node.until(lambda: node.node.router.ready)
            assert (await node.phone(1).authenticate()).ok


async def test_tokens_are_served_while_the_aaa_is_down(whole: Whole) -> None:
    """TOK-26: the phones that were here before do not notice."""
    async with whole() as node:
        phone = await node.with_token(1)
        node.aaa.disconnect()
        await node.until(lambda: node.open_peers() == 0)
        assert (await node.get(asking(phone))).status == 200


@pytest.mark.parametrize("round_number", [1, 2])
async def test_an_aaa_that_dies_with_a_request_costs_that_exchange_alone(
    whole: Whole, round_number: int
) -> None:
    async with whole(QUICK_END) as node:
        node.behave(f"reset,round={round_number}")
        result = await node.phone(1).authenticate()
        assert is_excused(result), result
        assert result.challenges == round_number - 1
        node.behave("")
        await node.connected_to_aaa()
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


async def test_an_aaa_that_dies_between_the_legs_may_come_back_in_time(whole: Whole) -> None:
    """The card is read and the person types: the connection is another one afterwards."""
    async with whole(QUICK_END) as node, node.connected() as connection:
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        node.aaa.reset()
        await node.until(lambda: node.open_peers() == 0)
        await node.connected_to_aaa()
        answer = answer_of(phone, leg.response)
        assert (await relay(answer, connection, leg.cookie_field)).status == 200


@pytest.mark.parametrize("round_number", [1, 2])
async def test_a_silent_aaa_is_given_up_in_time(whole: Whole, round_number: int) -> None:
    """Q-TR-1."""
    async with whole(QUICK_END) as node:
        node.behave(f"silent,round={round_number}")
        result = await node.phone(1).authenticate()
        assert is_excused(result), result
        assert result.legs[-1][1] >= 0.4
        node.behave("")
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


async def test_a_slow_aaa_is_waited_for(whole: Whole) -> None:
    async with whole(QUICK_END) as node:
        node.behave("delay=0.2")
        result = await node.phone(1).authenticate()
        assert result.ok, result
        assert min(seconds for name, seconds in result.legs if name != "connect") >= 0.2


async def test_an_answer_that_comes_too_late_is_dropped(whole: Whole) -> None:
    async with whole(QUICK_END) as node:
        node.behave("delay=2.5,round=1")  # far behind the budget, which a lone AAA has all of
        assert is_excused(await node.phone(1).authenticate())
        await node.until(
            lambda: sum(one.unexpected for one in node.node.router.statistics().peers) == 1
        )
        node.behave("")
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


async def test_an_aaa_that_says_goodbye_is_answered_and_comes_back(whole: Whole) -> None:
    """DPR, REBOOTING: DPA, then a new connection after Tc."""
    async with whole(QUICK_END) as node:
        node.behave("disconnect,round=1")
        result = await node.phone(1).authenticate()
        assert is_excused(result), result
        assert result.challenges == 1
        node.behave("")
        await node.connected_to_aaa()
        assert (await node.phone(1).authenticate()).ok
        statistics = node.node.router.statistics().peers[0]
        assert (statistics.reconnects, statistics.malformed) == (1, 0)


async def test_a_dead_aaa_is_noticed_by_its_watchdog(
    lab: LabFolder, tmp_path: Path, mock_clock: MockClock
) -> None:
    """RFC 3539: the way to the host is cut, the sockets stay open."""
    mock_clock.rate = 1.0
    async with running_aaa() as aaa, wire_to(aaa.port) as wire:
        path = lab.prepare(tmp_path, [(HOST, wire.port)], QUICK_END)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            wire.cut = True
            jumps = 0
            while node.open_peers():  # DWR, suspect, closed
                mock_clock.jump(33)  # Tw and its jitter
                await wait_all_tasks_blocked()
                jumps += 1
            wire.cut = False
            assert jumps <= 4
            await node.until(lambda: wire.connections == 2)
            await node.connected_to_aaa()
            assert (await node.phone(1).authenticate()).ok


# --- two AAAs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset", "silent"])
async def test_the_first_request_fails_over_with_the_t_bit(whole: Whole, fault: str) -> None:
    """RFC 6733 §5.5.4: the same End-to-End Identifier at the other AAA."""
    async with whole(FIRST_PREFERRED, aaas=(HOST, SECOND)) as node:
        first, second = (node.requests_to(one) for one in node.aaas)
        node.aaas[0].behaviours.set("*", behaviour(fault))
        result = await node.phone(1).authenticate()
        assert (result.ok, result.challenges) == (True, 1), result
        assert not first[0].flags & numbers.FLAG_RETRANSMIT
        assert second[0].flags & numbers.FLAG_RETRANSMIT
        assert second[0].end_to_end == first[0].end_to_end
        assert second[0].raw[20:] == first[0].raw[20:]
        # The conversation stays where it began; the STR comes last.
        await node.until(lambda: len(second) == 3)
        assert [one.flags & numbers.FLAG_RETRANSMIT for one in second[1:]] == [0, 0]
        await node.at_rest()


@pytest.mark.parametrize("result", ["3002", "3004", "4181/10415"])
async def test_an_aaa_that_cannot_sends_the_request_to_the_other(whole: Whole, result: str) -> None:
    """No T bit: it said that it did nothing."""
    async with whole(FIRST_PREFERRED, aaas=(HOST, SECOND)) as node:
        second = node.requests_to(node.aaas[1])
        node.aaas[0].behaviours.set("*", behaviour(f"result={result}"))
        assert (await node.phone(1).authenticate()).ok
        assert not second[0].flags & numbers.FLAG_RETRANSMIT


@pytest.mark.parametrize("fault", ["reset", "silent"])
async def test_a_conversation_whose_aaa_dies_begins_again_at_the_other(
    whole: Whole, fault: str
) -> None:
    """TS 29.273 §7.1.2: later rounds name the AAA of the first; the other one gets a new one."""
    async with whole(FIRST_PREFERRED, aaas=(HOST, SECOND)) as node:
        first, second = (node.requests_to(one) for one in node.aaas)
        node.aaas[0].behaviours.set("*", behaviour(f"{fault},round=2"))
        result = await node.phone(1).authenticate()
        # The other one's own counter makes the card ask for a resynchronisation, too.
        assert (result.ok, result.challenges) == (True, 3), result
        assert not second[0].flags & numbers.FLAG_RETRANSMIT
        assert d.DESTINATION_HOST not in second[0]
        assert d.STATE not in second[0]
        old, new = first[0].octets(d.SESSION_ID), second[0].octets(d.SESSION_ID)
        assert old
        assert new
        assert old != new
        assert first[1].octets(d.SESSION_ID) == old
        node.behave("")
        await node.connected_to_aaa()
        await node.at_rest()


async def test_three_silent_aaas_do_not_take_longer_than_one_exchange_may(whole: Whole) -> None:
    """Q-TR-1: a budget for all of them together."""
    async with whole(QUICK_END, aaas=(HOST, SECOND, f"aaa3.{REALM}")) as node:
        node.behave("silent")
        result = await node.phone(1).authenticate()
        assert is_excused(result), result
        assert result.legs[-1][1] >= 0.8
        assert node.asked() == 3
        node.behave("")
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


async def test_a_hundred_phones_survive_the_death_of_one_of_two_aaas(whole: Whole) -> None:
    """Every phone gets its document: at once, or with the retry that 503 asks for."""
    async with whole(QUICK_END, aaas=(HOST, SECOND)) as node:
        statuses: list[int] = []

        async def insist(number: int) -> None:
            phone = node.phone(number)
            result = await phone.authenticate(("ap2004",))
            statuses.append(result.status)
            if not result.ok:
                assert is_excused(result), result
                assert (await phone.authenticate(("ap2004",))).ok

        async with trio.open_nursery() as nursery:
            for number in range(1, 101):
                nursery.start_soon(insist, number)
            await node.until(lambda: node.asked() > 60)
            node.aaas[0].behaviours.set("*", behaviour("silent"))
            node.aaas[0].reset()
        assert len(statuses) == 100
        assert set(statuses) <= {200, 503}
        await node.at_rest()


# --- what an AAA asks ---------------------------------------------------------------------------

KEEPING = {"tenants": {0: {"authentication": {"session-termination": False}}}}


def revoked(node: WholeNode) -> int:
    """Tokens that an AAA's request has ended; the answer leaves before the disk has it."""
    return node.counted("token_events").get(("mno", "revoked-by-aaa"), 0)


@pytest.mark.parametrize("command", ["abort", "reauthorize"])
async def test_asr_and_rar_void_the_tokens_of_the_session(whole: Whole, command: str) -> None:
    """TS 29.273 §7.2.2.3: the phone authenticates anew."""
    async with whole(KEEPING) as node:
        phone, other = await node.with_token(1), await node.with_token(2)
        sent = getattr(node.aaa, command)(phone.usim.imsi)
        await node.until(lambda: sent.code is not None and revoked(node))
        assert sent.code == numbers.SUCCESS
        assert (await node.get(asking(phone))).status == 511
        assert (await node.get(asking(other))).status == 200
        assert (await phone.authenticate()).ok
        assert (await node.get(asking(phone))).status == 200


async def test_an_abort_finds_the_tokens_long_after_the_session(whole: Whole) -> None:
    """The session actor is gone, the token has the Diameter session in its row."""
    async with whole({**KEEPING, **QUICK_END}) as node:
        phone = await node.with_token(1)
        await node.at_rest()
        sent = node.aaa.abort(phone.usim.imsi)
        assert sent is not None
        await node.until(lambda: sent.code is not None and revoked(node))
        assert sent.code == numbers.SUCCESS
        assert (await node.get(asking(phone))).status == 511


async def test_an_abort_of_a_session_that_nobody_knows_is_5002(whole: Whole) -> None:
    async with whole({**KEEPING, **QUICK_END}) as node:
        assert (await node.phone(1).abandon()).outcome is Outcome.ABANDONED
        aaa = node.aaa
        session = next(iter(aaa.books.open.values()))
        session.session_id = b"somebody;else;s"
        sent = aaa.abort(session.imsi)
        assert sent is not None
        await node.until(lambda: sent.code is not None)
        assert sent.code == numbers.UNKNOWN_SESSION_ID


async def test_an_abort_with_a_request_in_flight_excuses_the_phone(whole: Whole) -> None:
    async with whole({**KEEPING, **QUICK_END}) as node:
        node.behave("delay=0.3,round=2")
        results: list[PhoneResult] = []

        async def authenticate() -> None:
            results.append(await node.phone(1).authenticate())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(authenticate)
            await node.until(lambda: node.asked() == 2)
            sent = node.aaa.abort("001010000000001")
            assert sent is not None
        assert is_excused(results[0]), results
        await node.until(lambda: sent.code is not None)
        assert sent.code == numbers.SUCCESS
        await node.at_rest()


async def test_an_overloaded_aaa_is_left_alone_and_tokens_are_served(whole: Whole) -> None:
    """RFC 7683: 100 per cent keeps all new sessions away; exchanges that began go on."""
    async with whole(QUICK_END) as node:
        phone = await node.with_token(1)
        node.behave("overload=100")
        assert (await node.phone(2).authenticate()).ok
        asked = node.asked()
        assert is_excused(await node.phone(3).authenticate())
        assert node.asked() == asked
        assert node.node.router.statistics().shed == 1
        assert (await node.get(asking(phone))).status == 200
