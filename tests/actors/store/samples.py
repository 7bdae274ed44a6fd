"""A subscriber, its plan, and tokens of it."""

from typing import Final

from msgspec.structs import replace

from actors.backends.bss import Boost, DataPlan, Plan, Subscriber, SubscriberStatus
from actors.store.records import NewToken, Token
from actors.store.tokens import TokenFault, fault, mint, owner_key, token_hash

IMSI: Final = "001010000000001"
PHONE: Final = "990000862471854"
OTHER_PHONE: Final = "990000862471999"
NOW: Final = 1_800_000_000
GOLD: Final = Plan(
    "gold", "Gold", frozenset({"volte", "boost"}), (DataPlan(0, "Metered"),), (Boost(166, 1),)
)
LINE: Final = Subscriber("mno", IMSI, "491700000001", "", "gold", SubscriberStatus.ACTIVE)


def new_token(number: int = 1, **changes: object) -> NewToken:
    token = NewToken(
        tenant="mno",
        token_hash=b"",
        imsi=IMSI,
        terminal_id=PHONE,
        apps=("ap2004", "ap2003"),
        app_name="",
        issued=NOW,
        expires=NOW + 10_000,
        grace_seconds=600,
        diameter_session_id=b"ecs1;1;2;w1-1",
    )
    token = replace(token, **changes)  # type: ignore[arg-type]
    owner = owner_key(token.tenant, token.imsi, token.terminal_id, token.apps, token.app_name)
    text = mint(token.tenant, token.imsi, number.to_bytes(32, "big"), owner)
    return replace(token, token_hash=token_hash(text) or b"")


def judge(found: Token | None, now: int, **changes: object) -> TokenFault | None:
    request: dict[str, object] = {
        "tenant": "mno",
        "imsi": IMSI,
        "terminal_id": PHONE,
        "apps": ("ap2003",),
        "app_name": "",
        "generation": None,
        "now": now,
    }
    return fault(found, **(request | changes))  # type: ignore[arg-type]
