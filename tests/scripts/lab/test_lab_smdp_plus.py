"""The lab's SM-DP+: SGP.22's states, its books, behaviours, control connection and command."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab.behaviour_words import BehaviourError
from scripts.lab.smdp_plus_behaviour import (
    Behaviour,
    Behaviours,
    parse_behaviour,
)
from scripts.lab.smdp_plus_control import HELP, Control
from scripts.lab.smdp_plus_profiles import (
    Inventory,
    Profile,
    Refusal,
    inventory,
    luhn,
)
from scripts.lab.smdp_plus_running import RunningSmdpPlus, WrongState
from scripts.lab.smdp_plus_server import SmdpPlusServer

EID = "89049032123451234512345678901235"
OTHER = "89049032000000000000000000000066"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def stock() -> Inventory:
    return Inventory([*inventory(3, owner="r"), *inventory(1, "WATCH", first=100)])


ICCID = luhn("894900000000000000")


def do(stock: Inventory, function: str, requester: str = "r", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    header = {"functionRequesterIdentifier": requester, "functionCallIdentifier": "c"}
    return stock.execute(function, {"header": header, **fields})


def refused(stock: Inventory, function: str, requester: str = "r", **fields: object) -> str:
    with pytest.raises(Refusal) as caught:
        do(stock, function, requester, **fields)
    return caught.value.code


def test_iccids_of_the_inventory_are_valid() -> None:
    assert luhn("894900000000000001") == "8949000000000000018"
    assert len({one.iccid for one in inventory(1_000)}) == 1_000


def test_download_order_by_iccid_and_by_type(stock: Inventory) -> None:
    assert do(stock, "downloadOrder", iccid=ICCID + "F", eid=EID) == {"iccid": ICCID}
    assert stock.profiles[ICCID].state == "Linked"
    other = do(stock, "downloadOrder", profileType="CONSUMER_5G")["iccid"]
    assert stock.profiles[other].state == "Allocated"
    assert refused(stock, "downloadOrder", iccid=ICCID) == "8.2.1/3.3"
    assert refused(stock, "downloadOrder", iccid="8949") == "8.2.1/3.9"
    assert refused(stock, "downloadOrder", "x", iccid=other) == "8.2.1/1.2"
    third = luhn("894900000000000002")
    assert refused(stock, "downloadOrder", iccid=third, profileType="WATCH") == "8.2.5/3.8"
    assert refused(stock, "downloadOrder", profileType="NONE") == "8.2.5/3.9"
    do(stock, "downloadOrder", profileType="WATCH")
    assert refused(stock, "downloadOrder", profileType="WATCH") == "8.2.5/3.7"
    assert refused(stock, "downloadOrder") == "8.2.1/2.2"


def test_confirm_order_checks_eid_and_matching_id(stock: Inventory) -> None:
    confirm = "confirmOrder"
    assert refused(stock, confirm, iccid=ICCID, releaseFlag=True) == "8.2.1/3.5"
    do(stock, "downloadOrder", iccid=ICCID)
    given = {"iccid": ICCID, "releaseFlag": False}
    assert refused(stock, confirm, **given, matchingId="") == "8.1.1/2.2"
    assert refused(stock, confirm, **given, matchingId="A", smdsAddress="ds") == "8.1.1/2.2"
    assert do(stock, confirm, **given, matchingId="A", eid=EID) == {"matchingId": "A", "eid": EID}
    assert refused(stock, confirm, **given, matchingId="A", eid=EID) == "8.2.6/3.3"
    assert refused(stock, confirm, **given, matchingId="B", eid=EID) == "8.2.1/3.5"
    second = do(stock, "downloadOrder", profileType="CONSUMER_5G", eid=EID)["iccid"]
    bound = {"iccid": second, "releaseFlag": True}
    assert refused(stock, confirm, **bound, eid=OTHER) == "8.1.1/3.10"
    assert do(stock, confirm, **bound)["matchingId"]
    assert stock.profiles[second].state == "Released"
    assert stock.ordered_twice() == {EID: [ICCID, second]}
    assert stock.leaked([ICCID]) == [second]


def test_release_is_idempotent_and_needs_a_confirmed_profile(stock: Inventory) -> None:
    assert refused(stock, "releaseProfile", iccid=ICCID) == "8.2.1/3.5"
    do(stock, "downloadOrder", iccid=ICCID)
    do(stock, "confirmOrder", iccid=ICCID, releaseFlag=False)
    for _ in range(2):
        assert do(stock, "releaseProfile", iccid=ICCID) == {}
    assert stock.profiles[ICCID].history[-2:] == ["Confirmed", "Released"]


def test_cancel_order_needs_what_is_bound(stock: Inventory) -> None:
    cancel, available = "cancelOrder", {"finalProfileStatusIndicator": "Available"}
    assert refused(stock, cancel, iccid=ICCID, **available) == "8.2.1/3.9"
    do(stock, "downloadOrder", iccid=ICCID, eid=EID)
    do(stock, "confirmOrder", iccid=ICCID, releaseFlag=True, matchingId="A")
    assert refused(stock, cancel, iccid=ICCID, **available) == "8.1.1/3.10"
    assert refused(stock, cancel, iccid=ICCID, eid=EID, **available) == "8.2.6/3.10"
    bound = {"iccid": ICCID, "eid": EID, "matchingId": "A"}
    assert refused(stock, cancel, **bound, finalProfileStatusIndicator="x") == "1.3.1/2.1"
    assert do(stock, cancel, **bound, finalProfileStatusIndicator="Unavailable") == {}
    assert stock.profiles[ICCID].state == "Unavailable"
    assert stock.profiles[ICCID].eid is None


# SGP.22 §3.1.6, as far as the operator's functions go.
NEXT = {
    "Available": {"Allocated", "Linked"},
    "Allocated": {"Confirmed", "Released", "Available", "Unavailable"},
    "Linked": {"Confirmed", "Released", "Available", "Unavailable"},
    "Confirmed": {"Released", "Available", "Unavailable"},
    "Released": {"Available", "Unavailable"},
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["downloadOrder", "confirmOrder", "releaseProfile", "cancelOrder"]),
            st.sampled_from([None, EID]),
            st.booleans(),
            st.sampled_from(["Available", "Unavailable"]),
        ),
        max_size=12,
    )
)
def test_every_history_follows_the_table(calls: list[tuple[str, str | None, bool, str]]) -> None:
    stock = Inventory(inventory(1, owner="r"))
    for function, eid, release, final in calls:
        fields: dict[str, Any] = {
            "iccid": ICCID,
            "releaseFlag": release,
            "matchingId": "A",
            "finalProfileStatusIndicator": final,
        }
        if eid:
            fields["eid"] = eid
        try:
            do(stock, function, **fields)
        except Refusal:
            continue
    history = stock.profiles[ICCID].history
    for before, after in itertools.pairwise(history):
        assert after in NEXT[before]


def test_a_behaviour_is_read_and_its_mistakes_told() -> None:
    how = parse_behaviour("delay=0.5, function=confirmOrder,times=2,silent")
    assert how == Behaviour(delay=0.5, function="confirmOrder", times=2, silent=True)
    for text, problem in (("nonsense", "unknown"), ("delay=x", "float"), ("times=x", "int")):
        with pytest.raises(BehaviourError, match=problem):
            parse_behaviour(text)


def test_the_newest_behaviour_that_fits_counts_and_wears_off() -> None:
    behaviours = Behaviours()
    behaviours.set("*", "delay=1")
    behaviours.set("*35", "silent,times=1,function=confirmOrder")
    assert behaviours.of("downloadOrder", (ICCID, EID)).delay == 1
    assert behaviours.of("confirmOrder", (ICCID, EID)).silent
    assert not behaviours.of("confirmOrder", (ICCID, EID)).silent
    behaviours.set(ICCID, "http=503")
    assert behaviours.of("cancelOrder", (ICCID, "")).http == 503
    behaviours.clear()
    assert behaviours.of("cancelOrder", (ICCID, "")) == Behaviour()


async def test_a_device_downloads_what_is_released_and_nothing_else(stock: Inventory) -> None:
    lab = RunningSmdpPlus("", SmdpPlusServer(stock), None)
    do(stock, "downloadOrder", iccid=ICCID)
    with pytest.raises(WrongState, match=r"8\.2\.6/3\.8"):
        await lab.download(ICCID)
    do(stock, "confirmOrder", iccid=ICCID, releaseFlag=True)
    await lab.download(ICCID, EID)
    with pytest.raises(WrongState, match=r"8\.1\.1/3\.8"):
        await lab.download(ICCID, OTHER)
    assert refused(stock, "cancelOrder", iccid=ICCID, finalProfileStatusIndicator="Available") == (
        "8.2.1/3.3"
    )
    await lab.install(ICCID)
    await lab.delete(ICCID)
    assert stock.profiles[ICCID].state == "Available"


async def test_the_control_connection_does_what_help_says(stock: Inventory) -> None:
    control = Control(RunningSmdpPlus("", SmdpPlusServer(stock), None))
    assert set(HELP) < set(await control.execute("help"))
    assert await control.execute(f"behaviour {ICCID} silent") == "ok"
    assert await control.execute("clear") == "ok"
    do(stock, "downloadOrder", iccid=ICCID, eid=EID)
    do(stock, "confirmOrder", iccid=ICCID, releaseFlag=True, matchingId="A-1")
    assert (await control.execute("matching A-1"))["iccid"] == ICCID
    assert await control.execute(f"download {ICCID}") == "Downloaded"
    assert await control.execute(f"fail {ICCID} 8.8.5/3.8") == "Error"
    assert (await control.execute(f"profile {ICCID}"))["state"] == "Error"
    assert (await control.execute("books"))["states"] == {"Error": 1, "Available": 3}
    for line, problem in (
        ("nonsense", "unknown command"),
        ("profile", "usage: profile ICCID"),
        ("profile 1", "there is no profile"),
        (f"install {ICCID}", "8.2.6/3.8"),
        (f"notify {ICCID} 3", "there is no --operator"),
        ("behaviour * nonsense", "unknown"),
        ("matching B", "no profile"),
    ):
        assert problem in (await control.execute(line))["error"]


def test_the_command_serves_and_prints_its_books(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "scripts.lab.smdp_plus", "--listen", "127.0.0.1:0"),
        *("--data", str(tmp_path), "--profiles", "5", "--control", "127.0.0.1:0"),
        *("--behaviour", "*=delay=0.1"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGTERM)
        books = json.loads(process.stdout.read())
    assert lines[0].startswith("control on 127.0.0.1:")
    assert lines[1].startswith("SM-DP+ at https://127.0.0.1:")
    assert books["states"] == {"Available": 10}
    assert process.returncode == 0
    assert (tmp_path / "operator.pem").exists()


def test_profiles_of_one_operator_are_nobody_elses() -> None:
    stock = Inventory([Profile(ICCID, "T", owner="one")])
    assert refused(stock, "downloadOrder", "two", profileType="T") == "8.2.5/3.9"
    assert refused(stock, "downloadOrder", "two", iccid=ICCID) == "8.2.1/1.2"
