"""The lab's AAA, DER by DER: good, resynchronising, refusing, misbehaving on demand."""

import os
from collections.abc import Callable

import pytest
from diameter.message import Message as Foreign
from diameter.message.commands import DiameterEapAnswer

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message, decode
from protocols.diameter.der_template import DerTemplate, device_avps
from protocols.diameter.encoding import encode_message
from protocols.diameter.messages import Origin, SessionAddress, build_str, msisdn_of, result_of
from protocols.eap.aka_peer import AkaPeer, PeerOptions
from protocols.eap.numbers import EAP_AKA_PRIME
from protocols.eap.packet import nak_response
from protocols.eap.relay import RequestKind, inspect_request
from scripts.lab.aaa_behaviour import Behaviours
from scripts.lab.aaa_eap import LocalConversation
from scripts.lab.aaa_server import AaaServer
from scripts.lab.home_network import HomeNetwork
from scripts.lab.subscribers import OPC, K, LabSubscriber, nai_of
from scripts.lab.usim import Usim

IMSI = "001010000000001"
AAA = Origin("aaa1.epc.mnc001.mcc001.3gppnetwork.org", "epc.mnc001.mcc001.3gppnetwork.org", 7)
NODE = Origin("ecs1.example.org", "example.org")
DER = DerTemplate(NODE, numbers.SWM, AAA.realm.encode(), 3, rat_type=0, overload_control=True)
P_AND_R = numbers.FLAG_REQUEST | numbers.FLAG_PROXIABLE


class Node:
    """A node without a socket: the AAA's peer, and the clock of its timers.

    Attributes:
        answers: what the AAA sent, decoded.
        asked: (command, body, reply) of the AAA's own requests.
        fate: `disconnected`, `reset` or empty.
    """

    def __init__(self, words: str = "") -> None:
        self.home = HomeNetwork([LabSubscriber("999990000000001", k=bytes(range(16)))])
        self.answers: list[Message] = []
        self.asked: list[tuple[int, Message, Callable[[int], None]]] = []
        self.fate = ""
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.turns = 0
        self.aaa = AaaServer(
            AAA,
            Behaviours({IMSI: words}),
            lambda behaviour: LocalConversation(self.home, behaviour, os.urandom),
            after=lambda seconds, act: self.timers.append((seconds, act)),
            end_turn=self._turn,
        )
        self.end_to_end = 0

    def _turn(self) -> None:
        self.turns += 1

    def answer(self, raw: bytes) -> None:
        self.answers.append(decode(raw))

    def ask(
        self, command: int, application: int, body: bytes, reply: Callable[[int], None]
    ) -> None:
        raw = encode_message(P_AND_R, command, application, 1, 1, body)
        self.asked.append((command, decode(raw), reply))

    def disconnect(self) -> None:
        self.fate = "disconnected"

    def reset(self) -> None:
        self.fate = "reset"

    def send(self, body: bytes, command: int = numbers.DIAMETER_EAP, again: bool = False) -> None:
        self.end_to_end += not again
        hop_by_hop = 100 + len(self.answers)
        raw = encode_message(P_AND_R, command, numbers.SWM, hop_by_hop, self.end_to_end, body)
        self.aaa.handle(decode(raw), self)


