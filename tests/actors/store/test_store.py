"""What every engine does alike: tokens (TOK-26 to TOK-29), devices, registrations, failures."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from actors.backends.bss import Plan, SubscriberStatus
from actors.store.devices import MAX_DEVICES
from actors.store.records import (
    Identity,
    IdentityChange,
    Registration,
    RegistrationStatus,
)
from actors.store.sql import Database
from actors.store.store import StoreUnavailable, TokenSuperseded
from actors.store.tokens import TokenFault
from tests.actors.store.kit import Asker, Kit, opened, put
from tests.actors.store.samples import GOLD, IMSI, LINE, NOW, OTHER_PHONE, PHONE, judge, new_token


async def test_a_token_can_be_used_again_and_again(kit: Kit) -> None:
    async with opened(kit) as store:
        token = new_token()
        assert await store.ask("save_token", token) is None
        for now in (NOW, NOW + 5_000, NOW + 9_999):
            found = await store.ask("find_token", "mno", token.token_hash)
            assert judge(found, now) is None
        assert found.diameter_session_id == b"ecs1;1;2;w1-1"
        assert judge(found, NOW + 10_000) is TokenFault.EXPIRED


async def test_a_token_outlives_the_process(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token())
    async with opened(kit) as store:
        found = await store.ask("find_token", "mno", new_token().token_hash)
        assert judge(found, NOW) is None


async def test_a_token_of_another_tenant_is_unknown(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token())
        assert await store.ask("find_token", "mvno", new_token().token_hash) is None
        assert await store.ask("find_token", "mno", bytes(32)) is None
        assert await store.ask("find_token", "mno\udcff", bytes(32)) is None


async def test_a_replaced_token_stays_valid_for_the_grace_period(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, issued=NOW + 100, expires=NOW + 10_100))
        old = await store.ask("find_token", "mno", new_token(1).token_hash)
        new = await store.ask("find_token", "mno", new_token(2).token_hash)
        assert old.replaced == NOW + 100
        assert judge(old, NOW + 699) is None
        assert judge(old, NOW + 700) is TokenFault.EXPIRED
        assert judge(new, NOW + 9_000) is None


async def test_the_grace_never_lengthens_a_token(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1, expires=NOW + 50))
        await store.ask("save_token", new_token(2, issued=NOW + 40))
        old = await store.ask("find_token", "mno", new_token(1).token_hash)
        assert judge(old, NOW + 50) is TokenFault.EXPIRED


async def test_only_the_last_predecessor_of_a_token_is_kept(kit: Kit) -> None:
    async with opened(kit) as store:
        for number in (1, 2, 3):
            at = NOW + 100 * number
            await store.ask("save_token", new_token(number, issued=at, expires=at + 10_000))
        first = await store.ask("find_token", "mno", new_token(1).token_hash)
        second = await store.ask("find_token", "mno", new_token(2).token_hash)
        assert first is None
        assert (second.issued, second.replaced) == (NOW + 200, NOW + 300)
        assert second.expires == NOW + 300 + 600
        assert kit.execute("SELECT count(*) FROM tokens") == [(1,)]


async def test_a_revoked_token_that_is_replaced_stays_revoked(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        assert await store.ask("revoke_tokens", "mno", IMSI, NOW + 5) == 1
        await store.ask("save_token", new_token(2, issued=NOW + 6))
        old = await store.ask("find_token", "mno", new_token(1).token_hash)
        new = await store.ask("find_token", "mno", new_token(2).token_hash)
        assert judge(old, NOW + 7) is TokenFault.REVOKED
        assert judge(new, NOW + 7) is None


async def test_a_token_with_the_key_of_another_owner_is_not_kept(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        thief = new_token(2, tenant="mvno", imsi="001019000000001")
        thief.token_hash = new_token(1).token_hash[:8] + thief.token_hash[8:]
        assert isinstance(await store.ask("save_token", thief), StoreUnavailable)
        assert await store.ask("find_token", "mvno", thief.token_hash) is None
        assert judge(await store.ask("find_token", "mno", new_token(1).token_hash), NOW) is None


async def test_tokens_of_one_batch_are_kept_in_their_order(kit: Kit) -> None:
    tokens = [new_token(number, terminal_id=f"{number % 90}") for number in range(200)]
    async with opened(kit) as store:
        for token in tokens[:-1]:
            store.store.save_token(token, lambda failure: None)
        assert await store.ask("save_token", tokens[-1]) is None
        found = [await store.ask("find_token", "mno", token.token_hash) for token in tokens]
    assert [one is not None for one in found] == [number >= 20 for number in range(200)]
    assert [one.replaced > 0 for one in found[20:]] == [number < 110 for number in range(20, 200)]


@pytest.mark.parametrize(
    "changes",
    [
        {"app_name": "odsa"},
        {"terminal_id": OTHER_PHONE},
        {"apps": ("ap2006",)},
        {"imsi": "001010000000002"},
        {"tenant": "mvno"},
    ],
)
async def test_a_token_for_something_else_replaces_nothing(
    kit: Kit, changes: dict[str, object]
) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, **changes))
        first = await store.ask("find_token", "mno", new_token(1).token_hash)
        assert (first.replaced, judge(first, NOW + 9_000)) == (0, None)


async def test_the_order_of_the_applications_does_not_matter(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, apps=("ap2003", "ap2004", "ap2003")))
        first = await store.ask("find_token", "mno", new_token(1).token_hash)
        assert first.replaced == NOW


async def test_expired_tokens_are_swept_by_new_ones(kit: Kit) -> None:
    async with opened(kit) as store:
        for number in range(10):
            await store.ask(
                "save_token", new_token(number, terminal_id=f"{number}", expires=NOW + 10)
            )
        within_the_grace = new_token(20, terminal_id="new", issued=NOW + 20)
        await store.ask("save_token", within_the_grace)
        await store.ask("save_token", new_token(21, terminal_id="new", issued=NOW + 700))
        await store.ask("save_token", new_token(22, terminal_id="new", issued=NOW + 701))
        await store.until(lambda: kit.execute("SELECT count(*) FROM tokens") == [(1,)])


async def test_revoking_a_subscriber_voids_all_its_tokens(kit: Kit) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, app_name="odsa"))
        await store.ask("save_token", new_token(3, imsi="001010000000002"))
        await store.ask("save_token", new_token(4))
        assert await store.ask("revoke_tokens", "mno", IMSI, NOW + 5) == 3
        assert await store.ask("revoke_tokens", "mvno", IMSI, NOW + 5) == 0
        tokens = (
            new_token(1),
            new_token(2, app_name="odsa"),
            new_token(3, imsi="001010000000002"),
            new_token(4),
        )
        found = [await store.ask("find_token", "mno", one.token_hash) for one in tokens]
        assert [one.revoked for one in found] == [NOW + 5, NOW + 5, 0, NOW + 5]
        assert judge(found[0], NOW + 5) is TokenFault.REVOKED
        subscriber, _ = await store.ask("find_subscriber", "mno", IMSI)
        assert subscriber.token_generation == 1


async def test_a_token_that_was_on_its_way_when_its_subscriber_was_revoked_is_not_kept(
    kit: Kit,
) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as store:
        assert await store.ask("bump_generation", "mno", IMSI) == 1
        assert isinstance(await store.ask("save_token", new_token(1)), TokenSuperseded)
        assert await store.ask("find_token", "mno", new_token(1).token_hash) is None
        assert await store.ask("save_token", new_token(1, generation=1)) is None
        assert await store.ask("bump_generation", "mno", "001010000000009") == 0


async def test_the_aaa_can_end_what_one_session_led_to(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, app_name="odsa", diameter_session_id=b"another"))
        assert await store.ask("revoke_session", "mvno", b"ecs1;1;2;w1-1", NOW) == 0
        assert await store.ask("revoke_session", "mno", b"ecs1;1;2;w1-1", NOW) == 1
        other = new_token(2, app_name="odsa")
        assert (await store.ask("find_token", "mno", other.token_hash)).revoked == 0


async def test_the_aaa_can_end_a_session_whose_token_was_replaced(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, diameter_session_id=b"another"))
        assert await store.ask("revoke_session", "mno", b"ecs1;1;2;w1-1", NOW + 1) == 1
        old = await store.ask("find_token", "mno", new_token(1).token_hash)
        new = await store.ask("find_token", "mno", new_token(2).token_hash)
        assert (old.revoked, new.revoked) == (NOW + 1, 0)


async def test_a_subscriber_comes_with_its_plan(kit: Kit) -> None:
    line = replace(
        LINE,
        iccid="8949000000000000001",
        status=SubscriberStatus.SUSPENDED,
        overrides=(("volte", "blocked"), ("vowifi", "allowed")),
        vowifi_addr_status=1,
        vowifi_addr_expiry="2027-01-01T00:00:00Z",
    )
    put(kit, line, replace(LINE, imsi="001010000000002", plan_id="unknown"), plans=(GOLD,))
    async with opened(kit) as store:
        assert await store.ask("find_subscriber", "mno", IMSI) == (line, GOLD)
        assert await store.ask("find_subscriber", "mno", "001010000000003") is None
        assert await store.ask("find_subscriber", "mvno", IMSI) is None
        _, plan = await store.ask("find_subscriber", "mno", "001010000000002")
        assert plan == Plan("unknown", "unknown", frozenset())


async def test_a_plan_that_another_process_changed_counts_at_once(kit: Kit) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as store:
        await store.ask("find_subscriber", "mno", IMSI)
        poorer = replace(GOLD, services=frozenset({"smsoip"}))
        put(kit, LINE, plans=(poorer,))
        await kit.heard(store)
        assert await store.ask("find_subscriber", "mno", IMSI) == (LINE, poorer)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE subscribers SET status = 'dead'",
        "UPDATE subscribers SET overrides = 'fax=allowed'",
        "UPDATE plans SET body = '{'",
    ],
)
async def test_a_row_that_cannot_be_read_is_told_as_one_row(kit: Kit, damage: str) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as store:
        kit.execute(damage)
        answer = await store.ask("find_subscriber", "mno", IMSI)
        assert isinstance(answer, StoreUnavailable)
        assert answer.reason == "bad-row"
        assert "\\xff" not in str(answer)
        assert store.store.statistics().failures == {"bad-row": 1}
        assert store.watched == [("find subscriber", "bad-row")]
        put(kit, LINE, plans=(GOLD,))
        await kit.heard(store)
        assert await store.ask("find_subscriber", "mno", IMSI) == (LINE, GOLD)
        assert store.watched[1:] == [("find subscriber", "")]


def wish(**changes: object) -> Registration:
    base = Registration("mno", IMSI, PHONE, ("ap2003", "ap2004"), "", 2, "fcm:token", NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_registering_twice_is_a_duplicate_and_costs_no_write(kit: Kit) -> None:
    async with opened(kit) as store:
        assert await store.ask("register_notification", wish()) is RegistrationStatus.SUCCESS
        before = store.store.statistics().received
        assert await store.ask("register_notification", wish()) is RegistrationStatus.DUPLICATE
        assert store.store.statistics().received == before
        more = wish(apps=("ap2003", "ap2005"))
        assert await store.ask("register_notification", more) is RegistrationStatus.SUCCESS
        other = wish(push_token="fcm:other")
        assert await store.ask("register_notification", other) is RegistrationStatus.SUCCESS
        assert await store.ask("register_notification", wish()) is RegistrationStatus.SUCCESS


async def test_registrations_of_two_requests_at_once_are_one_and_a_duplicate(kit: Kit) -> None:
    async with opened(kit) as store, trio.open_nursery() as nursery:
        answers: list[RegistrationStatus] = []

        async def register() -> None:
            answers.append(await store.ask("register_notification", wish()))

        nursery.start_soon(register)
        nursery.start_soon(register)
    assert sorted(answers) == [RegistrationStatus.SUCCESS, RegistrationStatus.DUPLICATE]


async def test_a_registration_can_be_ended(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("register_notification", wish())
        end = wish(action=0, push_token="")
        assert await store.ask("register_notification", end) is RegistrationStatus.SUCCESS
        assert await store.ask("register_notification", end) is RegistrationStatus.SUCCESS
        assert await store.ask("register_notification", wish()) is RegistrationStatus.SUCCESS


@pytest.mark.parametrize(
    ("action", "push_token", "valid"),
    [
        (1, "gcm", True),
        (2, "a" * 4_096, True),
        (2, "a" * 4_097, False),
        (2, "", False),
        (2, "two words", False),
        (2, "fcm\udcff", False),
        (3, "https://wns.example/?token=1", True),
        (3, "http://wns.example", False),
        (4, "ab" * 32, True),
        (4, "ab" * 31, False),
        (4, "xy" * 32, False),
        (5, "token", False),
        (-1, "token", False),
    ],
)
async def test_a_push_token_that_cannot_be_one_is_invalid(
    kit: Kit, action: int, push_token: str, valid: bool
) -> None:
    async with opened(kit) as store:
        answer = await store.ask(
            "register_notification", wish(action=action, push_token=push_token)
        )
        expected = RegistrationStatus.SUCCESS if valid else RegistrationStatus.INVALID_TOKEN
        assert answer is expected


async def test_moving_the_card_to_another_phone_is_history(kit: Kit) -> None:
    async with opened(kit) as store:
        for number, (at, phone) in enumerate(
            [(0, PHONE), (1, PHONE), (5_000, OTHER_PHONE), (9_000, PHONE), (9_001, "a-uuid")]
        ):
            await store.ask("save_token", new_token(number, issued=NOW + at, terminal_id=phone))
        kind = Identity.IMEI_OF_IMSI
        assert await store.ask("identity_changes", "mno", kind, IMSI) == (
            IdentityChange(kind, IMSI, NOW + 9_000, OTHER_PHONE, PHONE),
            IdentityChange(kind, IMSI, NOW + 5_000, PHONE, OTHER_PHONE),
        )
        assert await store.ask("identity_changes", "mvno", kind, IMSI) == ()


async def test_the_software_version_of_an_imei_is_no_other_phone(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1))
        await store.ask("save_token", new_token(2, terminal_id=PHONE[:14] + "01", issued=NOW + 9))
        assert await store.ask("identity_changes", "mno", Identity.IMEI_OF_IMSI, IMSI) == ()


async def test_another_card_in_a_phone_is_history_once(kit: Kit) -> None:
    second = "001010000000002"
    async with opened(kit) as store:
        for number, (at, imsi) in enumerate([(0, IMSI), (1, second), (2, IMSI), (3, second)]):
            await store.ask("save_token", new_token(number, issued=NOW + at, imsi=imsi))
        kind = Identity.IMSI_OF_TERMINAL
        assert await store.ask("identity_changes", "mno", kind, PHONE) == (
            IdentityChange(kind, PHONE, NOW + 1, IMSI, second),
        )


async def test_a_card_remembers_only_so_many_terminals(kit: Kit) -> None:
    async with opened(kit) as store:
        for number in range(MAX_DEVICES + 3):
            await store.ask(
                "save_token", new_token(number, terminal_id=f"t{number}", issued=NOW + number)
            )
    names = kit.execute("SELECT terminal_id FROM devices ORDER BY last_seen")
    assert names == [(f"t{number}",) for number in range(3, MAX_DEVICES + 3)]


async def test_a_device_is_known_as_it_was_last_seen(kit: Kit) -> None:
    async with opened(kit) as store:
        await store.ask("save_token", new_token(1, terminal_sw_version="1"))
        await store.ask("save_token", new_token(2, terminal_sw_version="2", issued=NOW + 7))
        await store.ask("save_token", new_token(3, terminal_sw_version="2", issued=NOW + 8))
        await store.ask("save_token", new_token(4, terminal_sw_version="2", issued=NOW + 3_607))
    rows = kit.execute("SELECT sw_version, first_seen, last_seen FROM devices")
    assert rows == [("2", NOW, NOW + 3_607)]


async def test_what_cannot_be_text_fails_alone(kit: Kit) -> None:
    async with opened(kit) as store:
        answer = await store.ask("save_token", new_token(1, terminal_id="\udcff"))
        assert isinstance(answer, StoreUnavailable)
        assert await store.ask("save_token", new_token(2)) is None


async def test_before_the_start_everything_is_unavailable(kit: Kit) -> None:
    store = Asker(kit.store(end_turn=lambda: None))
    for question in (
        ("find_subscriber", "mno", IMSI),
        ("find_token", "mno", bytes(32)),
        ("save_token", new_token()),
        ("register_notification", wish()),
        ("identity_changes", "mno", Identity.IMEI_OF_IMSI, IMSI),
    ):
        assert (await store.ask(*question)).reason == "closed"
    statistics = store.store.statistics()
    assert not statistics.open
    assert statistics.refused + statistics.failed_reads == 5


async def test_everybody_is_answered_while_many_write_and_read(kit: Kit) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as store, trio.open_nursery() as nursery:
        wrong: list[object] = []

        async def device(number: int) -> None:
            imsi = f"00101{number:010}"
            for visit in range(5):
                token = new_token(1_000 * number + visit, imsi=imsi, issued=NOW + visit)
                if await store.ask("save_token", token) is not None:
                    wrong.append(token)
                found = await store.ask("find_token", "mno", token.token_hash)
                if judge(found, NOW + visit, imsi=imsi) is not None:
                    wrong.append(found)

        for number in range(60):
            nursery.start_soon(device, number)
    assert wrong == []
    statistics = store.store.statistics()
    assert (statistics.committed, statistics.waiting, statistics.failed) == (300, 0, 0)
    assert statistics.batches < 300


def add_plan(plan_id: str) -> Callable[[Database], int]:
    def operation(database: Database) -> int:
        database.execute("INSERT INTO plans VALUES ('mno', ?, 'x', '{}')", (plan_id,))
        (count,) = database.execute("SELECT count(*) FROM plans").fetchone()
        return int(count)

    return operation


async def test_an_operation_is_one_transaction(kit: Kit) -> None:
    def breaks(database: Database) -> None:
        add_plan("b")(database)
        raise KeyError

    bugs: list[Exception] = []
    async with opened(kit, crashed=bugs.append) as store:

        async def transact(operation: Callable[[Database], object]) -> Any:  # noqa: ANN401
            answers: list[Any] = []
            store.store.transact("mno", operation, answers.append)
            await store.until(lambda: bool(answers))
            return answers[0]

        assert await transact(add_plan("a")) == 1
        assert (await transact(breaks)).reason == "crash"
        assert [type(bug) for bug in bugs] == [KeyError]
        assert isinstance(await transact(add_plan("a")), StoreUnavailable)  # there already
        assert await transact(add_plan("c")) == 2
    assert kit.execute("SELECT plan_id FROM plans ORDER BY plan_id") == [("a",), ("c",)]


def test_no_repr_shows_who_it_is_about() -> None:
    for record in (new_token(), wish()):
        assert IMSI not in repr(record)
        assert PHONE not in repr(record)
