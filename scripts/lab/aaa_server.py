"""The lab's 3GPP AAA server as Diameter sees it: DER and DEA, STR, RAR, ASR (SWm and SWa).

Source: 3GPP TS 29.273 §7.1.2, §7.2.2 (SWm), §4.2.2 (SWa); RFC 4072 (EAP); RFC 7683 (overload
reports). It is good unless a behaviour says otherwise (`aaa_behaviour.py`). No socket is in here:
`peer` is whatever carries Diameter messages.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers
from protocols.diameter.checks import find_fault
from protocols.diameter.codec import Message
from protocols.diameter.encoding import HEADER_OCTETS, GroupMember
from protocols.diameter.messages import Origin, SessionAddress
from protocols.eap.aka_server import FailureReason
from protocols.eap.numbers import IDENTITY, RESPONSE
from scripts.lab.aaa_behaviour import Behaviour, Behaviours
from scripts.lab.aaa_books import AaaSession, Books, SentRequest
from scripts.lab.aaa_eap import EapConversation, EapStep, StepKind, imsi_of

USER_UNKNOWN: Final = (d.VENDOR_3GPP, 5001)
AUTHORIZE_ONLY: Final = 0  # Re-Auth-Request-Type (RFC 6733 §8.12)


class AaaPeer(Protocol):
    """A node that is connected to this AAA."""

    def answer(self, raw: bytes) -> None:
        """Send an answer."""
        ...

    def ask(
        self, command: int, application: int, body: bytes, reply: Callable[[int], None]
    ) -> None:
        """Send a request; `reply` gets the Result-Code, 0 when the connection is lost."""
        ...

    def disconnect(self) -> None:
        """Leave in order (DPR, REBOOTING)."""
        ...

    def reset(self) -> None:
        """Drop the connection as a crash does."""
        ...


NewConversation = Callable[[Behaviour], EapConversation]
After = Callable[[float, Callable[[], None]], object]


class AaaServer:
    """One AAA.

    Attributes:
        behaviours: who is treated how; change it at any time.
        books: what happened.
    """

    def __init__(
        self,
        origin: Origin,
        behaviours: Behaviours,
        new_conversation: NewConversation,
        after: After,
        end_turn: Callable[[], None],
    ) -> None:
        """An AAA without connections.

        Args:
            after: calls back after some seconds and then lets answers leave.
            end_turn: lets answers leave that come at another time than requests.
        """
        self.behaviours = behaviours
        self.books = Books()
        self._origin = origin
        self._new_conversation = new_conversation
        self._after = after
        self._end_turn = end_turn
        self._olr_sequence = origin.state_id
        self._in_request = False
        self._commands = {
            numbers.DIAMETER_EAP: self._eap,
            numbers.SESSION_TERMINATION: self._terminate,
            numbers.AA: self._authorize,
        }

    def handle(self, request: Message, peer: AaaPeer) -> None:
        """Take a request of a node; the answer goes to `peer`, now or later."""
        act = self._commands.get(request.command)
        if act is None:
            code = numbers.COMMAND_UNSUPPORTED
            self._send(peer, request, messages.build_error(request, self._origin, code), (0, code))
            return
        fault = find_fault(request)
        if fault is not None:
            raw = messages.build_error(
                request, self._origin, fault.result_code, fault.text, fault.failed_avp
            )
            self._send(peer, request, raw, (0, fault.result_code))
            return
        self._in_request = True
        try:
            act(request, peer)
        finally:
            self._in_request = False

    # --- DER -----------------------------------------------------------------------------------

    def _eap(self, request: Message, peer: AaaPeer) -> None:
        session_id = request.octets(d.SESSION_ID) or b""
        payload = request.octets(d.EAP_PAYLOAD) or b""
        session = self.books.open.get(session_id)
        if session is None or session.authenticated:
            is_identity = len(payload) > 5 and payload[0] == RESPONSE and payload[4] == IDENTITY
            if not is_identity:
                self._refuse(request, peer, numbers.UNKNOWN_SESSION_ID)
                return
            session = self._new_session(session_id, request, peer)
        elif request.end_to_end == session.last_end_to_end:
            # RFC 6733 §3: the same End-to-End Identifier is the same request, perhaps by another
            # way; it gets the same answer, which may still be under way.
            self.books.retransmissions += 1
            if session.last_answer:
                peer.answer(_readdressed(session.last_answer, request.hop_by_hop))
            return
        session.rounds += 1
        session.last_end_to_end, session.last_answer = request.end_to_end, b""
        self._treat(session, request, peer, payload)

    def _new_session(self, session_id: bytes, request: Message, peer: AaaPeer) -> AaaSession:
        identity = request.text(d.USER_NAME) or ""
        imsi = imsi_of(identity)
        behaviour = self.behaviours.of(imsi)
        terminal = request.group(d.TERMINAL_INFORMATION)
        session = AaaSession(
            session_id,
            identity,
            imsi,
            request.octets(d.ORIGIN_HOST) or b"",
            request.octets(d.ORIGIN_REALM) or b"",
            request.application,
            behaviour,
            self._new_conversation(behaviour),
            imei=(terminal.text(d.IMEI) or "") if terminal is not None else "",
            rat_type=request.u32(d.RAT_TYPE),
            visited_network=request.octets(d.VISITED_NETWORK_IDENTIFIER) or b"",
        )
        self.books.add(session)
        return session

    def _treat(self, session: AaaSession, request: Message, peer: AaaPeer, payload: bytes) -> None:
        """Do to this DER what the behaviour says, else answer it."""
        behaviour = session.behaviour
        hits = behaviour.hits(session.rounds)
        if behaviour.silent and hits:
            return
        if behaviour.reset and hits:
            peer.reset()
            return
        if behaviour.result and hits:
            step = EapStep(StepKind.FAILURE, b"")
            self._soon(
                behaviour, lambda: self._answer(session, request, peer, step, behaviour.code)
            )
            return
        reply = partial(self._stepped, session, request, peer)
        self._soon(behaviour, lambda: session.conversation.receive(payload, reply))

    def _soon(self, behaviour: Behaviour, act: Callable[[], None]) -> None:
        if behaviour.delay:
            self._after(behaviour.delay, act)
        else:
            act()

    def _stepped(self, session: AaaSession, request: Message, peer: AaaPeer, step: EapStep) -> None:
        if step.kind in (StepKind.REQUEST, StepKind.REISSUE):
            result = (0, numbers.MULTI_ROUND_AUTH)
        elif step.kind is StepKind.SUCCESS:
            result = (0, numbers.SUCCESS)
        elif step.reason is FailureReason.USER_UNKNOWN:
            result = USER_UNKNOWN
        else:
            result = (0, numbers.AUTHENTICATION_REJECTED)
        self._answer(session, request, peer, step, result)
        if not self._in_request:
            self._end_turn()

    def _answer(
        self,
        session: AaaSession,
        request: Message,
        peer: AaaPeer,
        step: EapStep,
        result: tuple[int, int],
    ) -> None:
        vendor, code = result
        members = self._members(session, step, request)
        raw = messages.build_eap_answer(request, self._origin, code, members, vendor=vendor)
        session.last_answer = raw
        session.results.append(result)
        self._send(peer, request, raw, result)
        behaviour = session.behaviour
        if behaviour.disconnect and behaviour.hits(session.rounds):
            peer.disconnect()
        if step.kind is StepKind.SUCCESS:
            self._succeeded(session, peer)
        elif step.kind is StepKind.FAILURE:
            self.books.close(session, "failed")
        elif behaviour.forget:
            self.books.close(session, "forgotten")

    def _members(
        self, session: AaaSession, step: EapStep, request: Message
    ) -> Sequence[GroupMember]:
        behaviour = session.behaviour
        members: list[GroupMember] = []
        if step.kind is StepKind.REISSUE:
            members.append((d.EAP_REISSUED_PAYLOAD, step.packet))
        elif step.packet:
            members.append((d.EAP_PAYLOAD, step.packet))
        if step.kind in (StepKind.REQUEST, StepKind.REISSUE):
            if not behaviour.no_state:
                members.append((d.STATE, b"lab-%d" % session.rounds))
            if behaviour.multi_round_time_out:
                members.append((d.MULTI_ROUND_TIME_OUT, behaviour.multi_round_time_out))
        elif step.kind is StepKind.SUCCESS:
            members += _granted(session, step)
        if behaviour.error_message:
            members.append((d.ERROR_MESSAGE, behaviour.error_message))
        if behaviour.overload:
            members += self._overload_report(behaviour, request)
        return members

    def _overload_report(self, behaviour: Behaviour, request: Message) -> list[GroupMember]:
        """RFC 7683 §5.2: only to a client that supports it."""
        if d.OC_SUPPORTED_FEATURES not in request:
            return []
        self._olr_sequence += 1
        kind = numbers.REALM_REPORT if behaviour.overload_realm else numbers.HOST_REPORT
        report = (
            (d.OC_SEQUENCE_NUMBER, self._olr_sequence),
            (d.OC_REPORT_TYPE, kind),
            (d.OC_REDUCTION_PERCENTAGE, behaviour.overload),
            (d.OC_VALIDITY_DURATION, behaviour.overload_seconds),
        )
        features = ((d.OC_FEATURE_VECTOR, numbers.LOSS_ALGORITHM),)
        return [(d.OC_SUPPORTED_FEATURES, features), (d.OC_OLR, report)]

    def _succeeded(self, session: AaaSession, peer: AaaPeer) -> None:
        session.authenticated = True
        behaviour = session.behaviour
        if behaviour.stateless:
            self.books.close(session, "stateless")
        if behaviour.rar:
            self._later(behaviour.rar, self.reauthorize, session, peer)
        if behaviour.asr:
            self._later(behaviour.asr, self.abort, session, peer)

    def _later(
        self,
        seconds: float,
        act: Callable[[AaaSession, AaaPeer], object],
        session: AaaSession,
        peer: AaaPeer,
    ) -> None:
        def now() -> None:
            act(session, peer)

        self._after(seconds, now)

    # --- other requests of the node ------------------------------------------------------------

    def _terminate(self, request: Message, peer: AaaPeer) -> None:
        session = self.books.open.get(request.octets(d.SESSION_ID) or b"")
        if session is None:
            self._refuse(request, peer, numbers.UNKNOWN_SESSION_ID)
            return
        self.books.close(session, f"STR {request.i32(d.TERMINATION_CAUSE)}")
        raw = messages.build_answer(request, self._origin, numbers.SUCCESS)
        self._send(peer, request, raw, (0, numbers.SUCCESS))

    def _authorize(self, request: Message, peer: AaaPeer) -> None:
        """AAR after a RAR (TS 29.273 §7.1.2.2)."""
        session = self.books.open.get(request.octets(d.SESSION_ID) or b"")
        code = numbers.SUCCESS if session is not None else numbers.UNKNOWN_SESSION_ID
        members = [(d.AUTH_APPLICATION_ID, request.application)]
        raw = messages.build_answer(request, self._origin, code, members)
        self._send(peer, request, raw, (0, code))

    def _refuse(self, request: Message, peer: AaaPeer, code: int) -> None:
        if request.command == numbers.DIAMETER_EAP:
            raw = messages.build_eap_answer(request, self._origin, code)
        else:
            raw = messages.build_answer(request, self._origin, code)
        self._send(peer, request, raw, (0, code))

    # --- requests of the AAA -------------------------------------------------------------------

    def reauthorize(self, session: AaaSession, peer: AaaPeer) -> SentRequest:
        """Send a Re-Auth-Request for a session."""
        to = self._address(session)
        raw = messages.build_rar(self._origin, to, AUTHORIZE_ONLY, 0, 0)
        return self._ask(numbers.RE_AUTH, session, peer, raw)

    def abort(self, session: AaaSession, peer: AaaPeer) -> SentRequest:
        """Send an Abort-Session-Request for a session."""
        raw = messages.build_asr(self._origin, self._address(session), 0, 0)
        return self._ask(numbers.ABORT_SESSION, session, peer, raw)

    def _address(self, session: AaaSession) -> SessionAddress:
        return SessionAddress(
            session.application,
            session.session_id,
            session.client_realm,
            session.client,
            session.identity.encode(),
        )

    def _ask(self, command: int, session: AaaSession, peer: AaaPeer, raw: bytes) -> SentRequest:
        sent = SentRequest(command, session.session_id)
        self.books.sent.append(sent)

        def answered(code: int) -> None:
            sent.code = code

        peer.ask(command, session.application, raw[HEADER_OCTETS:], answered)
        return sent

    def _send(self, peer: AaaPeer, request: Message, raw: bytes, result: tuple[int, int]) -> None:
        self.books.answers[(request.command, *result)] += 1
        peer.answer(raw)


def _granted(session: AaaSession, step: EapStep) -> list[GroupMember]:
    """What a success tells about the subscriber."""
    behaviour = session.behaviour
    members: list[GroupMember] = []
    if step.msk and not behaviour.no_msk:
        members.append((d.EAP_MASTER_SESSION_KEY, step.msk))
    members.append((d.USER_NAME, session.identity))
    if session.imsi and not behaviour.no_permanent:
        members.append((d.MOBILE_NODE_IDENTIFIER, session.identity))
    if session.imsi and not behaviour.no_msisdn:
        kind = (d.SUBSCRIPTION_ID_TYPE, numbers.END_USER_E164)
        number = (d.SUBSCRIPTION_ID_DATA, msisdn_of(session.imsi))
        members.append((d.SUBSCRIPTION_ID, (kind, number)))
    if behaviour.session_timeout:
        members.append((d.SESSION_TIMEOUT, behaviour.session_timeout))
    if behaviour.stateless:
        members.append((d.AUTH_SESSION_STATE, numbers.NO_STATE_MAINTAINED))
    return members


def msisdn_of(imsi: str) -> str:
    """A number for every IMSI of the lab: 4917, then the first and the last seven of its MSIN."""
    return f"4917{imsi[5:6]}{imsi[-7:]}"


def _readdressed(raw: bytes, hop_by_hop: int) -> bytes:
    """The same answer with another Hop-by-Hop Identifier (RFC 6733 §3, octets 12 to 15)."""
    return raw[:12] + hop_by_hop.to_bytes(4, "big") + raw[16:]