class Conversation:
    """A node's side of one session, with a card behind it."""

    def __init__(
        self, node: Node, imsi: str = IMSI, card: Usim | None = None, type_: int = 23
    ) -> None:
        self.node = node
        self.session_id = b"ecs1;1;%d" % (len(node.aaa.books.open) + len(node.aaa.books.ended))
        self.nai = nai_of(imsi, prefix="6" if type_ == EAP_AKA_PRIME else "0")
        self.card = card or Usim(imsi, K, OPC)
        self.peer = AkaPeer(self.nai, self.card.authenticate, PeerOptions(type=type_))
        self.state = b""

    def body(self, payload: bytes) -> bytes:
        device = device_avps(b"356000000000018", b"", b"")
        return DER.body(self.session_id, self.nai.encode(), payload, self.state, device=device)

    def send(self, payload: bytes, again: bool = False) -> Message | None:
        """The DEA, None when there was none."""
        before = len(self.node.answers)
        self.node.send(self.body(payload), again=again)
        if len(self.node.answers) == before:
            return None
        answer = self.node.answers[-1]
        self.state = answer.octets(d.STATE) or b""
        return answer

    def start(self) -> Message:
        answer = self.send(self.peer.start(1))
        assert answer is not None
        return answer

    def go_on(self, answer: Message) -> Message:
        after = self.send(self.peer.receive(answer.octets(d.EAP_PAYLOAD) or b""))
        assert after is not None
        return after

    def run(self) -> list[tuple[int, int]]:
        """All results until the end."""
        answer = self.start()
        results = [result_of(answer)]
        while results[-1] == (0, 1001) and len(results) < 8:
            answer = self.go_on(answer)
            results.append(result_of(answer))
        return results


def kind_of(answer: Message) -> RequestKind:
    return inspect_request(answer.octets(d.EAP_PAYLOAD) or b"").kind


@pytest.mark.parametrize("type_", [23, EAP_AKA_PRIME])
def test_a_subscriber_is_authenticated(type_: int) -> None:
    node = Node()
    conversation = Conversation(node, type_=type_)
    challenge = conversation.start()
    assert result_of(challenge) == (0, 1001)
    assert challenge.octets(d.STATE) == b"lab-1"
    assert challenge.text(d.SESSION_ID) == conversation.session_id.decode()
    assert challenge.text(d.ORIGIN_HOST) == AAA.host
    assert challenge.u32(d.AUTH_APPLICATION_ID) == numbers.SWM
    assert challenge.i32(d.AUTH_REQUEST_TYPE) == 3
    end = conversation.go_on(challenge)
    assert result_of(end) == (0, 2001)
    conversation.peer.receive(end.octets(d.EAP_PAYLOAD) or b"")
    assert end.octets(d.EAP_MASTER_SESSION_KEY) == conversation.peer.msk
    assert end.text(d.MOBILE_NODE_IDENTIFIER) == conversation.nai
    assert msisdn_of(end) == b"491700000001"
    assert d.AUTH_SESSION_STATE not in end
    (session,) = node.aaa.books.of(IMSI)
    assert (session.authenticated, session.rounds, session.imei) == (True, 2, "35600000000001")
    assert (session.client, session.client_realm) == (b"ecs1.example.org", b"example.org")
    assert session.rat_type == 0
    assert node.home.sqn(IMSI) == 0x20


def test_a_terminated_session_is_gone() -> None:
    node = Node()
    conversation = Conversation(node)
    conversation.run()
    to = SessionAddress(numbers.SWM, conversation.session_id, AAA.realm.encode())
    for expected in (2001, 5002):
        raw = build_str(NODE, to, numbers.LOGOUT, 1, 1)
        node.aaa.handle(decode(raw), node)
        assert result_of(node.answers[-1]) == (0, expected)
    assert [session.end for session in node.aaa.books.of(IMSI)] == ["STR 1"]
    assert not node.aaa.books.open


def test_a_card_ahead_is_resynchronised() -> None:
    node = Node()
    card = Usim(IMSI, K, OPC)
    card.lose_synchronisation()
    before = card.sqn
    assert Conversation(node, card=card).run() == [(0, 1001), (0, 1001), (0, 2001)]
    assert node.home.sqn(IMSI) == before + 0x20


def test_a_forged_auts_is_refused() -> None:
    node = Node()
    card = Usim(IMSI, K, OPC)
    conversation = Conversation(node, card=card)
    challenge = conversation.start()
    card.lose_synchronisation()
    response = bytearray(conversation.peer.receive(challenge.octets(d.EAP_PAYLOAD) or b""))
    response[-1] ^= 1
    answer = conversation.send(bytes(response))
    assert answer is not None
    assert result_of(answer) == (0, 4001)


