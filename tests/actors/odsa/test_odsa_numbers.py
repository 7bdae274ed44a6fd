"""ap2014: phone numbers, from the subscriber alone (TS.43 v12 §13)."""

import base64
import hashlib
import hmac
import uuid

import pytest
import trio

from actors.backends.bss import SubscriberStatus
from config.model import PhoneNumber
from tests.actors.odsa.asking import IMSI, Asker, line, tenant, working

OFFERED = PhoneNumber(offered=True, sim_id_key="key", mvno_name="MVNO 222")


async def asker(nursery: trio.Nursery, rules: PhoneNumber = OFFERED) -> Asker:
    return Asker(await working(nursery, None), tenant(rules))


async def test_the_number_is_told_in_e164(nursery: trio.Nursery) -> None:
    asking = await asker(nursery)
    read = await asking.ask("ap2014", "GetPhoneNumber")
    assert read == {"MSISDN": "+491700000001", "OperationResult": "1"}
    encoded = await asker(nursery, PhoneNumber(offered=True, encoded=True))
    value = (await encoded.ask("ap2014", "GetPhoneNumber"))["MSISDN"]
    assert base64.b64decode(value.removeprefix("encodedValue=")) == b"+491700000001"


@pytest.mark.parametrize(
    ("msisdn", "found"), [("+491700000001", "1"), ("491700000001", "1"), ("+491700000002", "0")]
)
async def test_a_number_is_verified(nursery: trio.Nursery, msisdn: str, found: str) -> None:
    read = await (await asker(nursery)).ask("ap2014", "VerifyPhoneNumber", msisdn=msisdn)
    assert read["PhoneNumberVerification"] == found
    # A number that is wrong is not corrected.
    assert ("msisdn" in read) is (found == "1")


async def test_what_is_no_number_is_102(nursery: trio.Nursery) -> None:
    read = await (await asker(nursery)).ask("ap2014", "VerifyPhoneNumber", msisdn="me")
    assert read["OperationResult"] == "102"


async def test_the_imsi_is_hidden_behind_the_operators_key(nursery: trio.Nursery) -> None:
    read = await (await asker(nursery)).ask("ap2014", "GetSubscriberInfo")
    expected = hmac.new(b"key", IMSI.encode(), hashlib.sha256).hexdigest()
    assert read["SubscriberInfo"] == {
        "MSISDN": "+491700000001",
        "SimIdType": "2",
        "SimID": expected,
        "MvnoName": "MVNO 222",
    }
    as_uuid = PhoneNumber(offered=True, sim_id="uuid", sim_id_key="key")
    info = (await (await asker(nursery, as_uuid)).ask("ap2014", "GetSubscriberInfo"))[
        "SubscriberInfo"
    ]
    assert info["SimIdType"] == "1"
    assert str(uuid.UUID(info["SimID"])) == info["SimID"]
    plain = PhoneNumber(offered=True, sim_id="imsi")
    info = (await (await asker(nursery, plain)).ask("ap2014", "GetSubscriberInfo"))[
        "SubscriberInfo"
    ]
    assert (info["SimIdType"], info["SimID"]) == ("0", IMSI)


async def test_a_line_without_number_or_that_has_ended_tells_none(nursery: trio.Nursery) -> None:
    clerk = await working(nursery, None)
    for subscriber in (line(msisdn=""), line(status=SubscriberStatus.TERMINATED)):
        asking = Asker(clerk, tenant(OFFERED), subscriber)
        assert (await asking.ask("ap2014", "GetPhoneNumber"))["OperationResult"] == "100"
