"""Overload of the whole node: what is refused first, what never, whom it leaves alone, and how.

The node is told that its loop cannot follow; that it finds out by itself is shown on a model
(`tests/actors/admission`), because phones in the node's own loop are no load from outside.
"""

import math
from collections import Counter
from pathlib import Path

import pytest
import trio

from actors.admission import aaa_room
from actors.admission.aaa_room import AaaState
from scripts.lab.aaa_running import HOST, running_aaa
from scripts.lab.device_http import Response
from scripts.lab.device_http_errors import DeviceHttpError
from scripts.lab.phone import Phone
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, ask_for_challenge, first_leg, relay
from tests.node.whole.whole_node import (
    LabFolder,
    WholeNode,
    asking,
    free_port,
    mvno_subscriber,
    serving,
    subscriber,
)

QUICK_END = {"sessions": {"finished-seconds": 0.05}}


def limit(node: WholeNode, bucket: float) -> None:
    """The loop cannot follow; the bucket is so full, and nothing flows into it."""
    pace = node.node.admission._pace
    pace.limiting = True
    pace.rate = 1e-9
    pace._filled_at = pace._refused_at = trio.current_time()
    pace._level, pace._polite = bucket * pace._bucket, 0.0
    pace._judged_at = math.inf  # no interval ends


def is_refusal(response: Response) -> bool:
    """What clients take for a passing fault, with a time that lies in the configured bounds."""
    retry = response.header(b"retry-after") or b""
    assert response.header(b"date")
    return response.status == 503 and 30 <= int(retry) <= 300


async def test_new_authentications_go_first_token_checks_last_and_started_ones_never(
    whole: Whole,
) -> None:
    async with whole(QUICK_END) as node, node.connected() as kept:
        phone = await node.with_token(1)
        started = node.phone(2)
        leg = await first_leg(started, kept)
        limit(node, 0.1)
        assert is_refusal(await ask_for_challenge(node.phone(3), kept))
        path = "/?" + "&".join(f"{name}={value}" for name, value in asking(phone).items())
        assert (await kept.request(b"GET", path.encode())).status == 200
        # Its connection was lost meanwhile: the new one is let in, for an exchange is under way.
        async with node.connected() as other:
            found = await relay(answer_of(started, leg.response), other, leg.cookie_field)
        assert found.status == 200
        with pytest.raises(DeviceHttpError):
            async with node.connected():
                pass
        assert node.counted("shed") == {("mno", "authentication", "overload"): 1}
        assert node.node.admission.statistics().turned_away == 1


async def test_the_last_token_checks_are_refused_with_503_and_never_with_511(whole: Whole) -> None:
    """511 would bring the device back with a full authentication."""
    async with whole(QUICK_END) as node, node.connected() as kept:
        phone = await node.with_token(1)
        limit(node, -0.6)
        for token in (phone.token, "x" * 43):
            path = f"/?token={token}&" + "&".join(
                f"{name}={value}" for name, value in asking(phone).items() if name != "token"
            )
            assert is_refusal(await kept.request(b"GET", path.encode()))
        assert node.counted("shed") == {("mno", "token", "overload"): 2}


async def test_a_tenant_over_its_share_does_not_slow_another(whole: Whole) -> None:
    async with whole(QUICK_END) as node, node.connected() as kept:
        limit(node, 0.5)
        node.node.admission._shares.greedy = frozenset({"mno"})
        # VoWiFi of the greedy one needs half of the bucket and takes it; then it is too empty.
        answers = [(await ask_for_challenge(node.phone(at), kept)).status for at in range(1, 5)]
        assert answers == [200, 503, 503, 503]
        other = node.phone(mvno_subscriber(1))
        assert (await ask_for_challenge(other, kept)).status == 200


