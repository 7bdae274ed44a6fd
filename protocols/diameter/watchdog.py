"""The watchdog of one peer as a table: whether its connection still carries traffic.

Source: RFC 3539 §3.4.1 and Appendix A, with its names. Time and jitter are arguments.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

TW_LEAST_SECONDS: Final = 6.0  # RFC 3539 §3.4.1: Tw "MUST NOT be set lower than 6 seconds"
JITTER_SECONDS: Final = 2.0  # RFC 3539 §3.4.1: plus or minus, at every arming


class State(Enum):
    """States of RFC 3539 §3.4.1."""

    INITIAL = auto()
    OKAY = auto()
    SUSPECT = auto()
    DOWN = auto()
    REOPEN = auto()


class Event(Enum):
    """Events of RFC 3539 Appendix A."""

    RECEIVE_DWA = auto()
    RECEIVE_NON_DWA = auto()
    TIMER_EXPIRES = auto()
    CONNECTION_UP = auto()
    CONNECTION_DOWN = auto()
    DOUBTED = auto()  # ours: a request was not answered in time, and nothing else came either
    DISCONNECTED = auto()  # ours: an orderly end by DPR (RFC 6733 §5.4), which proves no fault


class Action(Enum):
    """Actions of RFC 3539 Appendix A. The first group the machine carries out itself."""

    CLEAR_PENDING = auto()
    SET_PENDING = auto()
    SET_WATCHDOG = auto()
    COUNT_DWA = auto()  # NumDWA++
    NUM_DWA_0 = auto()
    NUM_DWA_MINUS_1 = auto()

    SEND_WATCHDOG = auto()
    FAILOVER = auto()
    FAILBACK = auto()
    CLOSE_CONNECTION = auto()
    ATTEMPT_OPEN = auto()
    THROW_AWAY = auto()


class Guard(Enum):
    """Conditions of the table's rows."""

    ALWAYS = auto()
    PENDING = auto()
    NOT_PENDING = auto()
    NUM_DWA_2 = auto()
    NUM_DWA_BELOW_2 = auto()
    PENDING_NUM_DWA_FROM_0 = auto()
    PENDING_NUM_DWA_BELOW_0 = auto()


_GUARDS: Final[Mapping[Guard, Callable[[bool, int], bool]]] = {
    Guard.ALWAYS: lambda pending, num_dwa: True,
    Guard.PENDING: lambda pending, num_dwa: pending,
    Guard.NOT_PENDING: lambda pending, num_dwa: not pending,
    Guard.NUM_DWA_2: lambda pending, num_dwa: num_dwa == 2,
    Guard.NUM_DWA_BELOW_2: lambda pending, num_dwa: num_dwa < 2,
    Guard.PENDING_NUM_DWA_FROM_0: lambda pending, num_dwa: pending and num_dwa >= 0,
    Guard.PENDING_NUM_DWA_BELOW_0: lambda pending, num_dwa: pending and num_dwa < 0,
}

_A = Action
_E = Event
_G = Guard
_S = State
Row = tuple[Guard, tuple[Action, ...], State]

