"""Feeds the trace of one subscriber with what its session hears and says.

Called only while somebody traces: whoever calls tests `recorder.armed` before.
"""

import time

from actors.diameter.outcomes import EapAnswer, EapOutcome
from actors.entitlement.decision import Decision
from actors.session.messages import Exchange
from actors.session.session import Session
from actors.trace.recorder import Direction, Leg, Payload, TraceEvent, TraceRecorder
from protocols.http.message import HttpRequest, HttpResponse


class SessionTrace:
    """Turns messages and effects into trace events."""

    def __init__(self, recorder: TraceRecorder) -> None:
        self._recorder = recorder

    @property
    def armed(self) -> bool:
        """Somebody traces."""
        return self._recorder.armed

    def asked(self, session: Session, request: HttpRequest, exchange: Exchange) -> None:
        """A device sent something."""
        self._record(session, "http", "in", request, exchange.peer)

    def aaa_outcome(self, session: Session, outcome: EapOutcome, seconds: float) -> None:
        """A DER, sent `seconds` ago, and what came of it."""
        leg: Leg = "swa" if session.tenant.authentication.application == "swa" else "swm"
        if isinstance(outcome, EapAnswer):
            self._record(session, leg, "out", outcome.request_raw, outcome.peer, seconds)
            self._record(session, leg, "in", outcome.raw, outcome.peer)
        else:
            if outcome.request_raw:
                self._record(session, leg, "out", outcome.request_raw, "", seconds)
            self._record(session, leg, "in", f"no answer: {outcome.reason.value}")

    def answered(
        self,
        session: Session,
        response: HttpResponse,
        decisions: tuple[Decision, ...],
        exchange: Exchange | None,
    ) -> None:
        """A device gets its answer, for these reasons."""
        for decision in decisions:
            self._record(session, "decision", "out", decision.reason)
        self._record(session, "http", "out", response, "" if exchange is None else exchange.peer)

    def refused(
        self,
        tenant: str,
        imsi: str,
        request: HttpRequest,
        response: HttpResponse,
        exchange: Exchange,
    ) -> None:
        """A device was answered without a session; the IMSI is what it says of itself."""
        if self._recorder.wants(imsi):
            now = time.time()
            name = f"refused-{now:.3f}"
            peer = exchange.peer
            for event in (
                TraceEvent(now, name, tenant, imsi, "http", "in", request, peer),
                TraceEvent(now, name, tenant, imsi, "http", "out", response, peer),
            ):
                self._recorder.record(event)

    def _record(
        self,
        session: Session,
        leg: Leg,
        direction: Direction,
        payload: Payload,
        peer: str = "",
        seconds_ago: float = 0.0,
    ) -> None:
        imsi = session.imsi
        if imsi and self._recorder.wants(imsi):
            self._recorder.record(
                TraceEvent(
                    time=time.time() - seconds_ago,
                    exchange=session.name,
                    tenant=session.tenant.id,
                    imsi=imsi,
                    leg=leg,
                    direction=direction,
                    payload=payload,
                    peer=peer,
                )
            )
