"""Notifications in the shapes vendors send them: ES2-33 to ES2-37 and SGP.22 §6.5.2.5."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode

from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.installation import BppCommand, InstallationError, InstallationResult
from protocols.es2plus.progress import decode_progress
from protocols.es2plus.result_data import (
    ProfileInstallationResult,
    decode_result_data,
)
from protocols.es2plus.status_codes import StatusCode
from protocols.identity import Eid, Iccid

ICCID = Iccid("8949000000000000018")
EID = Eid("89049032123451234512345678901235")


def tlv(tag: str, value: bytes) -> bytes:
    length = len(value)
    octets = bytes([length]) if length < 128 else b"\x81" + bytes([length])
    return bytes.fromhex(tag) + octets + value


SUCCESS = tlv("A0", tlv("4F", bytes.fromhex("A0000005591010FFFFFFFF8900001100")) + tlv("04", b"0"))
FAILURE = tlv("A1", tlv("80", b"\x05") + tlv("81", b"\x0a"))
OID = tlv("06", bytes.fromhex("88370A"))  # 2.999.10


def whole(final: bytes) -> bytes:
    """ProfileInstallationResult, written by hand from the tags of SGP.22."""
    metadata = tlv(
        "BF2F",
        tlv("80", b"\x07")
        + tlv("81", b"\x07\x80")
        + tlv("0C", b"smdp.example.com")
        + tlv("5A", bytes.fromhex("989400000000000010F8")),
    )
    data = tlv("BF27", tlv("80", b"\x01" * 16) + metadata + OID + tlv("A2", final))
    return tlv("BF37", data + tlv("5F37", b"\x55" * 64))


def notification(**fields: object) -> bytes:
    body: dict[str, Any] = {
        "header": {"functionRequesterIdentifier": "r", "functionCallIdentifier": "c"},
        "iccid": ICCID,
        "profileType": "CONSUMER_5G",
        "timestamp": "2024-03-06T08:00:41Z",
        "notificationPointId": 4,
        "notificationPointStatus": {"status": "Executed-Success"},
    }
    body.update(fields)
    return json.dumps({key: value for key, value in body.items() if value is not None}).encode()


def test_the_form_of_the_schema_is_read() -> None:
    info = decode_progress(notification(eid=EID))
    assert (info.iccid, info.eid, info.point, info.profile_type) == (ICCID, EID, "4", "CONSUMER_5G")
    assert info.status.succeeded
    assert info.happened_at == 1_709_712_041
    assert (info.has_result_data, info.installation) == (False, None)


@pytest.mark.parametrize("point", [4, "4", "04", " 4"])
def test_the_point_is_an_integer_or_a_text(point: object) -> None:
    """ES2-34"""
    assert decode_progress(notification(notificationPointId=point)).point == "4"


@pytest.mark.parametrize("name", ["timestamp", "timeStamp"])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-03-06T08:00:41Z", 1_709_712_041.0),
        ("2024-03-06T09:30:41+01:30", 1_709_712_041.0),
        ("2024-03-06T08:00:41.250Z", 1_709_712_041.25),
        ("2024-03-06T08:00:41", 1_709_712_041.0),
        ("1709712641", 1_709_712_641.0),
        (1709712641, 1_709_712_641.0),
        ("1709712641250", 1_709_712_641.25),
        ("yesterday", None),
        ("nan", None),
        ("-1", None),
        ("1e999", None),
        ("0000-00-00T00:00:00Z", None),
        ("9999-12-31T23:59:59-14:00", 253_402_351_199.0),
    ],
)
def test_the_time_is_normalised_and_never_a_reason_to_refuse(
    name: str, text: object, seconds: float | None
) -> None:
    """ES2-35"""
    body = notification(**{"timestamp": None, name: text})
    assert decode_progress(body).happened_at == seconds


def test_a_missing_time_is_survived() -> None:
    assert decode_progress(notification(timestamp=None)).happened_at is None


def test_extra_fields_are_accepted() -> None:
    """ES2-36"""
    info = decode_progress(notification(imei="350000000000006", tac=35000000, other=[{}]))
    assert (info.imei, info.tac) == ("350000000000006", "35000000")


def test_the_iccid_is_canonical() -> None:
    assert decode_progress(notification(iccid="8949000000000000018F")).iccid == ICCID
    assert decode_progress(notification(iccid=int(ICCID))).iccid == ICCID


def test_the_form_of_china_mobile_international_is_read() -> None:
    body = {
        "header": {
            "functionRequesterIdentifier": "24a3b946405843d2a1bc69780e7ba717",
            "functionCallIdentifier": "handleDownloadProgressInfo",
        },
        "iccid": "89852342022019785558",
        "eid": EID,
        "profileType": "1",
        "timeStamp": "1709712641",
        "notificationPointId": "101",
        "notificationPointStatus": {"status": "Executed-Success"},
    }
    info = decode_progress(json.dumps(body).encode())
    assert (info.point, info.happened_at) == ("101", 1_709_712_641)


def test_a_status_that_is_a_mere_word_is_read() -> None:
    assert decode_progress(notification(notificationPointStatus="Failed")).status.succeeded is False


def test_a_failure_has_its_code() -> None:
    status = {
        "status": "Failed",
        "statusCodeData": {"subjectCode": "8.8.5", "reasonCode": "3.8"},
    }
    info = decode_progress(notification(notificationPointStatus=status))
    assert info.status.code == StatusCode("8.8.5", "3.8")


def test_version_3_is_read_into_the_same() -> None:
    body = {
        "iccid": ICCID,
        "eid": EID,
        "timestamp": "2024-03-06T08:00:41Z",
        "notificationEvent": 4,
        "notificationEventStatus": {"status": "Executed-Success"},
        "notificationReceiverIdentifier": "x",
        "notificationIdentifier": "y",
    }
    info = decode_progress(json.dumps(body).encode())
    assert (info.point, info.status.succeeded) == ("4", True)


def test_an_eid_that_is_none_is_dropped() -> None:
    assert decode_progress(notification(eid="2.999")).eid is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        notification(iccid=None),
        notification(iccid="x"),
        notification(notificationPointId=None),
        notification(notificationPointId=""),
        notification(notificationPointId="9" * 65),
        notification(notificationPointId=[4]),
        notification(notificationPointStatus=None),
        notification(notificationPointStatus=5),
    ],
)
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    """ES2-44"""
    with pytest.raises(Es2PlusError):
        decode_progress(body)


@pytest.mark.parametrize(
    ("data", "succeeded"),
    [(tlv("A2", SUCCESS), True), (tlv("A2", FAILURE), False), (SUCCESS, True), (FAILURE, False)],
)
def test_the_final_result_is_decoded_with_and_without_its_tag(data: bytes, succeeded: bool) -> None:
    """ES2-37"""
    expected = (
        InstallationResult(True)
        if succeeded
        else InstallationResult(
            False, BppCommand.LOAD_PROFILE_ELEMENTS, InstallationError.INSUFFICIENT_MEMORY
        )
    )
    encoded = base64.b64encode(data).decode()
    assert decode_progress(notification(resultData=encoded)).installation == expected


@pytest.mark.parametrize("final", [SUCCESS, FAILURE])
def test_a_whole_installation_result_is_decoded(final: bytes) -> None:
    """ES2-37"""
    result = decode_result_data(whole(final))
    assert result is not None
    assert result.succeeded is (final is SUCCESS)
    assert (result.iccid, result.sequence_number) == (ICCID, 7)
    assert (result.transaction_id, result.smdp_oid) == (b"\x01" * 16, "2.999.10")


@pytest.mark.parametrize("final", [SUCCESS, FAILURE])
def test_pyasn1_writes_again_what_was_read(final: bytes) -> None:
    value, rest = decode(whole(final), asn1Spec=ProfileInstallationResult())
    assert not rest
    assert encode(value) == whole(final)


@pytest.mark.parametrize(
    "result_data",
    ["", "!!!", "AAAA", base64.b64encode(b"\xbf\x37\x01").decode(), "A" * 40_000, "oA==", "ogA="],
)
def test_result_data_that_cannot_be_read_stays_opaque(result_data: str) -> None:
    """ES2-37"""
    info = decode_progress(notification(resultData=result_data))
    assert info.installation is None
    assert info.has_result_data is bool(result_data)


def test_base64_in_lines_is_read() -> None:
    encoded = base64.encodebytes(whole(SUCCESS)).decode()
    assert "\n" in encoded.strip()
    assert decode_progress(notification(resultData=encoded)).installation is not None


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xbf\x37", b"\xa2", b"\xa0", b"\xa1"]))
def test_any_octets_are_decoded_or_opaque(data: bytes, head: bytes) -> None:
    decode_result_data(head + data)


@given(st.sampled_from([SUCCESS, FAILURE]), st.data())
def test_a_damaged_result_is_decoded_or_opaque(final: bytes, data: st.DataObject) -> None:
    octets = bytearray(whole(final))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    decode_result_data(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    decode_result_data(bytes(octets))


def test_deep_nesting_is_opaque() -> None:
    deep = b""
    for _ in range(60):
        deep = tlv("A2", deep)[:1] + b"\x81" + bytes([min(len(deep), 255)]) + deep
    decode_result_data(deep)
    decode_result_data(b"\xa2\x80" * 8_000)


@given(st.binary())
def test_any_octets_are_a_notification_or_refused(data: bytes) -> None:
    with pytest.raises(Es2PlusError):
        decode_progress(data)