TRANSITIONS: Final[Mapping[tuple[State, Event], tuple[Row, ...]]] = {
    # Appendix A, OKAY
    (_S.OKAY, _E.RECEIVE_DWA): ((_G.ALWAYS, (_A.CLEAR_PENDING, _A.SET_WATCHDOG), _S.OKAY),),
    (_S.OKAY, _E.RECEIVE_NON_DWA): ((_G.ALWAYS, (_A.SET_WATCHDOG,), _S.OKAY),),
    (_S.OKAY, _E.TIMER_EXPIRES): (
        (_G.NOT_PENDING, (_A.SEND_WATCHDOG, _A.SET_WATCHDOG, _A.SET_PENDING), _S.OKAY),
        (_G.PENDING, (_A.FAILOVER, _A.SET_WATCHDOG), _S.SUSPECT),
    ),
    (_S.OKAY, _E.CONNECTION_DOWN): (
        (_G.ALWAYS, (_A.CLOSE_CONNECTION, _A.FAILOVER, _A.SET_WATCHDOG), _S.DOWN),
    ),
    # Appendix A, SUSPECT
    (_S.SUSPECT, _E.RECEIVE_DWA): (
        (_G.ALWAYS, (_A.CLEAR_PENDING, _A.FAILBACK, _A.SET_WATCHDOG), _S.OKAY),
    ),
    (_S.SUSPECT, _E.RECEIVE_NON_DWA): ((_G.ALWAYS, (_A.FAILBACK, _A.SET_WATCHDOG), _S.OKAY),),
    (_S.SUSPECT, _E.TIMER_EXPIRES): ((_G.ALWAYS, (_A.CLOSE_CONNECTION, _A.SET_WATCHDOG), _S.DOWN),),
    (_S.SUSPECT, _E.CONNECTION_DOWN): (
        (_G.ALWAYS, (_A.CLOSE_CONNECTION, _A.SET_WATCHDOG), _S.DOWN),
    ),
    # Appendix A, INITIAL
    (_S.INITIAL, _E.RECEIVE_DWA): ((_G.ALWAYS, (_A.CLEAR_PENDING, _A.THROW_AWAY), _S.INITIAL),),
    (_S.INITIAL, _E.RECEIVE_NON_DWA): ((_G.ALWAYS, (_A.THROW_AWAY,), _S.INITIAL),),
    (_S.INITIAL, _E.TIMER_EXPIRES): ((_G.ALWAYS, (_A.ATTEMPT_OPEN, _A.SET_WATCHDOG), _S.INITIAL),),
    # CLEAR_PENDING is ours: Pending may be left over from a connection that ended by DPR.
    (_S.INITIAL, _E.CONNECTION_UP): ((_G.ALWAYS, (_A.CLEAR_PENDING, _A.SET_WATCHDOG), _S.OKAY),),
    # Appendix A, DOWN
    (_S.DOWN, _E.RECEIVE_DWA): ((_G.ALWAYS, (_A.CLEAR_PENDING, _A.THROW_AWAY), _S.DOWN),),
    (_S.DOWN, _E.RECEIVE_NON_DWA): ((_G.ALWAYS, (_A.THROW_AWAY,), _S.DOWN),),
    (_S.DOWN, _E.TIMER_EXPIRES): ((_G.ALWAYS, (_A.ATTEMPT_OPEN, _A.SET_WATCHDOG), _S.DOWN),),
    (_S.DOWN, _E.CONNECTION_UP): (
        (
            _G.ALWAYS,
            (_A.NUM_DWA_0, _A.SEND_WATCHDOG, _A.SET_WATCHDOG, _A.SET_PENDING),
            _S.REOPEN,
        ),
    ),
    # Appendix A, REOPEN. The timer is set again with each DWA that is not the last: the RFC leaves
    # the old one running, which here would have expired for the DWR before.
    # Ours: the next DWR goes out with the DWA instead of after Tw. Three answers are wanted all the
    # same, but a lone AAA that came back is in use after three round trips, not after a minute.
    (_S.REOPEN, _E.RECEIVE_DWA): (
        (_G.NUM_DWA_2, (_A.CLEAR_PENDING, _A.COUNT_DWA, _A.FAILBACK, _A.SET_WATCHDOG), _S.OKAY),
        (
            _G.NUM_DWA_BELOW_2,
            (
                _A.CLEAR_PENDING,
                _A.COUNT_DWA,
                _A.SEND_WATCHDOG,
                _A.SET_WATCHDOG,
                _A.SET_PENDING,
            ),
            _S.REOPEN,
        ),
    ),
    (_S.REOPEN, _E.RECEIVE_NON_DWA): ((_G.ALWAYS, (_A.THROW_AWAY,), _S.REOPEN),),
    (_S.REOPEN, _E.TIMER_EXPIRES): (
        (_G.NOT_PENDING, (_A.SEND_WATCHDOG, _A.SET_WATCHDOG, _A.SET_PENDING), _S.REOPEN),
        (_G.PENDING_NUM_DWA_FROM_0, (_A.NUM_DWA_MINUS_1, _A.SET_WATCHDOG), _S.REOPEN),
        (_G.PENDING_NUM_DWA_BELOW_0, (_A.CLOSE_CONNECTION, _A.SET_WATCHDOG), _S.DOWN),
    ),
    (_S.REOPEN, _E.CONNECTION_DOWN): (
        (_G.ALWAYS, (_A.CLOSE_CONNECTION, _A.SET_WATCHDOG), _S.DOWN),
    ),
    # Ours: ask at once instead of at the end of Tw; one Tw without an answer then is enough.
    (_S.OKAY, _E.DOUBTED): (
        (_G.NOT_PENDING, (_A.SEND_WATCHDOG, _A.SET_WATCHDOG, _A.SET_PENDING), _S.OKAY),
        (_G.PENDING, (), _S.OKAY),
    ),
    (_S.SUSPECT, _E.DOUBTED): ((_G.ALWAYS, (), _S.SUSPECT),),
    (_S.REOPEN, _E.DOUBTED): ((_G.ALWAYS, (), _S.REOPEN),),
    (_S.DOWN, _E.DOUBTED): ((_G.ALWAYS, (), _S.DOWN),),
    (_S.INITIAL, _E.DOUBTED): ((_G.ALWAYS, (), _S.INITIAL),),
    # Ours: a peer that said good-bye comes back as a new one, without the three watchdogs.
    (_S.OKAY, _E.DISCONNECTED): ((_G.ALWAYS, (_A.FAILOVER,), _S.INITIAL),),
    (_S.SUSPECT, _E.DISCONNECTED): ((_G.ALWAYS, (), _S.INITIAL),),
    (_S.REOPEN, _E.DISCONNECTED): ((_G.ALWAYS, (), _S.INITIAL),),
    (_S.DOWN, _E.DISCONNECTED): ((_G.ALWAYS, (), _S.INITIAL),),
    (_S.INITIAL, _E.DISCONNECTED): ((_G.ALWAYS, (), _S.INITIAL),),
    # Ours: a connection that never came up, or one refused before its CEA.
    (_S.INITIAL, _E.CONNECTION_DOWN): ((_G.ALWAYS, (), _S.INITIAL),),
    (_S.DOWN, _E.CONNECTION_DOWN): ((_G.ALWAYS, (), _S.DOWN),),
}


