"""Reload, drain and restart of the whole node, with exchanges under way."""

import contextlib
import signal
import sqlite3
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import trio
from structlog.testing import capture_logs

from scripts.lab.aaa_running import HOST, REALM, running_aaa
from scripts.lab.phone import PhoneResult
from scripts.lab.phone_habits import AOSP, SAMSUNG, XML, Habits
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import (
    LabFolder,
    WholeNode,
    asking,
    free_port,
    serving,
)
from tests.protocols.ts43.document_readers import read_xml

SECOND = f"aaa2.{REALM}"
KEYS = {"node": {"cookie-keys": ["A" * 43]}}
OTHER_KEYS = {"node": {"cookie-keys": ["B" * 43, "A" * 43]}}


# --- reload -------------------------------------------------------------------------------------


async def test_a_reload_in_the_middle_of_an_exchange_loses_nothing(whole: Whole) -> None:
    """The session goes on, the connection stays, what comes next follows the new file."""
    async with whole() as node, node.connected() as connection:
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        node.rewrite({"tenants": {0: {"versions": {"validity-seconds": 4_321}}}})
        node.node.reload()
        final = await relay(answer_of(phone, leg.response), connection, leg.cookie_field)
        assert final.status == 200
        assert node.node.listener.statistics().accepted == 1
        assert node.node.router.statistics().peers[0].connections == 1
        after = await node.with_token(2)
        found = await node.get(asking(after), (b"accept", XML))
        assert read_xml(found.body)["VERS"]["validity"] == "4321"


def asked_enough(node: WholeNode, count: int) -> bool:
    return node.asked() >= count


async def test_a_reload_with_requests_in_flight_loses_nothing(whole: Whole) -> None:
    async with whole() as node:
        node.behave("delay=0.1")
        results: list[PhoneResult] = []

        async def authenticate(number: int) -> None:
            results.append(await node.phone(number).authenticate())

        async with trio.open_nursery() as nursery:
            for number in range(1, 21):
                nursery.start_soon(authenticate, number)
            for asked in (10, 30):
                await node.until(partial(asked_enough, node, asked))
                node.node.reload()
        assert [one.status for one in results] == [200] * 20


async def test_a_broken_file_changes_nothing(whole: Whole) -> None:
    async with whole() as node:
        phone = await node.with_token(1)
        node.config.write_text("this is no TOML")
        with capture_logs() as lines:
            node.node.reload()
        assert [one["event"] for one in lines] == ["configuration not reloaded"]
        assert (await node.get(asking(phone))).status == 200
        assert (await node.phone(2).authenticate()).ok


async def test_a_reload_says_what_it_could_not_take_over_until_the_restart(whole: Whole) -> None:
    async with whole() as node:
        levels: list[str] = []
        node.node._set_log = lambda logging: levels.append(logging.level)
        with capture_logs() as lines:
            node.rewrite({"device": {"backlog": 99}, "sessions": {"finished-seconds": 9.0}})
            node.node.reload()
            node.rewrite({"logging": {"level": "error"}})
            node.node.reload()
        assert [one["event"] for one in lines] == ["configuration reloaded"] * 2
        assert [one["changed"] for one in lines] == [
            ("device.backlog", "sessions.finished-seconds"),
            ("logging.level",),
        ]
        assert [one["needs_restart"] for one in lines] == [("device.backlog",)] * 2
        assert levels == ["error"]


async def test_a_reload_brings_an_aaa_and_takes_one_away(whole: Whole) -> None:
    """SIGHUP: the new one is connected to, the old one gets a DPR."""
    async with whole() as node, running_aaa(host=SECOND) as second:
        node.waiting.watch(second.turn)
        peer = {"host": SECOND, "address": "127.0.0.1", "port": second.port}
        node.rewrite({"diameter": {"peers": [peer]}})
        signal.raise_signal(signal.SIGHUP)
        await node.until(
            lambda: [one.host for one in node.node.router.statistics().peers] == [SECOND]
        )
        await node.until(lambda: node.open_peers() == 1)
        assert (await node.phone(1).authenticate()).ok
        assert second.books.answers[268, 0, 2001] == 1
        left = node.aaa.server.peers[node.node.router.origin.host]
        # DPR; a loss would have left DOWN.
        await node.until(lambda: left.statistics().watchdog == "INITIAL")


