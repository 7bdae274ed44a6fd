"""tshark reads every message type that we send, without a complaint."""

import shutil
import subprocess
from pathlib import Path

import pytest

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import decode
from protocols.diameter.der_template import DerTemplate, device_avps
from protocols.diameter.encoding import encode_avp, encode_message
from protocols.diameter.messages import (
    APPLICATION_REQUEST,
    Offer,
    Origin,
    SessionAddress,
    build_answer,
    build_asr,
    build_cea,
    build_cer,
    build_dpa,
    build_dpr,
    build_dwa,
    build_dwr,
    build_eap_answer,
    build_error,
    build_rar,
    build_str,
)

REALM = "epc.mnc001.mcc001.3gppnetwork.org"
NODE = Origin(f"ecs1.{REALM}", REALM, 1_764_000_000)
AAA = Origin(f"aaa1.{REALM}", REALM, 1_764_000_001)
TO = SessionAddress(
    numbers.SWM,
    f"{NODE.host};1764000000;1;ecs1-1".encode(),
    REALM.encode(),
    AAA.host.encode(),
    f"0001010000000001@nai.{REALM}".encode(),
)
CHALLENGE = decode(
    bytes.fromhex((Path(__file__).parent / "vectors" / "dea_challenge.hex").read_text())
).octets(d.EAP_PAYLOAD)

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def der() -> bytes:
    template = DerTemplate(
        NODE,
        numbers.SWM,
        REALM.encode(),
        3,
        rat_type=0,
        visited_network_identifier="mnc001.mcc001.3gppnetwork.org",
        service_selection="ims",
        overload_control=True,
    )
    device = device_avps(b"35693803564380", b"01", b"447700900001")
    eap = b"\x02\x01" + (5 + len(TO.user_name)).to_bytes(2, "big") + b"\x01" + TO.user_name
    body = template.body(TO.session_id, TO.user_name, eap, b"st01", TO.destination_host, device)
    return encode_message(APPLICATION_REQUEST, numbers.DIAMETER_EAP, numbers.SWM, 7, 8, body)


def every_message() -> list[bytes]:
    offer = Offer(("127.0.0.1", "2001:db8::1"))
    cer = build_cer(NODE, offer, 1, 2)
    dwr, dpr = build_dwr(NODE, 3, 4), build_dpr(NODE, numbers.REBOOTING, 5, 6)
    termination = build_str(NODE, TO, numbers.LOGOUT, 9, 10)
    rar, asr = build_rar(AAA, TO, 1, 11, 12), build_asr(AAA, TO, 13, 14)
    qos = ((d.QOS_CLASS_IDENTIFIER, 5), (d.ALLOCATION_RETENTION_PRIORITY, ((d.PRIORITY_LEVEL, 1),)))
    apn = (
        (d.CONTEXT_IDENTIFIER, 1),
        (d.PDN_TYPE, 2),
        (d.SERVICE_SELECTION, "ims"),
        (d.EPS_SUBSCRIBED_QOS_PROFILE, qos),
        (d.AMBR, ((d.MAX_REQUESTED_BANDWIDTH_UL, 1), (d.MAX_REQUESTED_BANDWIDTH_DL, 2))),
    )
    olr = (
        (d.OC_SEQUENCE_NUMBER, 1),
        (d.OC_REPORT_TYPE, 0),
        (d.OC_REDUCTION_PERCENTAGE, 10),
        (d.OC_VALIDITY_DURATION, 30),
    )
    number = ((d.SUBSCRIPTION_ID_TYPE, 0), (d.SUBSCRIPTION_ID_DATA, "447700900001"))
    success = [
        (d.EAP_PAYLOAD, b"\x03\x01\x00\x04"),
        (d.EAP_MASTER_SESSION_KEY, bytes(64)),
        (d.MOBILE_NODE_IDENTIFIER, TO.user_name.decode()),
        (d.SUBSCRIPTION_ID, number),
        (d.APN_CONFIGURATION, apn),
        (d.OC_OLR, olr),
        (d.SESSION_TIMEOUT, 3600),
    ]
    request = decode(der())
    failed = encode_avp(d.RAT_TYPE, 0)
    return [
        cer,
        build_cea(decode(cer), AAA, offer, numbers.SUCCESS),
        dwr,
        build_dwa(decode(dwr), AAA),
        der(),
        build_eap_answer(request, AAA, 1001, [(d.EAP_PAYLOAD, CHALLENGE), (d.STATE, b"s")]),
        build_eap_answer(request, AAA, numbers.SUCCESS, success),
        build_eap_answer(request, AAA, 5001, vendor=d.VENDOR_3GPP),
        build_error(request, AAA, numbers.UNABLE_TO_DELIVER, "no way there"),
        build_error(request, AAA, numbers.AVP_UNSUPPORTED, "RAT-Type", failed),
        termination,
        build_answer(decode(termination), AAA, numbers.SUCCESS),
        rar,
        build_answer(decode(rar), NODE, numbers.SUCCESS),
        asr,
        build_answer(decode(asr), NODE, numbers.UNKNOWN_SESSION_ID),
        dpr,
        build_dpa(decode(dpr), AAA),
    ]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("tshark", "text2pcap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing")
    folder = tmp_path_factory.mktemp("tshark")
    dumps = []
    for raw in every_message():
        rows = [f"{at:06x} {raw[at : at + 16].hex(' ')}" for at in range(0, len(raw), 16)]
        dumps.append("\n".join(rows))
    (folder / "messages.hex").write_text("\n\n".join(dumps))
    # As SCTP chunks: each message is whole, and there is no TCP stream to be suspicious of.
    command = ["text2pcap", "-q", "-S", "3868,3868,46", "messages.hex", "messages.pcap"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "messages.pcap"


def tshark(capture: Path, *arguments: str) -> list[str]:
    command = ["tshark", "-r", str(capture), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_tshark_names_every_command(capture: Path) -> None:
    fields = ["-T", "fields", "-e", "diameter.cmd.code", "-e", "diameter.flags.request"]
    rows = [line.split("\t") for line in tshark(capture, *fields)]
    ours = [decode(raw) for raw in every_message()]
    assert [int(row[0]) for row in rows] == [one.command for one in ours]
    assert [row[1] in ("1", "True") for row in rows] == [one.is_request for one in ours]


def test_tshark_complains_of_nothing(capture: Path) -> None:
    assert tshark(capture, "-Y", "_ws.expert or _ws.malformed", "-V") == []


def test_tshark_knows_every_avp(capture: Path) -> None:
    text = "\n".join(tshark(capture, "-V"))
    assert "Unknown" not in text
    assert "3GPP SWm" in text
    assert "AVP: RAT-Type(1032) l=16 f=V--" in text
    assert "AVP: EAP-Payload(462)" in text
    assert "Extensible Authentication Protocol" in text