class IllegalTransition(Exception):
    """An event that the table does not allow in this state. The state is left as it was."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.name} is not allowed in {state.name}")
        self.state = state
        self.event = event


class Watchdog:
    """The watchdog of one peer.

    Attributes:
        tw: Tw without its jitter, in seconds; a change counts from the next arming.
        pending: a DWR of ours is not answered yet (RFC 3539 `Pending`).
        num_dwa: answers since the connection came back (RFC 3539 `NumDWA`).
        deadline: when TIMER_EXPIRES is due, in seconds on the caller's clock.
    """

    __slots__ = ("deadline", "num_dwa", "pending", "state", "tw")

    def __init__(self, tw_seconds: float) -> None:
        """Begin in INITIAL; `tw_seconds` is Tw."""
        self.tw = tw_seconds
        self.state = State.INITIAL
        self.pending = False
        self.num_dwa = 0
        self.deadline = 0.0

    def handle(self, event: Event, now: float, jitter: float) -> tuple[Action, ...]:
        """Go on by one event.

        Args:
            now: seconds on the caller's clock.
            jitter: a number from -1 to 1, fresh for each call.

        Returns:
            What the caller must do, in order (the second group of `Action`).

        Raises:
            IllegalTransition: the pair is not in the table; nothing changes.
        """
        for guard, actions, state in TRANSITIONS.get((self.state, event), ()):
            if _GUARDS[guard](self.pending, self.num_dwa):
                self.state = state
                for action in actions:
                    self._carry_out(action, now, jitter)
                return tuple(action for action in actions if action in _FOR_THE_CALLER)
        raise IllegalTransition(self.state, event)

    def heard(self, now: float, jitter: float) -> None:
        """RECEIVE_NON_DWA in OKAY, without the table: once per read of a busy connection."""
        self.deadline = now + self.tw + jitter * JITTER_SECONDS

    def _carry_out(self, action: Action, now: float, jitter: float) -> None:
        match action:
            case Action.CLEAR_PENDING:
                self.pending = False
            case Action.SET_PENDING:
                self.pending = True
            case Action.SET_WATCHDOG:
                self.heard(now, jitter)
            case Action.COUNT_DWA:
                self.num_dwa += 1
            case Action.NUM_DWA_0:
                self.num_dwa = 0
            case Action.NUM_DWA_MINUS_1:
                self.num_dwa = -1
            case _:
                pass  # for the caller


_FOR_THE_CALLER: Final = frozenset(
    (
        Action.SEND_WATCHDOG,
        Action.FAILOVER,
        Action.FAILBACK,
        Action.CLOSE_CONNECTION,
        Action.ATTEMPT_OPEN,
        Action.THROW_AWAY,
    )
)
