"""A phone of the lab: a card, the habits of a real TS.43 client, and the legs of GSMA TS.43 §2.8.

It verifies what such a client verifies, and nothing more: the network's AUTN, but not AT_MAC of the
request; it goes silent when AUTN is wrong; it answers four challenges at most.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ssl import SSLContext
from typing import Final, Protocol

import trio

from protocols.eap import numbers as n
from protocols.eap.aka import challenge_response, synchronization_failure
from protocols.eap.keys import aka_authentication_key
from protocols.eap.vector import CardSuccess, NetworkNotTrusted, SynchronisationFailure
from scripts.lab.device_http import DeviceConnection, DeviceHttpError, Field, Response
from scripts.lab.phone_habits import AOSP, EAP_RELAY, JSON, Habits, Parameter
from scripts.lab.phone_reading import (
    RELAY_KEY,
    Challenge,
    Document,
    Malformed,
    is_challenge,
    read_challenge,
    read_document,
)
from scripts.lab.subscribers import LabSubscriber, nai_of
from scripts.lab.usim import Usim

MAX_CHALLENGES: Final = 4  # Q-EAP-6: the AOSP client answers the first and three more
DEFAULT_APPS: Final = ("ap2004", "ap2003", "ap2005")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the node is.

    Attributes:
        address: numeric address and port.
        authority: host name of the service, with `:port` when it is not 443.
        context: of `device_http.tls_context`; decides between HTTP/2 and HTTP/1.1.
        path: of the configured URL.
    """

    address: tuple[str, int]
    authority: str
    context: SSLContext
    path: str = "/"

    async def connect(self) -> DeviceConnection:
        """A new connection.

        Raises:
            DeviceHttpError: there is none.
        """
        return await DeviceConnection.open(self.address, self.authority, self.context)


class Outcome(Enum):
    """How an attempt of a phone ended."""

    DOCUMENT = "document"
    REFUSED = "refused"  # another status than 200
    MALFORMED = "malformed"  # this client cannot read the answer
    NETWORK_NOT_TRUSTED = "network not trusted"  # AUTN is wrong: silent stop
    TOO_MANY_CHALLENGES = "too many challenges"
    ABANDONED = "abandoned"  # on purpose, after the challenge
    NO_ANSWER = "no answer"  # no connection, reset, or too slow


@dataclass(slots=True)
class PhoneResult:
    """What one attempt gave.

    Attributes:
        outcome: how it ended.
        status: the last HTTP status, 0 when there was none.
        detail: why, for people; without identities.
        legs: (`connect`, `challenge`, `authenticate` or `document`; seconds) in order. A
            resynchronisation gives `authenticate` twice.
        challenges: how many came.
        retry_after: the field of a refusal, None when absent.
        document: when there was one.
    """

    outcome: Outcome = Outcome.NO_ANSWER
    status: int = 0
    detail: str = ""
    legs: list[tuple[str, float]] = field(default_factory=list)
    challenges: int = 0
    retry_after: str | None = None
    document: Document | None = None

    @property
    def ok(self) -> bool:
        """Whether the phone got its document."""
        return self.outcome is Outcome.DOCUMENT

    def seconds(self, leg: str) -> float:
        """Time of all legs of this name."""
        return sum(seconds for name, seconds in self.legs if name == leg)


class _Stop(Exception):
    """The attempt ends with this outcome."""

    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


