"""What the lab's AAA remembers: sessions, what happened to them, and counts. Tests read it."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from scripts.lab.aaa_behaviour import Behaviour
from scripts.lab.aaa_eap import EapConversation

HISTORY: Final = 1_000


@dataclass(slots=True)
class AaaSession:
    """One Diameter session.

    Attributes:
        identity: User-Name of the first DER.
        client, client_realm: Origin-Host and Origin-Realm of the first DER.
        rounds: DERs so far, retransmissions not counted.
        results: (vendor, code) of each DEA.
        authenticated: the last DEA was a success.
        end: why it is over: `STR <cause>`, `failed`, `stateless`, `ASR`; empty while it is not.
        imei, rat_type, visited_network: of the first DER, to see that the node sends them.
    """

    session_id: bytes
    identity: str
    imsi: str
    client: bytes
    client_realm: bytes
    application: int
    behaviour: Behaviour = field(repr=False)
    conversation: EapConversation = field(repr=False)
    rounds: int = 0
    results: list[tuple[int, int]] = field(default_factory=list)
    authenticated: bool = False
    end: str = ""
    imei: str = ""
    rat_type: int | None = None
    visited_network: bytes = b""
    last_end_to_end: int = -1
    last_answer: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class SentRequest:
    """A RAR or ASR of ours.

    Attributes:
        code: Result-Code of the answer; None while it is out, 0 when the connection was lost.
    """

    command: int
    session_id: bytes
    code: int | None = None


@dataclass
class Books:
    """All of it. Bounded: the oldest open session goes when `capacity` is reached.

    Attributes:
        open: Session-Id to session.
        ended: the last sessions that are over.
        answers: (command, vendor, code) to how often it was answered.
        sent: the RARs and ASRs of ours.
        retransmissions: requests that came again and got the same answer.
        resynchronisations: of all conversations.
    """

    capacity: int = 200_000
    open: dict[bytes, AaaSession] = field(default_factory=dict)
    ended: deque[AaaSession] = field(default_factory=lambda: deque(maxlen=HISTORY))
    answers: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    sent: deque[SentRequest] = field(default_factory=lambda: deque(maxlen=HISTORY))
    retransmissions: int = 0
    dropped: int = 0

    def add(self, session: AaaSession) -> None:
        """A new session."""
        if len(self.open) >= self.capacity:
            self.dropped += 1
            del self.open[next(iter(self.open))]
        self.open[session.session_id] = session

    def close(self, session: AaaSession, end: str) -> None:
        """A session is over."""
        session.end = end
        if self.open.pop(session.session_id, None) is not None:
            self.ended.append(session)

    def of(self, imsi: str) -> list[AaaSession]:
        """All sessions of a subscriber, those that ended first."""
        return [session for session in (*self.ended, *self.open.values()) if session.imsi == imsi]
