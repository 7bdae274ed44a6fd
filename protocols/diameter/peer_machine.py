"""The peer state machine as one table: initiator, responder and election.

Source: RFC 6733 §5.6, with its names. `I_` is the connection that we opened, `R_` the one that the
peer opened. The table does not know who is client or server. Sending and receiving application
messages in an open state does not go through it: `PeerMachine.is_open` answers that.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """States of RFC 6733 §5.6."""

    CLOSED = auto()
    WAIT_CONN_ACK = auto()
    WAIT_I_CEA = auto()
    WAIT_CONN_ACK_ELECT = auto()
    WAIT_RETURNS = auto()
    I_OPEN = auto()
    R_OPEN = auto()
    CLOSING = auto()


class Event(Enum):
    """Events of RFC 6733 §5.6.2."""

    START = auto()
    STOP = auto()
    TIMEOUT = auto()
    WIN_ELECTION = auto()
    I_RCV_CONN_ACK = auto()
    I_RCV_CONN_NACK = auto()
    R_CONN_CER = auto()  # a CER that is acceptable; others are refused before they get here
    I_RCV_CEA = auto()  # a CEA with success and something in common
    I_RCV_NON_CEA = auto()  # anything else, a CEA that refuses included
    I_PEER_DISC = auto()
    R_PEER_DISC = auto()
    I_RCV_MESSAGE = auto()
    R_RCV_MESSAGE = auto()
    I_RCV_DWR = auto()
    R_RCV_DWR = auto()
    I_RCV_DWA = auto()
    R_RCV_DWA = auto()
    I_RCV_DPR = auto()
    R_RCV_DPR = auto()
    I_RCV_DPA = auto()
    R_RCV_DPA = auto()


class Action(Enum):
    """Actions of RFC 6733 §5.6.3."""

    I_SND_CONN_REQ = auto()
    I_SND_CER = auto()
    I_SND_DWA = auto()
    R_SND_DWA = auto()
    I_SND_DPR = auto()
    R_SND_DPR = auto()
    I_SND_DPA = auto()
    R_SND_DPA = auto()
    I_DISC = auto()
    R_DISC = auto()
    R_ACCEPT = auto()
    R_REJECT = auto()
    R_SND_CEA = auto()
    PROCESS_CER = auto()
    PROCESS_CEA = auto()
    PROCESS = auto()
    PROCESS_DWR = auto()
    PROCESS_DWA = auto()
    CLEANUP = auto()
    ERROR = auto()
    ELECT = auto()  # compare the Origin-Hosts; when ours wins, raise WIN_ELECTION


_A = Action
_E = Event
_S = State
Step = tuple[tuple[Action, ...], State]

TRANSITIONS: Final[Mapping[tuple[State, Event], Step]] = {
    # §5.6 Closed
    (_S.CLOSED, _E.START): ((_A.I_SND_CONN_REQ,), _S.WAIT_CONN_ACK),
    (_S.CLOSED, _E.R_CONN_CER): ((_A.R_ACCEPT, _A.PROCESS_CER, _A.R_SND_CEA), _S.R_OPEN),
    # §5.6 Wait-Conn-Ack
    (_S.WAIT_CONN_ACK, _E.I_RCV_CONN_ACK): ((_A.I_SND_CER,), _S.WAIT_I_CEA),
    (_S.WAIT_CONN_ACK, _E.I_RCV_CONN_NACK): ((_A.CLEANUP,), _S.CLOSED),
    (_S.WAIT_CONN_ACK, _E.R_CONN_CER): ((_A.R_ACCEPT, _A.PROCESS_CER), _S.WAIT_CONN_ACK_ELECT),
    (_S.WAIT_CONN_ACK, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    # §5.6 Wait-I-CEA
    (_S.WAIT_I_CEA, _E.I_RCV_CEA): ((_A.PROCESS_CEA,), _S.I_OPEN),
    (_S.WAIT_I_CEA, _E.R_CONN_CER): (
        (_A.R_ACCEPT, _A.PROCESS_CER, _A.ELECT),
        _S.WAIT_RETURNS,
    ),
    (_S.WAIT_I_CEA, _E.I_PEER_DISC): ((_A.I_DISC,), _S.CLOSED),
    (_S.WAIT_I_CEA, _E.I_RCV_NON_CEA): ((_A.ERROR,), _S.CLOSED),
    (_S.WAIT_I_CEA, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    # §5.6 Wait-Conn-Ack/Elect
    (_S.WAIT_CONN_ACK_ELECT, _E.I_RCV_CONN_ACK): ((_A.I_SND_CER, _A.ELECT), _S.WAIT_RETURNS),
    (_S.WAIT_CONN_ACK_ELECT, _E.I_RCV_CONN_NACK): ((_A.R_SND_CEA,), _S.R_OPEN),
    (_S.WAIT_CONN_ACK_ELECT, _E.R_PEER_DISC): ((_A.R_DISC,), _S.WAIT_CONN_ACK),
    (_S.WAIT_CONN_ACK_ELECT, _E.R_CONN_CER): ((_A.R_REJECT,), _S.WAIT_CONN_ACK_ELECT),
    (_S.WAIT_CONN_ACK_ELECT, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    # §5.6 Wait-Returns
    (_S.WAIT_RETURNS, _E.WIN_ELECTION): ((_A.I_DISC, _A.R_SND_CEA), _S.R_OPEN),
    (_S.WAIT_RETURNS, _E.I_PEER_DISC): ((_A.I_DISC, _A.R_SND_CEA), _S.R_OPEN),
    (_S.WAIT_RETURNS, _E.I_RCV_CEA): ((_A.R_DISC, _A.PROCESS_CEA), _S.I_OPEN),
    (_S.WAIT_RETURNS, _E.R_PEER_DISC): ((_A.R_DISC,), _S.WAIT_I_CEA),
    (_S.WAIT_RETURNS, _E.R_CONN_CER): ((_A.R_REJECT,), _S.WAIT_RETURNS),
    (_S.WAIT_RETURNS, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    # Ours: a CEA that refuses (4003 ELECTION_LOST above all) leaves the other connection to us.
    (_S.WAIT_RETURNS, _E.I_RCV_NON_CEA): ((_A.I_DISC, _A.R_SND_CEA), _S.R_OPEN),
    # §5.6 R-Open
    (_S.R_OPEN, _E.R_RCV_MESSAGE): ((_A.PROCESS,), _S.R_OPEN),
    (_S.R_OPEN, _E.R_RCV_DWR): ((_A.PROCESS_DWR, _A.R_SND_DWA), _S.R_OPEN),
    (_S.R_OPEN, _E.R_RCV_DWA): ((_A.PROCESS_DWA,), _S.R_OPEN),
    (_S.R_OPEN, _E.R_CONN_CER): ((_A.R_REJECT,), _S.R_OPEN),
    (_S.R_OPEN, _E.STOP): ((_A.R_SND_DPR,), _S.CLOSING),
    (_S.R_OPEN, _E.R_RCV_DPR): ((_A.R_SND_DPA,), _S.CLOSING),
    (_S.R_OPEN, _E.R_PEER_DISC): ((_A.R_DISC,), _S.CLOSED),
    # §5.6 I-Open
    (_S.I_OPEN, _E.I_RCV_MESSAGE): ((_A.PROCESS,), _S.I_OPEN),
    (_S.I_OPEN, _E.I_RCV_DWR): ((_A.PROCESS_DWR, _A.I_SND_DWA), _S.I_OPEN),
    (_S.I_OPEN, _E.I_RCV_DWA): ((_A.PROCESS_DWA,), _S.I_OPEN),
    (_S.I_OPEN, _E.R_CONN_CER): ((_A.R_REJECT,), _S.I_OPEN),
    (_S.I_OPEN, _E.STOP): ((_A.I_SND_DPR,), _S.CLOSING),
    (_S.I_OPEN, _E.I_RCV_DPR): ((_A.I_SND_DPA,), _S.CLOSING),
    (_S.I_OPEN, _E.I_PEER_DISC): ((_A.I_DISC,), _S.CLOSED),
    # Ours: the watchdog gave the connection up (RFC 3539 CloseConnection).
    (_S.I_OPEN, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    (_S.R_OPEN, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    # §5.6 Closing
    (_S.CLOSING, _E.I_RCV_DPA): ((_A.I_DISC,), _S.CLOSED),
    (_S.CLOSING, _E.R_RCV_DPA): ((_A.R_DISC,), _S.CLOSED),
    (_S.CLOSING, _E.TIMEOUT): ((_A.ERROR,), _S.CLOSED),
    (_S.CLOSING, _E.I_PEER_DISC): ((_A.I_DISC,), _S.CLOSED),
    (_S.CLOSING, _E.R_PEER_DISC): ((_A.R_DISC,), _S.CLOSED),
    # Ours: until the DPA, late answers and requests are still served ("drain"), watchdogs too, and
    # two DPRs may cross.
    (_S.CLOSING, _E.I_RCV_MESSAGE): ((_A.PROCESS,), _S.CLOSING),
    (_S.CLOSING, _E.R_RCV_MESSAGE): ((_A.PROCESS,), _S.CLOSING),
    (_S.CLOSING, _E.I_RCV_DWR): ((_A.PROCESS_DWR, _A.I_SND_DWA), _S.CLOSING),
    (_S.CLOSING, _E.R_RCV_DWR): ((_A.PROCESS_DWR, _A.R_SND_DWA), _S.CLOSING),
    (_S.CLOSING, _E.I_RCV_DWA): ((_A.PROCESS_DWA,), _S.CLOSING),
    (_S.CLOSING, _E.R_RCV_DWA): ((_A.PROCESS_DWA,), _S.CLOSING),
    (_S.CLOSING, _E.I_RCV_DPR): ((_A.I_SND_DPA,), _S.CLOSING),
    (_S.CLOSING, _E.R_RCV_DPR): ((_A.R_SND_DPA,), _S.CLOSING),
    (_S.CLOSING, _E.R_CONN_CER): ((_A.R_REJECT,), _S.CLOSING),
    # Ours: stopping what is not open yet just lets go of it.
    (_S.WAIT_CONN_ACK, _E.STOP): ((_A.CLEANUP,), _S.CLOSED),
    (_S.WAIT_I_CEA, _E.STOP): ((_A.CLEANUP,), _S.CLOSED),
    (_S.WAIT_CONN_ACK_ELECT, _E.STOP): ((_A.CLEANUP,), _S.CLOSED),
    (_S.WAIT_RETURNS, _E.STOP): ((_A.CLEANUP,), _S.CLOSED),
}


class IllegalTransition(Exception):
    """An event that the table does not allow in this state. The state is left as it was."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.name} is not allowed in {state.name}")
        self.state = state
        self.event = event


def step(state: State, event: Event) -> Step:
    """Look up what `event` does in `state`.

    Raises:
        IllegalTransition: the pair is not in the table.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


class PeerMachine:
    """The state of one peer.

    Attributes:
        is_open: application messages may be sent (I-Open or R-Open).
    """

    __slots__ = ("is_open", "state")

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.is_open = False

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Go on by one event; return what must be done, in order.

        Raises:
            IllegalTransition: the pair is not in the table; nothing changes.
        """
        actions, self.state = step(self.state, event)
        self.is_open = self.state is State.I_OPEN or self.state is State.R_OPEN
        return actions


def wins_election(ours: str, theirs: str) -> bool:
    """Whether our Origin-Host is the higher one and so keeps the connection that the peer opened.

    Source: RFC 6733 §5.6.4: octet by octet, the longer one is higher when it only has more;
    identities compare without case.
    """
    return ours.lower().encode() > theirs.lower().encode()
