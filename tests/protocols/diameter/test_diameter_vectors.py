"""The literal messages: our builders make them octet for octet, our decoder reads them."""

from pathlib import Path

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.capabilities import common_applications, read_capabilities
from protocols.diameter.codec import Message, decode
from protocols.diameter.der_template import DerTemplate, device_avps
from protocols.diameter.encoding import encode_message
from protocols.diameter.messages import (
    APPLICATION_REQUEST,
    Offer,
    Origin,
    SessionAddress,
    build_cer,
    build_dwr,
    build_eap_answer,
    build_str,
    msisdn_of,
    result_of,
)

REALM = "epc.mnc001.mcc001.3gppnetwork.org"
NODE = Origin(f"ecs1.{REALM}", REALM, 0x69248100)
AAA = Origin(f"aaa1.{REALM}", REALM)
SESSION = f"ecs1.{REALM};1764000000;1".encode()
NAI = f"0001010000000001@nai.{REALM}".encode()


def vector(name: str) -> bytes:
    path = Path(__file__).parent / "vectors" / f"{name}.hex"
    return bytes.fromhex(path.read_text().replace("\n", ""))


def identifiers(raw: bytes) -> tuple[int, int]:
    message = decode(raw)
    return message.hop_by_hop, message.end_to_end


def test_our_cer_is_the_literal_one() -> None:
    raw = vector("cer")
    offer = Offer(("127.0.0.1",), (numbers.SWM,), product_name="entnode")
    assert build_cer(NODE, offer, *identifiers(raw)) == raw


def test_our_dwr_is_the_literal_one() -> None:
    raw = vector("dwr")
    assert build_dwr(NODE, *identifiers(raw)) == raw


def test_our_str_is_the_literal_one() -> None:
    raw = vector("str")
    to = SessionAddress(numbers.SWM, SESSION, REALM.encode(), AAA.host.encode(), NAI)
    assert build_str(NODE, to, numbers.LOGOUT, *identifiers(raw)) == raw


def test_our_template_der_is_the_literal_one() -> None:
    raw = vector("der")
    template = DerTemplate(NODE, numbers.SWM, REALM.encode(), 3, rat_type=0)
    eap = bytes((2, 1)) + (5 + len(NAI)).to_bytes(2, "big") + b"\x01" + NAI
    body = template.body(SESSION, NAI, eap)
    assert (
        encode_message(
            APPLICATION_REQUEST, numbers.DIAMETER_EAP, numbers.SWM, *identifiers(raw), body
        )
        == raw
    )


def test_our_challenge_answer_is_the_literal_one() -> None:
    raw = vector("dea_challenge")
    eap = decode(raw).octets(d.EAP_PAYLOAD)
    members = [(d.EAP_PAYLOAD, eap), (d.STATE, b"st01"), (d.MULTI_ROUND_TIME_OUT, 30)]
    assert build_eap_answer(decode(vector("der")), AAA, 1001, members) == raw


def test_the_challenge_answer_reads_back() -> None:
    answer = decode(vector("dea_challenge"))
    assert result_of(answer) == (0, numbers.MULTI_ROUND_AUTH)
    assert answer.octets(d.STATE) == b"st01"
    assert answer.u32(d.MULTI_ROUND_TIME_OUT) == 30
    assert answer.text(d.ORIGIN_HOST) == AAA.host
    payload = answer.octets(d.EAP_PAYLOAD)
    assert payload is not None
    assert len(payload) == int.from_bytes(payload[2:4], "big") == 0x7C
    assert not answer.is_request
    assert answer.application == numbers.SWM


def test_an_answer_with_an_experimental_result_alone_has_a_result() -> None:
    answer = decode(vector("dea_experimental_result"))
    assert d.RESULT_CODE not in answer
    assert result_of(answer) == (d.VENDOR_3GPP, 5001)
    assert answer.octets(d.EAP_PAYLOAD) == b"\x04\x02\x00\x04"


def test_the_cer_reads_as_capabilities() -> None:
    cer = read_capabilities(decode(vector("cer")))
    assert cer.origin_host == NODE.host
    assert cer.origin_realm == REALM
    assert cer.product_name == "entnode"
    assert cer.applications == {numbers.SWM}
    assert cer.origin_state_id == 0x69248100
    assert common_applications((numbers.SWM, numbers.SWA), cer.applications) == {numbers.SWM}
    assert common_applications((numbers.SWA,), {numbers.RELAY}) == {numbers.SWA}
    assert common_applications((numbers.RELAY,), {numbers.SWA}) == {numbers.SWA}


def test_the_mandatory_bits_are_those_that_strict_servers_want() -> None:
    for row in (d.RAT_TYPE, d.AAA_FAILURE_INDICATION, d.OC_SUPPORTED_FEATURES, d.LOAD):
        assert not row.mandatory
    assert d.EAP_PAYLOAD.mandatory
    rat = next(avp for avp in decode(vector("der")) if avp.key == d.RAT_TYPE.key)
    assert not rat.mandatory


def test_a_device_is_named_by_fourteen_digits() -> None:
    body = device_avps(b"356938035643809", b"01", b"447700900000")
    message = decode(encode_message(0, 268, numbers.SWM, 1, 2, body))
    terminal = message.group(d.TERMINAL_INFORMATION)
    assert terminal is not None
    assert terminal.text(d.IMEI) == "35693803564380"
    assert terminal.text(d.SOFTWARE_VERSION) == "01"
    assert message.text(d.CALLING_STATION_ID) == "447700900000"
    assert device_avps(b"", b"", b"") == b""


def test_optional_parts_of_a_der_are_where_they_were_asked_for() -> None:
    template = DerTemplate(
        NODE,
        numbers.SWA,
        REALM.encode(),
        1,
        visited_network_identifier="mnc001.mcc001.3gppnetwork.org",
        service_selection="ims",
        overload_control=True,
    )
    body = template.body(SESSION, NAI, b"\x02\x01\x00\x04", b"s", b"aaa9", b"")
    der = decode(encode_message(APPLICATION_REQUEST, 268, numbers.SWA, 1, 2, body))
    assert next(iter(der)).key == d.SESSION_ID.key
    assert der.text(d.DESTINATION_HOST) == "aaa9"
    assert der.octets(d.STATE) == b"s"
    assert der.text(d.SERVICE_SELECTION) == "ims"
    assert der.u32(d.AUTH_APPLICATION_ID) == numbers.SWA
    assert d.RAT_TYPE not in der
    features = der.group(d.OC_SUPPORTED_FEATURES)
    assert features is not None
    assert features.u64(d.OC_FEATURE_VECTOR) == numbers.LOSS_ALGORITHM
    assert not any(avp.mandatory for avp in der if avp.code in (621, 622))


def test_the_msisdn_is_the_e164_subscription_id() -> None:
    der = decode(vector("der"))
    imsi = ((d.SUBSCRIPTION_ID_TYPE, 1), (d.SUBSCRIPTION_ID_DATA, "001010000000001"))
    msisdn = ((d.SUBSCRIPTION_ID_TYPE, 0), (d.SUBSCRIPTION_ID_DATA, "447700900000"))
    members = [(d.SUBSCRIPTION_ID, imsi), (d.SUBSCRIPTION_ID, msisdn)]
    assert msisdn_of(decode(build_eap_answer(der, AAA, 2001, members))) == b"447700900000"
    assert msisdn_of(decode(build_eap_answer(der, AAA, 2001))) == b""


def test_no_repr_names_a_subscriber() -> None:
    message = decode(vector("der"))
    assert repr(message) == "Message(268 request, 388 octets)"
    assert isinstance(message, Message)