def test_a_wrong_res_is_4001_with_an_eap_failure() -> None:
    node = Node()
    card = Usim(IMSI, K, OPC)
    card.wrong_res = True
    conversation = Conversation(node, card=card)
    end = conversation.go_on(conversation.start())
    assert result_of(end) == (0, 4001)
    assert kind_of(end) is RequestKind.FAILURE
    assert [session.end for session in node.aaa.books.of(IMSI)] == ["failed"]


@pytest.mark.parametrize("imsi", ["234100000000001", "001020000000001"])
def test_a_stranger_is_unknown(imsi: str) -> None:
    node = Node()
    end = Conversation(node, imsi).start()
    assert result_of(end) == (10415, 5001)
    assert kind_of(end) is RequestKind.FAILURE


def test_a_subscriber_with_own_keys() -> None:
    node = Node()
    own = Usim("999990000000001", bytes(range(16)), OPC)
    assert Conversation(node, own.imsi, own).run()[-1] == (0, 2001)


def test_a_pseudonym_is_unknown() -> None:
    node = Node()
    conversation = Conversation(node)
    conversation.nai = "2abcdef"
    conversation.peer = AkaPeer("2abcdef", conversation.card.authenticate, PeerOptions())
    assert result_of(conversation.start()) == (10415, 5001)


def test_a_repeated_request_gets_the_same_answer() -> None:
    node = Node()
    conversation = Conversation(node)
    first = conversation.send(conversation.peer.start(1))
    again = conversation.send(conversation.peer.start(1), again=True)
    assert first is not None
    assert again is not None
    assert again.raw[:12] + again.raw[16:] == first.raw[:12] + first.raw[16:]
    assert (first.hop_by_hop, again.hop_by_hop) == (100, 101)
    assert node.aaa.books.retransmissions == 1
    assert node.home.sqn(IMSI) == 0x20


def test_an_answer_that_does_not_fit_gets_the_request_again() -> None:
    node = Node()
    conversation = Conversation(node)
    challenge = conversation.start()
    answer = conversation.send(bytes.fromhex("02990008170e0000"))
    assert answer is not None
    assert result_of(answer) == (0, 1001)
    assert answer.octets(d.EAP_REISSUED_PAYLOAD) == challenge.octets(d.EAP_PAYLOAD)
    assert result_of(conversation.go_on(challenge)) == (0, 2001)


def test_a_session_that_nobody_knows() -> None:
    answer = Conversation(Node()).send(bytes.fromhex("0202000817020000"))
    assert answer is not None
    assert result_of(answer) == (0, 5002)


def test_what_is_not_served_is_refused() -> None:
    node = Node()
    body = Conversation(node).body(b"")
    node.send(body, command=272)
    assert result_of(node.answers[-1]) == (0, 3001)
    assert node.answers[-1].is_error
    template = DerTemplate(NODE, numbers.SWM, b"r", 3)
    without_payload = template.body(b"s", b"u", b"")
    node.send(NODE.encoded, command=numbers.DIAMETER_EAP)
    assert result_of(node.answers[-1]) == (0, 5005)
    assert d.FAILED_AVP in node.answers[-1]
    node.send(without_payload)
    assert result_of(node.answers[-1]) == (0, 5002)
    assert node.aaa.books.answers[268, 0, 5005] == 1