async def test_a_reload_follows_an_aaa_that_moved(whole: Whole) -> None:
    """The same identity at another port; then its timers and priority change, and nothing else."""
    async with whole() as node, running_aaa() as moved:
        node.waiting.watch(moved.turn)
        node.rewrite({"diameter": {"peers": {0: {"port": moved.port}}}})
        node.node.reload()
        await node.until(lambda: any(one.is_open for one in moved.server.peers.values()))
        await node.until(lambda: node.open_peers() == 1)
        assert (await node.phone(1).authenticate()).ok
        assert moved.books.answers[268, 0, 2001] == 1
        assert node.aaa.books.answers[268, 0, 2001] == 0
        node.rewrite({"diameter": {"answer-seconds": 0.3, "peers": {0: {"priority": 7}}}})
        node.node.reload()
        assert (await node.phone(2).authenticate()).ok
        assert node.node.router.statistics().peers[0].connections == 1


async def test_a_reload_changes_who_is_whose_subscriber(whole: Whole) -> None:
    """MT-54: ranges may move; nobody's session is lost by it."""
    async with whole() as node:
        phone = await node.with_token(1)
        node.rewrite({"tenants": {1: {"imsi-ranges": ["001010000000001-001010000000001"]}}})
        node.node.reload()
        assert (await node.get(asking(phone))).status == 511  # it is the other tenant's now
        assert (await phone.authenticate()).ok
        assert ("mvno", "ap2004", "200", "served") in node.counted("exchanges")


# --- the store ----------------------------------------------------------------------------------


async def test_a_store_that_cannot_read_makes_the_node_not_ready_and_says_why(whole: Whole) -> None:
    async with whole() as node:
        phone = await node.with_token(1)
        client = node.node.management.app.test_client()
        assert (await client.get("/ready")).status_code == 200
        database = node.config.parent / "node.db"
        with contextlib.closing(sqlite3.connect(database)) as other, capture_logs() as lines:
            other.execute("ALTER TABLE tokens RENAME TO elsewhere")
            assert (await node.get(asking(phone))).status == 503
            refused = await client.get("/ready")
            other.execute("ALTER TABLE elsewhere RENAME TO tokens")
        assert refused.status_code == 503
        assert (await refused.get_json())["parts"]["store"] == "find token fails: other"
        (text,) = [one["text"] for one in lines if one["event"] == "store fails"]
        assert text == "other: no such table: tokens"
        assert (await node.get(asking(phone))).status == 200
        assert (await client.get("/ready")).status_code == 200


# --- drain --------------------------------------------------------------------------------------


async def test_a_drain_finishes_what_was_begun(lab: LabFolder, tmp_path: Path) -> None:
    """SIGTERM with a DER in flight: that phone is answered, the AAA gets DPR, the node ends."""
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)])
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            node.behave("delay=0.2,round=2")
            results: list[PhoneResult] = []

            async def authenticate() -> None:
                results.append(await node.phone(1).authenticate())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(authenticate)
                await node.until(lambda: node.asked() == 2)
                signal.raise_signal(signal.SIGTERM)
                await node.until(lambda: node.node.draining)
                assert not node.node.listener.ready
                refused = await node.phone(2).authenticate()
                assert "no connection" in refused.detail
            assert results[0].ok, results
            peer = aaa.server.peers[node.node.router.origin.host]
            # DPR; a loss would have left DOWN.
            await node.until(lambda: peer.statistics().watchdog == "INITIAL")
            assert node.left_over().keys() <= {
                "sessions",
                "by cookie",
                "by subscriber",
                "by diameter session",
            }


# --- restart ------------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda one: one.name)
@pytest.mark.parametrize("resync", [False, True], ids=["plain", "resynchronising"])
async def test_an_exchange_outlives_the_node_when_cookie_keys_are_configured(
    lab: LabFolder, tmp_path: Path, habits: Habits, resync: bool
) -> None:
    """Between challenge and answer another process takes over, with the same key and database."""
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)], KEYS)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            phone = node.phone(1, habits)
            if resync:
                phone.usim.lose_synchronisation()
            async with node.connected() as connection:
                leg = await first_leg(phone, connection, "ap2004,ap2005")
                answer = answer_of(phone, leg.response)
        async with serving(lab, path, [aaa]) as node, node.connected() as connection:
            await node.connected_to_aaa()
            final = await relay(answer, connection, leg.cookie_field)
            assert final.status == 200
            if resync:
                final = await relay(answer_of(phone, final), connection, leg.cookie_field)
            found = read_xml(final.body)
            assert list(found) == ["VERS", "TOKEN", "ap2004", "ap2005"]
            assert node.counted("session_events")["resumed",] == 1
            phone.token = found["TOKEN"]["token"]
            assert (await node.get(asking(phone, "ap2005"))).status == 200
        assert len({one.session_id for one in aaa.books.of(phone.usim.imsi)}) == 1