async def test_a_phone_that_loops_is_stopped_and_only_that_one(whole: Whole) -> None:
    settings = {**QUICK_END, "overload": {"authentications-per-device": 2}}
    async with whole(settings) as node, node.connected() as kept:
        looping: Phone = node.phone(1)
        answers = [await ask_for_challenge(looping, kept) for _ in range(4)]
        assert [one.status for one in answers] == [200, 200, 503, 503]
        assert is_refusal(answers[3])
        assert (await ask_for_challenge(node.phone(2), kept)).status == 200
        assert node.counted("shed") == {("mno", "authentication", "device rate"): 2}


async def test_after_an_outage_of_the_aaa_its_devices_come_back_slowly(
    lab: LabFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No storm: probes while it is out, then a slow start; who waits is told for how long."""
    monkeypatch.setattr(aaa_room, "OUTAGE_SECONDS", 0.0)
    port = free_port()
    settings = {**QUICK_END, "overload": {"ramp-start": 8.0}}
    path = lab.prepare(tmp_path, [(HOST, port)], settings)
    async with serving(lab, path) as node, node.connected() as kept:

        async def forty(first: int) -> list[Response]:
            phones = [node.phone(subscriber(first + at)) for at in range(40)]
            return [await ask_for_challenge(phone, kept) for phone in phones]

        assert {one.status for one in await forty(1)} == {503}
        causes = Counter({key[2]: count for key, count in node.counted("shed").items()})
        assert 30 <= causes["aaa outage"] <= 35  # the others were probes, which found no peer
        async with running_aaa(port=port) as aaa:
            node.waiting.watch(aaa.turn)
            await node.connected_to_aaa(1)
            answers = await forty(41)
            served = sum(one.status == 200 for one in answers)
            assert node.node.admission._aaa.state is AaaState.RAMP
            assert 2 <= served <= 20
            assert all(is_refusal(one) for one in answers if one.status != 200)
            assert node.counted("shed")["mno", "authentication", "aaa slow start"] == 40 - served


async def test_a_slow_aaa_is_not_asked_more_than_it_can_answer(whole: Whole) -> None:
    settings = {
        "sessions": {"finished-seconds": 0.05, "answer-seconds": 10.0},
        "diameter": {"answer-seconds": 5.0, "exchange-seconds": 8.0},
        "overload": {"aaa-least-in-flight": 5},
    }
    async with whole(settings) as node, node.connected() as kept:
        node.behave("delay=0.3,round=1")
        statuses: list[int] = []

        async def ask(number: int) -> None:
            statuses.append((await ask_for_challenge(node.phone(number), kept)).status)

        async with trio.open_nursery() as nursery:
            for number in range(1, 16):
                nursery.start_soon(ask, number)
        assert Counter(statuses) == {200: 5, 503: 10}
        assert node.asked() == 5
        assert node.counted("shed") == {("mno", "authentication", "aaa busy"): 10}


async def test_a_node_that_refuses_is_ready_all_the_same(whole: Whole) -> None:
    """Taken out of the balancer's list, it would leave its load to the others, one by one."""
    async with whole(QUICK_END) as node:
        limit(node, 0.0)
        client = node.node.management.app.test_client()
        assert (await client.get("/ready")).status_code == 200
        found = (await (await client.get("/statistics")).get_json())["admission"]
        assert found["limiting"] is True
        text = await (await client.get("/metrics")).get_data(as_text=True)
        assert "entitlement_admission_limiting 1.0" in text
        assert "entitlement_admission_level_max 0.0" in text


async def test_a_reload_takes_over_the_section(whole: Whole) -> None:
    async with whole(QUICK_END) as node, node.connected() as kept:
        node.rewrite({"overload": {"authentications-per-device": 1, "retry-after-least": 90}})
        node.node.reload()
        phone = node.phone(1)
        assert (await ask_for_challenge(phone, kept)).status == 200
        refused = await ask_for_challenge(phone, kept)
        assert refused.status == 503
        assert int(refused.header(b"retry-after") or 0) >= 90
