"""Requests as they go out and answers as vendors really send them: ES2-01 to ES2-12, 17 to 29."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.es2plus.bodies import decode_request, decode_response, encode_request
from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.identifiers import ConfirmationCode, MatchingId
from protocols.es2plus.paths import admin_protocol, admin_protocol_version, function_path
from protocols.es2plus.profile_status import decode_status_answer, encode_status_query
from protocols.es2plus.requests import (
    CancelOrder,
    ConfirmOrder,
    DownloadOrder,
    FinalProfileStatus,
    ReleaseProfile,
    Request,
)
from protocols.es2plus.status_codes import Function, StatusCode
from protocols.identity import Eid, Iccid

ICCID = Iccid("8949000000000000018")
EID = Eid("89049032123451234512345678901235")
HEADER = {"functionRequesterIdentifier": "2.999.20", "functionCallIdentifier": "TX-000567"}


def written(request: Request, *, padded: bool = False) -> dict[str, Any]:
    body = encode_request(request, "2.999.20", "TX-000567", padded=padded)
    for escape_or_null in (b"\\u", b"\\/", b"null"):  # ES2-06, ES2-07
        assert escape_or_null not in body
    fields: dict[str, Any] = json.loads(body)
    assert fields.pop("header") == HEADER  # ES2-04
    return fields


def test_the_four_paths() -> None:
    """ES2-01"""
    assert function_path(Function.DOWNLOAD_ORDER) == "/gsma/rsp2/es2plus/downloadOrder"
    assert function_path(Function.CONFIRM_ORDER) == "/gsma/rsp2/es2plus/confirmOrder"
    assert function_path(Function.RELEASE_PROFILE) == "/gsma/rsp2/es2plus/releaseProfile"
    assert function_path(Function.CANCEL_ORDER, "/aep/") == "/aep/gsma/rsp2/es2plus/cancelOrder"


def test_the_admin_protocol_field() -> None:
    """ES2-02, ES2-28"""
    assert admin_protocol("2.2.0") == "gsma/rsp/v2.2.0"
    assert admin_protocol_version("gsma/rsp/v2.5.0") == (2, 5, 0)
    for odd in (None, "", "gsma/rsp/v2", "gsma/rsp/2.5.0", "gsma/rsp/v2.5.0x"):
        assert admin_protocol_version(odd) is None


def test_optional_fields_are_absent_and_never_null() -> None:
    """ES2-06"""
    assert written(DownloadOrder(profile_type="CONSUMER_5G")) == {"profileType": "CONSUMER_5G"}
    assert written(DownloadOrder(ICCID)) == {"iccid": ICCID}
    assert written(DownloadOrder(ICCID, "T", EID)) == {
        "iccid": ICCID,
        "profileType": "T",
        "eid": EID,
    }
    assert written(ReleaseProfile(ICCID)) == {"iccid": ICCID}


def test_nothing_is_escaped_that_need_not_be() -> None:
    """ES2-07"""
    request = DownloadOrder(profile_type="Montréal/5G \U0001f600")
    body = encode_request(request, "2.999.20", "TX-000567")
    assert "Montréal/5G \U0001f600".encode() in body


def test_the_release_flag_is_a_boolean() -> None:
    """ES2-08"""
    assert written(ConfirmOrder(ICCID, release=True))["releaseFlag"] is True
    assert written(ConfirmOrder(ICCID, release=False))["releaseFlag"] is False


def test_an_iccid_is_padded_where_the_vendor_wants_it() -> None:
    """ES2-09"""
    for request in (
        DownloadOrder(ICCID),
        ConfirmOrder(ICCID, release=False),
        ReleaseProfile(ICCID),
        CancelOrder(ICCID, FinalProfileStatus.AVAILABLE),
    ):
        assert written(request)["iccid"] == "8949000000000000018"
        assert written(request, padded=True)["iccid"] == "8949000000000000018F"


def test_the_default_address_mode_sends_an_empty_matching_id() -> None:
    """ES2-11"""
    fields = written(ConfirmOrder(ICCID, True, EID, MatchingId("")))
    assert fields == {"iccid": ICCID, "releaseFlag": True, "eid": EID, "matchingId": ""}


def test_the_discovery_mode_sends_address_eid_and_matching_id() -> None:
    """ES2-12"""
    request = ConfirmOrder(ICCID, True, EID, MatchingId("A-1"), smds_address="lpa.ds.gsma.com")
    assert written(request) == {
        "iccid": ICCID,
        "releaseFlag": True,
        "eid": EID,
        "matchingId": "A-1",
        "smdsAddress": "lpa.ds.gsma.com",
    }


def test_inputs_that_belong_to_no_delivery_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="SM-DS"):
        ConfirmOrder(ICCID, True, None, MatchingId("A"), smds_address="ds")
    with pytest.raises(ValueError, match="SM-DS"):
        ConfirmOrder(ICCID, True, EID, None, smds_address="ds")
    with pytest.raises(ValueError, match="default"):
        ConfirmOrder(ICCID, True, None, MatchingId(""))
    with pytest.raises(ValueError, match="ICCID or a profile type"):
        DownloadOrder()


def test_a_cancel_order_says_what_becomes_of_the_profile() -> None:
    request = CancelOrder(ICCID, FinalProfileStatus.UNAVAILABLE, EID, MatchingId("A-1"))
    assert written(request) == {
        "iccid": ICCID,
        "eid": EID,
        "matchingId": "A-1",
        "finalProfileStatusIndicator": "Unavailable",
    }


REQUESTS: list[Request] = [
    DownloadOrder(ICCID, "T", EID),
    DownloadOrder(profile_type="T"),
    ConfirmOrder(ICCID, True, EID, MatchingId("A"), ConfirmationCode("4711"), "ds.example"),
    ConfirmOrder(ICCID, False),
    CancelOrder(ICCID, FinalProfileStatus.AVAILABLE, EID, MatchingId("A")),
    ReleaseProfile(ICCID),
]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_persisted_body_gives_the_request_back(request_: Request, padded: bool) -> None:
    body = encode_request(request_, "2.999.20", "TX-1", padded=padded)
    read, header = decode_request(request_.function, body)
    assert read == request_
    assert header.function_call_identifier == "TX-1"


def test_a_body_of_another_function_is_refused() -> None:
    body = encode_request(ReleaseProfile(ICCID), "r", "c")
    for function in (Function.CONFIRM_ORDER, Function.CANCEL_ORDER, Function.HANDLE_NOTIFICATION):
        with pytest.raises(Es2PlusError):
            decode_request(function, body)
    with pytest.raises(Es2PlusError, match="32 digits"):
        decode_request(Function.DOWNLOAD_ORDER, body.replace(b'"iccid"', b'"eid"'))


def test_a_confirmation_code_does_not_show_in_a_repr() -> None:
    request = ConfirmOrder(ICCID, True, EID, MatchingId("A"), ConfirmationCode("4711-SECRET"))
    assert "4711" not in repr(request)
    assert ICCID not in repr(request)


def answer(status: object = "Executed-Success", **fields: object) -> bytes:
    execution = status if isinstance(status, dict) else {"status": status}
    return json.dumps({"header": {"functionExecutionStatus": execution}, **fields}).encode()


def test_a_success_and_a_warning_are_success_and_nothing_else_is() -> None:
    """ES2-17, ES2-18, ES2-19"""
    assert decode_response(answer("Executed-Success")).status.succeeded
    assert decode_response(answer("Executed-WithWarning")).status.succeeded
    for status in ("Failed", "Expired", "executed-success", ""):
        assert not decode_response(answer(status)).status.succeeded


def test_a_failure_has_a_code_and_perhaps_a_message() -> None:
    """ES2-17; the example of SGP.22"""
    data = {
        "subjectCode": "8.2.1",
        "reasonCode": "3.9",
        "subjectIdentifier": "8949000000000000018",
        "message": "unknown ICCID",
    }
    status = decode_response(answer({"status": "Failed", "statusCodeData": data})).status
    assert (status.succeeded, status.code) == (False, StatusCode("8.2.1", "3.9"))
    assert status.message == "unknown ICCID"


@pytest.mark.parametrize(
    "status",
    [
        {"status": "Failed"},
        {"status": "Failed", "statusCodeData": None},
        {"status": "Failed", "statusCodeData": {}},
        {"status": "Failed", "statusCodeData": {"subjectCode": "8.2.1"}},
    ],
)
def test_missing_status_code_data_is_survived(status: dict[str, object]) -> None:
    """ES2-20"""
    read = decode_response(answer(status)).status
    assert (read.succeeded, read.code, read.message) == (False, None, "")


def test_identifiers_of_the_answer_are_canonical() -> None:
    """ES2-21, ES2-29: an F nibble, numbers for texts, null for absent, unknown fields"""
    read = decode_response(
        answer(
            iccid="8949000000000000018F",
            eid=None,
            matchingId="A-1",
            smdpAddress="dp2.example.com",
            unknown={"deep": [1]},
        )
    )
    assert (read.iccid, read.eid, read.matching_id) == (ICCID, None, "A-1")
    assert read.smdp_address == "dp2.example.com"
    assert decode_response(answer(iccid=8949000000000000018)).iccid == ICCID


def test_the_last_of_duplicate_keys_counts() -> None:
    """FAIL-12"""
    body = answer("Failed")[:-1] + b"," + answer("Executed-Success")[1:]
    assert decode_response(body).status.succeeded


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"header":{}}',
        b'{"header":{"functionExecutionStatus":{}}}',
        b'{"header":{"functionExecutionStatus":{"status":1}}}',
        b"<html>Internal Server Error</html>",
        b"[" * 100_000,
        answer(iccid="12"),
        answer(eid="12"),
        answer(matchingId="a b"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """FAIL-05, ES2-27"""
    with pytest.raises(Es2PlusError):
        decode_response(body)


@given(st.integers(0, 200))
def test_a_truncated_answer_is_refused(length: int) -> None:
    """FAIL-05"""
    whole = answer(iccid=ICCID)
    if length < len(whole):
        with pytest.raises(Es2PlusError):
            decode_response(whole[:length])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["header", "iccid", "eid", "matchingId", "smdpAddress", "x"]), _json
    )
)
def test_any_json_is_read_or_refused(fields: dict[str, object]) -> None:
    body = json.dumps({"header": {"functionExecutionStatus": {"status": "Failed"}}, **fields})
    with contextlib.suppress(Es2PlusError):
        decode_response(body.encode())


@given(st.binary())
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    for read in (decode_response, decode_status_answer):
        with pytest.raises(Es2PlusError):
            read(data)


def test_the_status_query_of_a_vendor() -> None:
    query = json.loads(encode_status_query((ICCID,), "r", "c", padded=True))
    assert query["iccidList"] == [{"iccid": ICCID.padded}]
    status, rows = decode_status_answer(
        answer(
            profileStatusList=[
                {
                    "iccid": "8949000000000000018F",
                    "eid": EID,
                    "state": "RELEASED",
                    "acToken": "X",
                    "lockFlag": False,
                    "status_last_update_timestamp": "2024-01-01T00:00:00Z",
                }
            ],
            completionTimestamp="2024-01-01T00:00:00Z",
        )
    )
    assert status.succeeded
    assert [(row.iccid, row.state, row.eid) for row in rows] == [(ICCID, "RELEASED", EID)]
    assert decode_status_answer(answer("Failed"))[1] == ()
    with pytest.raises(Es2PlusError):
        decode_status_answer(answer(profileStatusList=[{"iccid": "1"}]))