# --- behaviours ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "results"),
    [
        ("result=5012", [(0, 5012)]),
        ("result=5450/10415,round=2", [(0, 1001), (10415, 5450)]),
        ("result=3004,round=1", [(0, 3004)]),
        ("unknown", [(10415, 5001)]),
        ("unknown,notify-failure", [(0, 1001), (10415, 5001)]),
        ("aka-identity", [(0, 1001), (0, 1001), (0, 2001)]),
        ("permanent-identity,checkcode", [(0, 1001), (0, 1001), (0, 2001)]),
        ("eap-identity", [(0, 1001), (0, 1001), (0, 2001)]),
        ("stale=1", [(0, 1001), (0, 1001), (0, 2001)]),
        ("stale=2", [(0, 1001), (0, 1001), (0, 1001), (0, 2001)]),
        ("stale=3", [(0, 1001), (0, 1001), (0, 1001), (0, 4001)]),
        ("forged", [(0, 1001), (0, 4001)]),
        ("mac-first,bidding,pseudonym", [(0, 1001), (0, 2001)]),
        ("reauthentication", [(0, 1001), (0, 4001)]),
        ("forget", [(0, 1001), (0, 5002)]),
        ("prime", [(0, 1001), (0, 1001), (0, 2001)]),  # our peer asks for EAP-AKA instead
        ("result-indication", [(0, 1001), (0, 2001)]),
    ],
)
def test_results_on_demand(words: str, results: list[tuple[int, int]]) -> None:
    assert Conversation(Node(words=words)).run() == results


def test_the_kinds_of_requests_on_demand() -> None:
    for words, kind in (
        ("eap-identity", RequestKind.IDENTITY),
        ("aka-identity", RequestKind.AKA_IDENTITY),
        ("reauthentication", RequestKind.REAUTHENTICATION),
        ("prime", RequestKind.CHALLENGE_PRIME),
        ("unknown,notify-failure", RequestKind.NOTIFICATION),
    ):
        assert kind_of(Conversation(Node(words=words)).start()) is kind
    mac_first = Conversation(Node(words="mac-first")).start()
    assert not inspect_request(mac_first.octets(d.EAP_PAYLOAD) or b"").rand_autn_first


def test_a_nak_ends_what_cannot_be_changed() -> None:
    conversation = Conversation(Node())
    challenge = conversation.start()
    answer = conversation.send(nak_response((challenge.octets(d.EAP_PAYLOAD) or b"")[1], 13))
    assert answer is not None
    assert result_of(answer) == (0, 4001)


def test_silence_and_silence_in_the_second_round() -> None:
    assert Conversation(Node(words="silent")).send(b"\x02\x01\0\x06\x010") is None
    conversation = Conversation(Node(words="silent,round=2"))
    challenge = conversation.start()
    response = conversation.peer.receive(challenge.octets(d.EAP_PAYLOAD) or b"")
    assert conversation.send(response) is None
    # A silent AAA stays silent to the repetition.
    assert conversation.send(response, again=True) is None


def test_a_delayed_answer_comes_with_its_timer() -> None:
    node = Node(words="delay=1.5")
    conversation = Conversation(node)
    assert conversation.send(conversation.peer.start(1)) is None
    ((seconds, act),) = node.timers
    assert seconds == 1.5
    act()
    assert result_of(node.answers[-1]) == (0, 1001)
    assert node.turns == 1


def test_reset_and_disconnect() -> None:
    node = Node(words="reset,round=1")
    conversation = Conversation(node)
    assert conversation.send(conversation.peer.start(1)) is None
    assert node.fate == "reset"
    node = Node(words="disconnect,round=1")
    assert result_of(Conversation(node).start()) == (0, 1001)
    assert node.fate == "disconnected"


def test_avps_on_demand() -> None:
    words = "no-state,no-msk,no-permanent,no-msisdn,stateless,multi-round-time-out=9"
    node = Node(words=words + ",session-timeout=60,error-message=hello")
    conversation = Conversation(node)
    challenge = conversation.start()
    assert d.STATE not in challenge
    assert challenge.u32(d.MULTI_ROUND_TIME_OUT) == 9
    assert challenge.text(d.ERROR_MESSAGE) == "hello"
    end = conversation.go_on(challenge)
    for avp in (d.EAP_MASTER_SESSION_KEY, d.MOBILE_NODE_IDENTIFIER, d.SUBSCRIPTION_ID):
        assert avp not in end
    assert end.u32(d.SESSION_TIMEOUT) == 60
    assert end.i32(d.AUTH_SESSION_STATE) == numbers.NO_STATE_MAINTAINED
    assert [session.end for session in node.aaa.books.of(IMSI)] == ["stateless"]