async def test_another_node_goes_on_while_keys_are_rolled(lab: LabFolder, tmp_path: Path) -> None:
    """Its first key is another one; the old key still opens."""
    async with running_aaa() as aaa:
        places = [(HOST, aaa.port)]
        one_path = lab.prepare(tmp_path / "one", places, KEYS)
        two_path = lab.prepare(
            tmp_path / "two", places, {**OTHER_KEYS, "diameter": {"origin-host": f"ecs2.{REALM}"}}
        )
        async with serving(lab, one_path, [aaa]) as one, serving(lab, two_path, [aaa]) as two:
            await one.connected_to_aaa()
            await two.connected_to_aaa()
            phone = one.phone(1)
            async with one.connected() as connection:
                leg = await first_leg(phone, connection)
            async with two.connected() as connection:
                answer = answer_of(phone, leg.response)
                assert (await relay(answer, connection, leg.cookie_field)).status == 200


async def test_without_cookie_keys_the_phone_starts_over_after_a_restart(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)])
        async with serving(lab, path, [aaa]) as node, node.connected() as connection:
            await node.connected_to_aaa()
            phone = node.phone(1)
            leg = await first_leg(phone, connection)
        async with serving(lab, path, [aaa]) as node, node.connected() as connection:
            await node.connected_to_aaa()
            answer = answer_of(phone, leg.response)
            assert (await relay(answer, connection, leg.cookie_field)).status == 511
            assert (await node.phone(1).authenticate()).ok


async def test_a_token_outlives_the_node(lab: LabFolder, tmp_path: Path) -> None:
    """TOK-28: and needs no AAA, which is down by then."""
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)])
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            phone = await node.with_token(1)
    async with serving(lab, path) as node:
        assert (await node.get(asking(phone))).status == 200


async def test_a_crash_of_one_session_is_503_and_nobody_else_notices(
    lab: LabFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-HTTP-3: a bug of ours is never 500."""
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)])
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            other = await node.with_token(2)
            with monkeypatch.context() as patch:
                patch.setattr("actors.session.responses.compose", None)
                result = await node.phone(1).authenticate()
            assert (result.status, bool(result.retry_after)) == (503, True)
            assert node.counted("session_events")["crashed",] == 1
            assert (await node.get(asking(other))).status == 200
            assert (await node.phone(1).authenticate()).ok
            assert node.bugs() == {"sessions": 1}
            node.bugs_expected = True


async def test_management_tells_what_the_node_does(lab: LabFolder, tmp_path: Path) -> None:
    """Ready only with listener, store and AAA; metrics and statistics tell of the exchange."""
    port, aaa_port = free_port(), free_port()

    def fetch(path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    changes = {"management": {"listen": f"127.0.0.1:{port}"}}
    async with serving(lab, lab.prepare(tmp_path, [(HOST, aaa_port)], changes)) as node:
        status, text = await trio.to_thread.run_sync(fetch, "/ready")
        assert (status, "no AAA peer is open" in text) == (503, True)
        assert (await trio.to_thread.run_sync(fetch, "/live"))[0] == 200
        async with running_aaa(port=aaa_port) as aaa:
            node.waiting.watch(aaa.turn)
            await node.until(lambda: node.node.router.ready)
            assert (await trio.to_thread.run_sync(fetch, "/ready"))[0] == 200
            assert (await node.phone(1).authenticate()).ok
            status, text = await trio.to_thread.run_sync(fetch, "/metrics")
            lines = [one for one in text.splitlines() if "exchanges_total{" in one]
            assert any('app="ap2004"' in one and 'result="200"' in one for one in lines)
            assert "001010000000001" not in text
            status, text = await trio.to_thread.run_sync(fetch, "/statistics")
            assert status == 200
            assert '"I_OPEN"' in text