class Phone:
    """One phone. One attempt at a time.

    Attributes:
        usim: its card; set `wrong_res` or call `lose_synchronisation` to misbehave.
        token: of the last document, empty before.
        vers: version of the configuration it holds.
        nai: the EAP_ID that it sends, exactly.
        more: further parameters of every request, such as `notif_token` or `GID1`.
    """

    __slots__ = ("_habits", "_post", "_target", "imei", "more", "nai", "token", "usim", "vers")

    def __init__(
        self,
        subscriber: LabSubscriber,
        target: Target,
        habits: Habits = AOSP,
        *,
        post: bool = False,
        usim: Usim | None = None,
    ) -> None:
        """A phone with the subscriber's card in it.

        Args:
            post: the first leg and token requests are POSTs of JSON, not GETs.
            usim: a card used before; a new one of the subscriber when None.
        """
        self.usim = usim if usim is not None else subscriber.usim()
        self.imei = subscriber.imei or "356000000000018"
        self.nai = nai_of(subscriber.imsi)
        self.token = ""
        self.vers = 0
        self.more: tuple[Parameter, ...] = ()
        self._target = target
        self._habits = habits
        self._post = post

    def __repr__(self) -> str:
        return f"Phone({self._habits.name}, {self.usim!r})"

    # --- what it can do ------------------------------------------------------------------------

    async def authenticate(
        self,
        apps: Sequence[str] = DEFAULT_APPS,
        connection: DeviceConnection | None = None,
    ) -> PhoneResult:
        """Full authentication with EAP-AKA; resynchronises when the card asks for it.

        Args:
            connection: an open one to use (and leave open); a new one for this attempt when None.
        """
        return await self._attempt(self._full_authentication, apps, connection)

    async def with_token(
        self,
        apps: Sequence[str] = DEFAULT_APPS,
        connection: DeviceConnection | None = None,
    ) -> PhoneResult:
        """Fast authentication: the document for the stored token.

        Raises:
            ValueError: there is no token yet.
        """
        if not self.token:
            raise ValueError("the phone has no token")
        return await self._attempt(self._fast_authentication, apps, connection)

    async def abandon(
        self,
        apps: Sequence[str] = DEFAULT_APPS,
        connection: DeviceConnection | None = None,
    ) -> PhoneResult:
        """Ask, get the challenge, and never answer: out of coverage, or silent after AUTN."""
        return await self._attempt(self._first_leg_only, apps, connection)

    async def wrong_res(
        self,
        apps: Sequence[str] = DEFAULT_APPS,
        connection: DeviceConnection | None = None,
    ) -> PhoneResult:
        """Full authentication, answered with a wrong RES."""
        before, self.usim.wrong_res = self.usim.wrong_res, True
        try:
            return await self.authenticate(apps, connection)
        finally:
            self.usim.wrong_res = before

    # --- attempts ------------------------------------------------------------------------------

    async def _attempt(
        self,
        act: "_Act",
        apps: Sequence[str],
        connection: DeviceConnection | None,
    ) -> PhoneResult:
        result = PhoneResult()
        own = connection is None
        try:
            if connection is None:
                started = trio.current_time()
                connection = await self._target.connect()
                result.legs.append(("connect", trio.current_time() - started))
            await act(apps, connection, result)
        except DeviceHttpError as error:
            result.outcome, result.detail = Outcome.NO_ANSWER, str(error)
        except Malformed as error:
            result.outcome, result.detail = Outcome.MALFORMED, str(error)
        except _Stop as stop:
            result.outcome, result.detail = stop.outcome, stop.detail
        finally:
            if own and connection is not None:
                connection.close()
        return result

    async def _first_leg_only(
        self, apps: Sequence[str], connection: DeviceConnection, result: PhoneResult
    ) -> None:
        await self._first_leg(apps, connection, result)
        raise _Stop(Outcome.ABANDONED)

    async def _full_authentication(
        self, apps: Sequence[str], connection: DeviceConnection, result: PhoneResult
    ) -> None:
        response = await self._first_leg(apps, connection, result)
        # Q-COOKIE-5: the cookies of the first response serve all rounds.
        cookies = self._habits.cookies(response.all(b"set-cookie"))
        while True:
            first = not result.challenges
            challenge = read_challenge(self._habits, response, first=first)
            result.challenges += 1
            if result.challenges > MAX_CHALLENGES:
                raise _Stop(Outcome.TOO_MANY_CHALLENGES)
            packet, resync = self._answer(challenge)
            response = await self._relay(packet, resync, cookies, connection, result)
            if resync:
                continue  # Q-EAP-7: anything but a new challenge is malformed
            if not is_challenge(self._habits, response):
                break
        self._take(read_document(self._habits, response), result)

    async def _fast_authentication(
        self, apps: Sequence[str], connection: DeviceConnection, result: PhoneResult
    ) -> None:
        identity = [("IMSI", self.usim.imsi), ("token", self.token)]
        if self._habits.identity_last:
            identity.reverse()
        response = await self._ask(identity, self._habits.accept_token, apps, connection, result)
        self._take(read_document(self._habits, response), result)

    # --- legs ----------------------------------------------------------------------------------

    async def _first_leg(
        self, apps: Sequence[str], connection: DeviceConnection, result: PhoneResult
    ) -> Response:
        identity = [("EAP_ID", self.nai)]
        return await self._ask(
            identity, self._habits.accept_first, apps, connection, result, "challenge"
        )

    async def _ask(
        self,
        identity: Sequence[Parameter],
        accept: bytes,
        apps: Sequence[str],
        connection: DeviceConnection,
        result: PhoneResult,
        leg: str = "document",
    ) -> Response:
        """A request with parameters, by GET or POST."""
        headers = [*self._habits.fields, (b"accept", accept)]
        build = self._habits.json_body if self._post else self._habits.query
        built = build(identity, self.imei, apps, self.vers, self.more)
        path = self._target.path
        if isinstance(built, bytes):
            headers.append((b"content-type", JSON))
            return await self._leg(leg, connection, result, b"POST", path, headers, built)
        return await self._leg(leg, connection, result, b"GET", f"{path}?{built}", headers)

    async def _relay(
        self,
        packet: bytes,
        resync: bool,
        cookies: Sequence[Field],
        connection: DeviceConnection,
        result: PhoneResult,
    ) -> Response:
        """The EAP answer: a POST to the bare URL; the cookie is all that links it (Q-COOKIE-1)."""
        accept = self._habits.accept_resync if resync else self._habits.accept_answer
        headers = [
            *self._habits.fields,
            (b"accept", accept),
            (b"content-type", EAP_RELAY),
            *cookies,
        ]
        body = json.dumps({RELAY_KEY: base64.b64encode(packet).decode()}).encode()
        return await self._leg(
            "authenticate", connection, result, b"POST", self._target.path, headers, body
        )

    async def _leg(
        self,
        name: str,
        connection: DeviceConnection,
        result: PhoneResult,
        method: bytes,
        path: str,
        headers: Sequence[Field],
        body: bytes = b"",
    ) -> Response:
        started = trio.current_time()
        response = await connection.request(method, path.encode(), headers, body)
        result.legs.append((name, trio.current_time() - started))
        result.status = response.status
        if response.status != 200:
            retry_after = response.header(b"retry-after")
            result.retry_after = retry_after.decode("latin-1") if retry_after is not None else None
            raise _Stop(Outcome.REFUSED, response.body[:200].decode("utf-8", "replace").strip())
        return response

    # --- card and document ---------------------------------------------------------------------

    def _answer(self, challenge: Challenge) -> tuple[bytes, bool]:
        """(EAP response, whether it is a synchronisation failure)."""
        match self.usim.authenticate(challenge.rand, challenge.autn):
            case CardSuccess(res, ck, ik):
                k_aut = aka_authentication_key(self.nai.encode(), ik, ck)
                return challenge_response(challenge.identifier, n.EAP_AKA, res, k_aut), False
            case SynchronisationFailure(auts):
                return synchronization_failure(challenge.identifier, n.EAP_AKA, auts), True
            case NetworkNotTrusted():
                # Q-EAP-5: neither Authentication-Reject nor Client-Error is ever sent.
                raise _Stop(Outcome.NETWORK_NOT_TRUSTED)

    def _take(self, document: Document, result: PhoneResult) -> None:
        if document.token:
            self.token = document.token
        if document.vers is not None:
            self.vers = document.vers[0]
        result.document = document
        result.outcome = Outcome.DOCUMENT


class _Act(Protocol):
    """One way to use a connection."""

    async def __call__(
        self, apps: Sequence[str], connection: DeviceConnection, result: PhoneResult
    ) -> None: ...