@pytest.mark.parametrize(("word", "kind"), [("", 0), (",overload-realm", 1)])
def test_an_overload_report_goes_to_a_client_that_supports_it(word: str, kind: int) -> None:
    node = Node(words=f"overload=30,overload-seconds=5{word}")
    conversation = Conversation(node)
    report = conversation.start().group(d.OC_OLR)
    assert report is not None
    assert report.u32(d.OC_REDUCTION_PERCENTAGE) == 30
    assert report.u32(d.OC_VALIDITY_DURATION) == 5
    assert report.i32(d.OC_REPORT_TYPE) == kind
    first = report.u64(d.OC_SEQUENCE_NUMBER)
    again = Conversation(node).start().group(d.OC_OLR)
    assert again is not None
    assert first is not None
    assert (again.u64(d.OC_SEQUENCE_NUMBER) or 0) > first
    plain = DerTemplate(NODE, numbers.SWM, b"r", 3)
    node.send(plain.body(b"other", conversation.nai.encode(), conversation.peer.start(1)))
    assert d.OC_OLR not in node.answers[-1]


@pytest.mark.parametrize(
    ("words", "command"), [("rar=2", numbers.RE_AUTH), ("asr=2", numbers.ABORT_SESSION)]
)
def test_the_aaa_asks_after_a_success(words: str, command: int) -> None:
    node = Node(words=words)
    conversation = Conversation(node)
    conversation.run()
    ((seconds, act),) = node.timers
    act()
    ((asked, message, reply),) = node.asked
    assert (seconds, asked) == (2, command)
    assert message.octets(d.SESSION_ID) == conversation.session_id
    assert message.text(d.DESTINATION_HOST) == NODE.host
    assert message.text(d.DESTINATION_REALM) == NODE.realm
    (sent,) = node.aaa.books.sent
    assert sent.code is None
    reply(2001)
    assert sent.code == 2001


def test_an_authorization_after_a_rar_is_granted() -> None:
    node = Node()
    conversation = Conversation(node)
    conversation.run()
    for session_id, expected in ((conversation.session_id, 2001), (b"nobody", 5002)):
        body = DER.body(session_id, conversation.nai.encode(), b"")
        node.send(body, command=numbers.AA)
        assert result_of(node.answers[-1]) == (0, expected)


def test_the_books_are_bounded() -> None:
    node = Node()
    node.aaa.books.capacity = 2
    for _ in range(4):
        conversation = Conversation(node)
        conversation.session_id = os.urandom(8)
        conversation.start()
    assert len(node.aaa.books.open) == 2
    assert node.aaa.books.dropped == 2


def test_a_session_shows_no_keys() -> None:
    node = Node()
    Conversation(node).run()
    (session,) = node.aaa.books.of(IMSI)
    assert "msk" not in repr(session).lower()


def test_the_answers_are_read_by_python_diameter() -> None:
    node = Node("overload=30,multi-round-time-out=9,session-timeout=60")
    conversation = Conversation(node)
    challenge = conversation.start()
    end = conversation.go_on(challenge)
    first, last = (Foreign.from_bytes(message.raw) for message in (challenge, end))
    assert isinstance(first, DiameterEapAnswer)
    assert isinstance(last, DiameterEapAnswer)
    assert (first.result_code, last.result_code) == (1001, 2001)
    assert first.eap_payload == challenge.octets(d.EAP_PAYLOAD)
    assert first.multi_round_time_out == 9
    assert last.eap_master_session_key == conversation.peer.msk
    assert last.session_timeout == 60
    assert last.user_name == conversation.nai
    for message in (first, last):
        assert message.session_id == conversation.session_id.decode()
        assert message.origin_host == AAA.host.encode()
        assert message.auth_application_id == numbers.SWM
