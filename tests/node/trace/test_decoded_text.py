"""EAP and Diameter as text: names of everything, also of what is rare or broken."""

import pytest

from node.trace.diameter_names import avp_name, command_name, result_name
from node.trace.diameter_text import diameter_lines, diameter_title
from node.trace.eap_text import eap_lines, eap_title
from protocols.diameter import dictionary as d
from protocols.diameter.encoding import encode_avp, encode_avps, encode_message, encode_octets


def aka(code: int, subtype: int, *attributes: bytes, type_: int = 23) -> bytes:
    body = bytes((type_, subtype, 0, 0)) + b"".join(attributes)
    return bytes((code, 7)) + (4 + len(body)).to_bytes(2, "big") + body


def answer(*avps: bytes, flags: int = 0x40, command: int = 268) -> bytes:
    return encode_message(flags, command, 16777264, 1, 2, b"".join(avps))


@pytest.mark.parametrize(
    ("packet", "lines"),
    [
        (aka(2, 4, bytes((4, 4)) + bytes(range(14))),
         ["EAP-Response/AKA-Synchronization-Failure id 7 (24 octets)",
          "AT_AUTS 000102030405060708090a0b0c0d (SQN_MS^AK* 000102030405)"]),
        (aka(1, 12, bytes.fromhex("0c014000")),
         ["EAP-Request/AKA-Notification id 7 (12 octets)",
          "AT_NOTIFICATION 16384 general failure"]),
        (aka(1, 5, bytes.fromhex("0d010000")),
         ["EAP-Request/AKA-Identity id 7 (12 octets)", "AT_ANY_ID_REQ 0000"]),
        (aka(2, 5, bytes.fromhex("0e020003") + b"0ab\0"),
         ["EAP-Response/AKA-Identity id 7 (16 octets)", "AT_IDENTITY 0ab"]),
        (aka(2, 14, bytes.fromhex("16010000")),
         ["EAP-Response/AKA-Client-Error id 7 (12 octets)", "AT_CLIENT_ERROR_CODE 0"]),
        (aka(2, 2), ["EAP-Response/AKA-Authentication-Reject id 7 (8 octets)"]),
        (aka(2, 99, bytes.fromhex("c8010102"), type_=50),
         ["EAP-Response/AKA'-subtype 99 id 7 (12 octets)", "attribute 200 0102"]),
        (bytes.fromhex("0207000603") + b"\x17",
         ["EAP-Response/Nak id 7 (6 octets)", "wants AKA"]),
        (bytes.fromhex("04070004"), ["EAP-Failure id 7 (4 octets)"]),
        (aka(1, 12, bytes.fromhex("0c000000")),
         ["EAP-Request/AKA-Notification id 7 (12 octets)",
          "broken: attribute 12 has the length zero"]),
        (b"\x01\x07\x00\x09\x17",
         ["EAP, broken: the length field says 9, there are 5 (5 octets)",
          "broken: the length field says 9, there are 5"]),
    ],
)  # fmt: skip
def test_a_packet_is_named_and_its_attributes_are(packet: bytes, lines: list[str]) -> None:
    assert eap_lines(packet, show_secrets=False) == lines


def test_what_will_trouble_phones_is_pointed_out() -> None:
    rand, autn = bytes((1, 5)) + bytes(18), bytes((2, 5)) + bytes(18)
    lines = eap_lines(aka(1, 1, autn, rand, bytes.fromhex("87010000")), show_secrets=False)
    warnings = [line for line in lines if line.startswith("! ")]
    assert len(warnings) == 2
    assert "Samsung" in warnings[0]
    assert "AT_RESULT_IND" in warnings[1]


def test_secrets_of_a_packet_are_shown_on_demand() -> None:
    packet = aka(2, 1, bytes.fromhex("0303004001020304a5a6a7a8"))
    assert eap_lines(packet, show_secrets=True)[1] == "AT_RES 01020304a5a6a7a8"
    assert eap_lines(packet, show_secrets=False)[1] == "AT_RES (8 octets hidden)"
    assert eap_title(packet) == "EAP-Response/AKA-Challenge id 7"


def test_an_experimental_result_is_named_with_its_vendor() -> None:
    result = encode_avps([(d.VENDOR_ID, 10415), (d.EXPERIMENTAL_RESULT_CODE, 5001)])
    raw = answer(encode_octets(d.EXPERIMENTAL_RESULT, result))
    assert diameter_title(raw) == "DEA SWm exp 5001 DIAMETER_ERROR_USER_UNKNOWN"
    assert diameter_lines(raw, show_secrets=False)[1:] == [
        "Experimental-Result:",
        "  Vendor-Id: 10415 3GPP",
        "  Experimental-Result-Code: 5001 DIAMETER_ERROR_USER_UNKNOWN",
    ]


def test_values_of_every_kind_are_readable() -> None:
    raw = answer(
        encode_avp(d.TERMINATION_CAUSE, 1),
        encode_avp(d.CLASS, b"\x00\xff"),
        encode_avp(d.HOST_IP_ADDRESS, "192.0.2.1"),
        encode_octets(d.SESSION_TIMEOUT, b"\x01"),
        encode_octets(d.STATE, b"\x00" * 100),
        flags=0xD0,
        command=275,
    )
    assert diameter_title(raw) == "STR SWm [T]"
    assert diameter_lines(raw, show_secrets=False)[1:] == [
        "Termination-Cause: 1 LOGOUT",
        "Class: 00ff",
        "Host-IP-Address: 192.0.2.1",
        "Session-Timeout: 01 (no UNSIGNED32)",
        f"State: {'00' * 64}… (100 octets)",
    ]


def test_avps_that_we_do_not_know_are_named_by_the_large_dictionary() -> None:
    assert avp_name(263, 0) == "Session-Id"
    assert avp_name(1600, 10415) == "MME-Location-Information"
    assert avp_name(2, 0) == "User-Password"
    assert avp_name(99_999, 0) == "AVP 99999"
    assert avp_name(99_999, 4242) == "AVP 99999 vendor 4242"


def test_without_the_large_dictionary_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from node.trace import diameter_names

    monkeypatch.setattr(diameter_names, "_foreign_names", dict)
    assert diameter_names.avp_name(1600, 10415) == "AVP 1600 vendor 10415"


def test_commands_and_results_without_a_name_keep_their_number() -> None:
    assert command_name(268, is_request=False) == "DEA"
    assert command_name(999, is_request=True) == "command 999 request"
    assert result_name(0, 2001) == "DIAMETER_SUCCESS"
    assert result_name(10415, 2001) == ""


def test_broken_octets_are_shown_and_not_believed() -> None:
    assert diameter_title(b"\x01\x00") == "Diameter, 2 octets, unreadable"
    assert diameter_lines(b"\x01\x00", show_secrets=True)[0].startswith("unreadable: ")
    raw = answer(encode_octets(d.FAILED_AVP, b"\x01\x02\x03"))
    assert diameter_lines(raw, show_secrets=False)[1] == "Failed-AVP: 010203"
