"""Parameters of ODSA operations against the samples of TS.43 v12 §6.4 and its table 27."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ts43.odsa import OperationResult, OperationType
from protocols.ts43.odsa_message import DisplayLimits
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest, read_odsa
from protocols.ts43.operations import OPERATION_NAMES

EID = "89049032000001000000000012345678"
ICCID = "89000123766789001878"
WATCH = "98112687006099944"
PHONE = "013787006099944"


def read(app: str, operation: str, **params: str) -> OdsaRequest:
    return read_odsa(app, operation, {"terminal_id": PHONE, **params})


def fault(app: str, operation: str, **params: str) -> OdsaFault:
    with pytest.raises(OdsaFault) as caught:
        read(app, operation, **params)
    return caught.value


def test_check_eligibility_of_table_28() -> None:
    request = read("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert (request.kind, request.managed.id, request.terminal_id) == (None, WATCH, PHONE)


def test_manage_subscription_of_table_29_names_the_companion() -> None:
    request = read(
        "ap2006",
        "ManageSubscription",
        operation_type="0",
        companion_terminal_id=WATCH,
        companion_terminal_eid=EID,
        companion_terminal_service="sharednumber",
        companion_terminal_model="Watch 9",
    )
    assert request.kind is OperationType.SUBSCRIBE
    assert (request.managed.eid, request.managed.model) == (EID, "Watch 9")
    assert request.service == "SharedNumber"


def test_manage_service_of_table_30() -> None:
    request = read(
        "ap2006",
        "ManageService",
        operation_type="10",
        companion_terminal_id=WATCH,
        companion_terminal_service="DiffNumber",
        companion_terminal_iccid=ICCID,
    )
    assert request.kind is OperationType.ACTIVATE_SERVICE
    assert (request.managed.iccid, request.service) == (ICCID, "DiffNumber")


def test_acquire_configuration_of_table_31_has_display_limits() -> None:
    request = read(
        "ap2006",
        "AcquireConfiguration",
        companion_terminal_id=WATCH,
        msg_character_display_limits="55,270,20,-1,nonsense",
    )
    assert request.display_limits == DisplayLimits(55, 270, 20, -1, -1, -1)


def test_acquire_plan_of_table_32() -> None:
    assert read("ap2011", "AcquirePlan").operation == "AcquirePlan"


def test_acquire_temporary_token_of_table_33_even_with_its_odd_iccid() -> None:
    request = read(
        "ap2009",
        "AcquireTemporaryToken",
        terminal_iccid="9815151513513513513513",
        operation_targets="ManageSubscription, acquireconfiguration",
    )
    assert request.targets == ("ManageSubscription", "AcquireConfiguration")
    assert request.terminal_iccid == "9815151513513513513513"


def test_verify_phone_number_of_table_36() -> None:
    assert read("ap2014", "VerifyPhoneNumber", msisdn="+14058885769").msisdn == "+14058885769"


def test_a_target_wins_over_the_terminal_that_asks() -> None:
    """Figure 14: another SIM authenticates; figure 15: there is none."""
    target = read(
        "ap2009",
        "ManageSubscription",
        operation_type="0",
        target_terminal_id="350000000000099",
        target_terminal_eid=EID,
        terminal_eid="1" * 32,
        terminal_vendor="OLD",
    )
    assert (target.managed.id, target.managed.eid) == ("350000000000099", EID)
    assert target.managed.vendor == ""
    own = read(
        "ap2009", "ManageSubscription", operation_type="0", terminal_eid=EID, terminal_vendor="GOOG"
    )
    assert (own.managed.id, own.managed.eid, own.managed.vendor) == (PHONE, EID, "GOOG")


def test_a_transfer_by_the_old_device_names_both() -> None:
    """Figure 17."""
    request = read(
        "ap2009",
        "ManageSubscription",
        operation_type="3",
        old_terminal_id=PHONE,
        old_terminal_iccid=ICCID,
        target_terminal_id="350000000000099",
        target_terminal_eid=EID,
        redownloadable_profile="1",
    )
    assert (request.old_id, request.old_iccid) == (PHONE, ICCID)
    assert request.redownloadable
    assert not request.old_companion


def test_an_enterprise_server_names_the_device() -> None:
    """Figure 16."""
    request = read(
        "ap2011",
        "ManageSubscription",
        operation_type="0",
        plan_id="Plan0001",
        enterprise_id="acme",
        enterprise_terminal_id="350000000000099",
        enterprise_terminal_eid=EID,
    )
    assert (request.managed.id, request.managed.eid) == ("350000000000099", EID)
    assert (request.plan_id, request.enterprise_id) == ("Plan0001", "acme")


def test_the_other_protocol_of_a_cross_platform_transfer() -> None:
    request = read(
        "ap2017",
        "ManageSubscription",
        operation_type="3",
        target_terminal_eid=EID,
        old_terminal_entitlement_protocol="1",
    )
    assert not request.ts43_both


def test_old_companion_parameters_are_seen() -> None:
    request = read(
        "ap2006",
        "ManageSubscription",
        operation_type="3",
        companion_terminal_id=WATCH,
        companion_terminal_eid=EID,
        old_companion_terminal_id="98112687006099000",
    )
    assert request.old_companion
    assert request.old_id == "98112687006099000"


SUBSCRIBE = {"operation_type": "0", "companion_terminal_id": WATCH, "companion_terminal_eid": EID}


@pytest.mark.parametrize(
    ("operation", "params", "reason"),
    [
        ("CheckEligibility", {}, "companion_terminal_id is missing"),
        ("AcquireConfiguration", {}, "companion_terminal_id is missing"),
        (
            "ManageSubscription",
            {**SUBSCRIBE, "companion_terminal_eid": ""},
            "companion_terminal_eid is missing",
        ),
        (
            "ManageSubscription",
            {**SUBSCRIBE, "companion_terminal_eid": "JHSDHljhsdfy763hh"},
            "companion_terminal_eid is invalid",
        ),
        ("ManageSubscription", {**SUBSCRIBE, "operation_type": ""}, "operation_type is missing"),
        ("ManageSubscription", {**SUBSCRIBE, "operation_type": "9"}, "operation_type is invalid"),
        ("ManageSubscription", {**SUBSCRIBE, "operation_type": "10"}, "operation_type is invalid"),
        ("ManageService", {**SUBSCRIBE, "operation_type": "0"}, "operation_type is invalid"),
        (
            "ManageSubscription",
            {**SUBSCRIBE, "companion_terminal_service": "OwnNumber"},
            "companion_terminal_service is invalid",
        ),
        ("ManageSubscription", {**SUBSCRIBE, "msg_btn": "2"}, "msg_btn is invalid"),
        (
            "ManageSubscription",
            {**SUBSCRIBE, "operation_type": "7"},
            "terminal_iccid is missing",
        ),
        (
            "ManageService",
            {**SUBSCRIBE, "operation_type": "10", "companion_terminal_iccid": ICCID},
            "companion_terminal_service is missing",
        ),
        ("AcquireTemporaryToken", SUBSCRIBE, "operation_targets is missing"),
        (
            "AcquireTemporaryToken",
            {**SUBSCRIBE, "operation_targets": "Conquer"},
            "operation_targets is invalid",
        ),
        ("VerifyPhoneNumber", {}, "msisdn is missing"),
    ],
)
def test_what_decides_must_be_there_and_right(
    operation: str, params: dict[str, str], reason: str
) -> None:
    """ODSA-45a."""
    found = fault("ap2006", operation, **params)
    assert (found.result, found.reason) == (OperationResult.INVALID_PARAMETER, reason)


def test_an_unknown_operation_is_101() -> None:
    """ODSA-45b."""
    assert fault("ap2009", "Frobnicate").result is OperationResult.INVALID_OPERATION


def test_a_message_response_without_acceptance_is_104() -> None:
    """ODSA-48b."""
    found = fault(
        "ap2009",
        "ManageSubscription",
        operation_type="0",
        terminal_eid=EID,
        msg_btn="0",
        msg_response="1234",
    )
    assert found.result is OperationResult.INVALID_MSG_RESPONSE


def test_a_primary_subscription_needs_the_eid_of_the_target() -> None:
    found = fault("ap2009", "ManageSubscription", operation_type="0")
    assert found.reason == "target_terminal_eid is missing"


def test_faults_never_quote_the_request() -> None:
    found = fault("ap2006", "ManageSubscription", **{**SUBSCRIBE, "companion_terminal_eid": "x9y"})
    assert "x9y" not in str(found)


NAMES = [
    "operation_type",
    "operation_targets",
    "companion_terminal_id",
    "companion_terminal_eid",
    "companion_terminal_iccid",
    "companion_terminal_service",
    "target_terminal_eid",
    "terminal_iccid",
    "enterprise_terminal_id",
    "old_terminal_iccid",
    "msg_btn",
    "msg_response",
    "msg_character_display_limits",
    "redownloadable_profile",
    "msisdn",
]


@given(
    st.sampled_from(["ap2006", "ap2009", "ap2011", "ap2014", "ap2017"]),
    st.sampled_from([*sorted(OPERATION_NAMES), "Frobnicate"]),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.one_of(st.text(), st.sampled_from(["0", "1", "3", "7", "10", EID, ICCID, "\x00", "²"])),
    ),
)
def test_whatever_is_sent_is_read_or_has_a_result(
    app: str, operation: str, params: dict[str, str]
) -> None:
    """Bad input costs nobody more than its answer."""
    found: object
    try:
        found = read_odsa(app, operation, params).operation
    except OdsaFault as fault:
        found = fault.result
    assert found in {operation, *OperationResult} - {OperationResult.SUCCESS}
