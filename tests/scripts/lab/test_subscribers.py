"""The subscriber file: defaults, round trip, and every kind of wrong line."""

from pathlib import Path

import pytest

from scripts.lab import subscribers
from scripts.lab.subscribers import LabSubscriber, SubscriberFileError, imei_of, nai_of


def test_the_default_file_is_the_test_network() -> None:
    found = subscribers.load()
    assert found[0].imsi == "001010000000001"
    assert len({subscriber.imsi for subscriber in found}) == len(found)
    assert {subscriber.tenant for subscriber in found} == {"mno", "mvno"}
    for subscriber in found:
        assert subscriber.imsi.startswith(subscribers.PLMN)
        assert (subscriber.k, subscriber.opc) == (subscribers.K, subscribers.OPC)
        assert subscriber.plan
        assert subscriber.imei


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    wanted = [*subscribers.sequential(3, plan="p"), LabSubscriber("001019000000001", sqn=0x40)]
    subscribers.write(path, wanted)
    assert subscribers.load(path) == wanted
    assert path.read_text().splitlines()[0] == "SEQUENTIAL"


def test_sequential_subscribers_have_their_own_imsi_and_imei() -> None:
    made = list(subscribers.sequential(1000))
    assert made[0].imsi == "001010000000001"
    assert made[-1].imsi == "001010000001000"
    assert len({subscriber.imei for subscriber in made}) == 1000


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "line 0: the first line"),
        (["RANDOM"], "line 1: the first line"),
        (["SEQUENTIAL", "1;2"], "line 2"),
        (["SEQUENTIAL", "", "abc;;;;;;"], "line 3: an IMSI"),
        (["SEQUENTIAL", "001010000000001;zz;;;;;"], "line 2: non-hexadecimal"),
        (["SEQUENTIAL", "001010000000001;aa;;;;;"], "line 2: K and OPc"),
        (["SEQUENTIAL", "001010000000001;;;1000000000000;;;"], "line 2: .*SQN"),
        (["SEQUENTIAL", "001010000000001;;;;12;;"], "line 2: an IMEI"),
    ],
)
def test_a_wrong_line_is_named(lines: list[str], why: str) -> None:
    with pytest.raises(SubscriberFileError, match=why):
        list(subscribers.parse(lines))


def test_empty_columns_take_the_defaults() -> None:
    (found,) = subscribers.parse(["SEQUENTIAL", "# comment", "001010000000001;;;;;;"])
    assert (found.k, found.opc, found.sqn) == (subscribers.K, subscribers.OPC, 0)


def test_identities() -> None:
    assert nai_of("001010000000001") == ("0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org")
    assert nai_of("310410123456789", mnc_digits=3, prefix="6") == (
        "6310410123456789@nai.epc.mnc410.mcc310.3gppnetwork.org"
    )
    # The check digit of TS 23.003 annex B.3's kind: 49015420323751-8 is the usual example.
    offset = 49_015_420_323_751 - subscribers.FIRST_IMEI
    assert imei_of(offset) == "490154203237518"


def test_keys_are_not_shown() -> None:
    assert "465b" not in repr(LabSubscriber("001010000000001"))
