"""Every result that an AAA can answer, and the HTTP status that it must become (TS.43 table 7).

The table is written again here, from GSMA TS.43 v12 §2.8.1 and 3GPP TS 29.273, not taken from the
product. EAP-16, EAP-17, EAP-18; Q-HTTP-3, Q-HTTP-4.
"""

from collections.abc import Mapping
from typing import Final

import pytest

from scripts.lab.phone import Outcome, PhoneResult
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import ask_for_challenge
from tests.node.whole.whole_node import WholeNode

GPP: Final = 10415
REFUSED: Final = "403"  # this subscriber, for good
OTHERWISE: Final = "511 when there is another authentication, else 503"
TRANSIENT: Final = "503"

RESULTS: Final[Mapping[tuple[int, int], str]] = {
    # Table 7: 3001-3010, 5002, 5004-5017.
    **{(0, code): OTHERWISE for code in (*range(3001, 3011), 5002, *range(5004, 5018))},
    # Table 7: 4001, 5001, 5003.
    (0, 4001): REFUSED,
    (0, 5001): REFUSED,
    (0, 5003): REFUSED,
    (GPP, 5001): REFUSED,
    (GPP, 5003): REFUSED,
    # Not in table 7: refusals of one subscriber (TS 29.273, TS 29.272).
    **{(GPP, code): REFUSED for code in (5004, 5420, 5421, 5422, 5450, 5451, 5452, 5554)},
    # Not in table 7: passing states of AAA and HSS.
    (GPP, 4181): TRANSIENT,
    (GPP, 5453): TRANSIENT,
    (GPP, 5454): TRANSIENT,
    (0, 4002): TRANSIENT,
    # Nobody knows these: never a status that phones remember.
    (0, 4999): TRANSIENT,
    (0, 5999): OTHERWISE,
    (GPP, 5999): OTHERWISE,
    (9, 5001): OTHERWISE,  # another vendor's 5001 is not that of 3GPP
}
IN_TIME_SECONDS: Final = 1.0


def expected(meaning: str, alternative: bool) -> int:
    if meaning is OTHERWISE:
        return 511 if alternative else 503
    return int(meaning)


def complaint(result: PhoneResult, status: int) -> str:
    """What is wrong with an answer; nothing when it is right."""
    if (result.outcome, result.status) != (Outcome.REFUSED, status):
        return f"{result.status} instead of {status}: {result.detail}"
    if status == 503 and not (result.retry_after or "").isdigit():
        return f"Retry-After is {result.retry_after!r}"
    if result.legs[-1][1] > IN_TIME_SECONDS:
        return f"it took {result.legs[-1][1]:.2f} s"
    return ""


async def try_all(node: WholeNode, round_number: int, alternative: bool) -> dict[str, str]:
    """Everything that is wrong, by result."""
    wrong = {}
    for (vendor, code), meaning in RESULTS.items():
        node.behave(f"result={code}/{vendor},round={round_number}")
        before = sum(one.books.answers[282, vendor, code] for one in node.aaas)
        result = await node.phone(1).authenticate()
        after = sum(one.books.answers[268, vendor, code] for one in node.aaas)
        found = complaint(result, expected(meaning, alternative))
        if after == before:
            found = "the AAA was not asked"
        if result.challenges != round_number - 1 and code != 5002:
            found = f"{result.challenges} challenges"
        if found:
            wrong[f"{vendor}/{code}"] = found
    return wrong


@pytest.mark.parametrize("alternative", [False, True], ids=["EAP only", "another way"])
@pytest.mark.parametrize("round_number", [1, 2])
async def test_every_result_becomes_the_status_of_table_7(
    whole: Whole, round_number: int, alternative: bool
) -> None:
    changes = {
        "tenants": {0: {"authentication": {"alternative": alternative}}},
        "sessions": {"finished-seconds": 0.05},
    }
    async with whole(changes) as node:
        assert await try_all(node, round_number, alternative) == {}
        node.behave("")
        assert (await node.phone(1).authenticate()).ok
        await node.at_rest()


async def test_a_success_with_limits_is_a_success(whole: Whole) -> None:
    """2002, not in table 7."""
    async with whole() as node:
        node.behave("result=2002,round=2")
        assert (await node.phone(1).authenticate()).ok


async def test_with_a_stale_token_there_is_no_other_way(whole: Whole) -> None:
    """Table 7: 511 only when the request carried no token (EAP-18a, EAP-18b)."""
    changes = {"tenants": {0: {"authentication": {"alternative": True}}}}
    async with whole(changes) as node, node.connected() as connection:
        node.behave("result=5012")
        response = await ask_for_challenge(node.phone(1), connection, token="A" * 51)
        assert response.status == 503
        assert (await ask_for_challenge(node.phone(1), connection)).status == 511


async def test_a_503_tells_when_to_come_back(whole: Whole) -> None:
    """EAP-18a; Q-HTTP-4, Q-HTTP-8: digits, beside a Date, and not all at the same moment."""
    async with whole() as node, node.connected() as connection:
        node.behave("result=3004")
        waits = set()
        for _ in range(20):
            response = await ask_for_challenge(node.phone(1), connection)
            assert response.status == 503
            assert response.header(b"date") is not None
            waits.add(int(response.header(b"retry-after") or b"0"))
        assert min(waits) >= 10
        assert max(waits) <= 20
        assert len(waits) > 3


async def test_an_aaa_that_lost_the_conversation_gets_a_new_one(whole: Whole) -> None:
    """5002 once: the phone sees one more challenge, and then its document."""
    async with whole() as node:
        node.behave("forget")
        phone = node.phone(1)
        async with node.connected() as connection:
            first = await phone.abandon(connection=connection)
            assert first.challenges == 0
        node.behave("")
        node.behave("forget", phone.usim.imsi)
        result = await phone.authenticate()
        # It forgets every time: the second loss is the end, and a transient one.
        assert (result.challenges, result.status) == (2, 503)
        assert node.aaa.books.answers[268, 0, 5002] == 2
