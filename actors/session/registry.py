"""Where the sessions are: by cookie, by subscriber, by Diameter session; how they start and end."""

import time
from collections.abc import Callable
from typing import TypeVar

from actors.counters import Counters
from actors.runtime.pool import ActorPool, Cell, PoolFull
from actors.session.actor import SessionActor
from actors.session.authentication import Conversation
from actors.session.cookie import CookieSeal, ResumePoint
from actors.session.messages import Effect, Message
from actors.session.session import Rules
from actors.session.spent_cookies import SpentCookies
from config.model import Tenant
from protocols.identity import Nai
from protocols.ts43.request import Ts43Request

SessionCell = Cell[SessionActor, Message, Effect]
SessionPool = ActorPool[SessionActor, Message, Effect]
_Counted = TypeVar("_Counted")


class Registry:
    """Finds the session that something is for, and starts and ends sessions.

    Attributes:
        rules: what new sessions go by.
        seal: opens the cookies of sessions that are not here.
    """

    def __init__(
        self, rules: Rules, seal: CookieSeal, pool: SessionPool, counters: Counters
    ) -> None:
        """Begin empty."""
        self.rules = rules
        self.seal = seal
        self._pool = pool
        self._counters = counters
        self._count = 0
        self._by_cookie: dict[str, SessionCell] = {}
        self._by_subscriber: dict[tuple[str, str, str], SessionCell] = {}
        self._by_diameter: dict[bytes, SessionCell] = {}
        self._spent = SpentCookies()
        self._unfinished: dict[tuple[str, str], int] = {}  # (address, terminal) -> sessions
        self._under_way: dict[str, int] = {}  # address -> sessions

    def sizes(self) -> dict[str, int]:
        """How many entries each index has."""
        return {
            "by cookie": len(self._by_cookie),
            "by subscriber": len(self._by_subscriber),
            "by diameter session": len(self._by_diameter),
            "devices": len(self._unfinished),
            "addresses": len(self._under_way),
        }

    # --- finding -------------------------------------------------------------------------------

    def by_cookie(self, cookie: str) -> SessionCell | None:
        """The session that this cookie was made for."""
        return self._by_cookie.get(cookie)

    def by_diameter(self, session_id: bytes) -> SessionCell | None:
        """The session that had this Diameter Session-Id."""
        return self._by_diameter.get(session_id)

    def unfinished(self, device: tuple[str, str]) -> int:
        """Conversations that a device (address, terminal id) has begun and not ended."""
        return self._unfinished.get(device, 0)

    def under_way(self, address: str) -> int:
        """Conversations that devices at an address have begun and not ended."""
        return self._under_way.get(address, 0)

    def open(self, cookie: str) -> ResumePoint | None:
        """What a cookie says whose session is not here; None when it is void or was used up."""
        return None if self._spent.has(cookie) else self.seal.open(cookie, time.time())

    # --- starting ------------------------------------------------------------------------------

    def start(
        self,
        tenant: Tenant,
        request: Ts43Request,
        device: tuple[str, str],
        new_session_id: Callable[[str], bytes],
    ) -> SessionCell | None:
        """A session for a conversation with the AAA; None when there is no room.

        Args:
            device: address and terminal id, counted as unfinished until `finished`.
            new_session_id: makes a Diameter Session-Id from the session's name.
        """
        name = self._next_name()
        conversation = Conversation(request.eap_id, tenant.authentication, new_session_id(name))
        cell = self._spawn(SessionActor(tenant, self.rules, name, conversation))
        if cell is not None:
            cell.actor.imsi = str(Nai(request.eap_id).imsi or "")
            cell.actor.device = device
            self._unfinished[device] = self._unfinished.get(device, 0) + 1
            self._under_way[device[0]] = self._under_way.get(device[0], 0) + 1
        return cell

    def of_subscriber(self, tenant: Tenant, imsi: str, terminal_id: str) -> SessionCell | None:
        """The session of an authenticated subscriber's terminal, or a new one for its token."""
        key = (tenant.id, imsi, terminal_id)
        cell = self._by_subscriber.get(key)
        if cell is not None:
            cell.actor.adopt(tenant, self.rules)
            return cell
        cell = self._spawn(SessionActor(tenant, self.rules, self._next_name(), None))
        if cell is not None:
            cell.actor.imsi = imsi
            self.file_subscriber(cell, key)
        return cell

    def resume(self, cookie: str, point: ResumePoint, tenant: Tenant) -> SessionCell | None:
        """Go on with what another worker or node began, or this one before it restarted."""
        conversation = Conversation.resumed(point, tenant.authentication)
        session = SessionActor(tenant, self.rules, self._next_name(), conversation)
        cell = self._spawn(session)
        if cell is not None:
            session.imsi = str(Nai(point.eap_id).imsi or "")
            self.file_cookie(cell, cookie)
            self._counters.session("resumed")
        return cell

    def _spawn(self, session: SessionActor) -> SessionCell | None:
        try:
            return self._pool.spawn(session)
        except PoolFull:
            self._counters.session("refused")
            return None

    def _next_name(self) -> str:
        self._count += 1
        return str(self._count)

    # --- filing --------------------------------------------------------------------------------

    def file_cookie(self, cell: SessionCell, cookie: str) -> None:
        """A POST with this cookie is for this session."""
        cell.actor.cookie = cookie
        self._by_cookie[cookie] = cell

    def file_subscriber(self, cell: SessionCell, key: tuple[str, str, str]) -> None:
        """Requests with a token of (tenant, IMSI, terminal) are for this session, if for none."""
        if self._by_subscriber.setdefault(key, cell) is cell:
            cell.actor.subscriber_key = key

    def file_diameter(self, cell: SessionCell, session_id: bytes) -> None:
        """RAR and ASR for this Session-Id are for this session."""
        self._by_diameter.setdefault(session_id, cell)

    # --- ending --------------------------------------------------------------------------------

    def finished(self, session: SessionActor) -> None:
        """The device may begin another conversation."""
        device, session.device = session.device, None
        if device is not None:
            _one_less(self._unfinished, device)
            _one_less(self._under_way, device[0])

    def end(self, cell: SessionCell, now: float) -> None:
        """Take the session out of every index; its cookie opens no more.

        Args:
            now: seconds on the Trio clock.
        """
        session = cell.actor
        self._pool.end(cell)
        self.finished(session)
        if session.cookie:
            self._by_cookie.pop(session.cookie, None)
            self._spent.forget(now)
            self._spent.add(session.cookie, now + self.rules.limits.challenge_seconds)
        key = session.subscriber_key
        if key is not None and self._by_subscriber.get(key) is cell:
            del self._by_subscriber[key]
        if session.conversation is not None:
            for session_id in session.conversation.session_ids:
                self._by_diameter.pop(session_id, None)


def _one_less(counts: dict[_Counted, int], key: _Counted) -> None:
    left = counts.get(key, 1) - 1
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
