"""Pooled step-function actors: many, mostly idle, without a task of their own.

An actor is an object with `receive(message, now) -> effects`. It has identity, a bounded mailbox,
order and its own failure domain, but no coroutine: while idle it is one small object. All mailboxes
are one queue, in the order in which messages came; each actor has a bound on its part of it. The
pool works off the queue at the end of each turn of the loop and carries out effects in order. A
step that raises ends that actor alone.

Single-threaded by design: everything here runs in the Trio thread.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

Actor = TypeVar("Actor", bound="StepActor[Any, Any]")
Message = TypeVar("Message")
Effect = TypeVar("Effect")
MessageIn = TypeVar("MessageIn", contravariant=True)
EffectOut = TypeVar("EffectOut", covariant=True)

MESSAGES_PER_TURN: Final = 1_024  # then the sockets get theirs


class StepActor(Protocol[MessageIn, EffectOut]):
    """What the pool steps."""

    def receive(self, message: MessageIn, now: float) -> Sequence[EffectOut]:
        """Take one message; return what must be done, in order. Never waits."""
        ...


class Cell(Generic[Actor, Message, Effect]):
    """One actor in the pool: the address that messages are sent to.

    Attributes:
        actor: the step function's object.
        alive: False after the actor ended or crashed; mail to it is refused.
        mail: messages that wait for it; only the pool counts them.
    """

    __slots__ = ("__weakref__", "actor", "alive", "mail")

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.alive = True
        self.mail = 0


# Carries out one kind of effect: of this actor, at this time.
CarryOut = Callable[[Cell[Actor, Message, Effect], Any, float], None]


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What happened since the start, and how it stands now."""

    alive: int  # actors in the pool
    spawned: int
    ended: int
    crashes: int
    handled: int  # messages
    refused: int  # messages to full mailboxes
    dropped: int  # messages to actors that had ended
    ready: int  # messages that wait
    most_mail: int  # the longest mailbox seen


class ActorPool(Generic[Actor, Message, Effect]):
    """All step-function actors of one kind.

    Attributes:
        effects: what carries out each kind of effect, by its class; an exception in it counts as
            the actor's crash. To be filled before the first message.
    """

    def __init__(
        self,
        crashed: Callable[[Cell[Actor, Message, Effect], Message, Exception], None],
        *,
        dropped: Callable[[Cell[Actor, Message, Effect], Message], None] | None = None,
        capacity: int,
        mailbox_bound: int,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        """Describe the pool.

        Args:
            crashed: answers whoever waits for an actor that crashed; must not raise.
            dropped: told of each message that waited for an actor when that ended; whoever sent it
                may wait for an answer. Must not raise.
            capacity: actors alive at the same time.
            mailbox_bound: messages waiting for one actor.
            clock: seconds, handed to every step of a turn.
        """
        self.effects: Mapping[type, CarryOut[Actor, Message, Effect]] = {}
        self._crashed = crashed
        self._told_of_dropped = dropped
        self._capacity = capacity
        self._mailbox_bound = mailbox_bound
        self._clock = clock
        self._mail: deque[tuple[Cell[Actor, Message, Effect], Message]] = deque()
        self._alive = self._spawned = self._ended = self._crashes = 0
        self._handled = self._refused = self._dropped = self._most_mail = 0
        self._more = trio.Event()

    @property
    def full(self) -> bool:
        """No room for another actor."""
        return self._alive >= self._capacity

    def spawn(self, actor: Actor) -> Cell[Actor, Message, Effect]:
        """Take an actor into the pool.

        Raises:
            PoolFull: `capacity` actors are alive.
        """
        if self.full:
            raise PoolFull(f"{self._capacity} actors are alive")
        self._alive += 1
        self._spawned += 1
        return Cell(actor)

    def tell(self, cell: Cell[Actor, Message, Effect], message: Message) -> bool:
        """Put a message into the actor's mailbox; it is handled at the end of this turn.

        Returns:
            False when the actor has ended or its mailbox is full; the message is then dropped.
        """
        if not cell.alive:
            self._dropped += 1
            return False
        mail = cell.mail = cell.mail + 1
        if mail > self._mailbox_bound:
            cell.mail -= 1
            self._refused += 1
            return False
        if mail > self._most_mail:
            self._most_mail = mail
        self._mail.append((cell, message))
        return True

    def end(self, cell: Cell[Actor, Message, Effect]) -> None:
        """Forget the actor; its waiting mail is dropped."""
        if cell.alive:
            cell.alive = False
            self._alive -= 1
            self._ended += 1

    def run_ready(self) -> None:
        """Step the actors that have mail: once per turn, bounded.

        What is left over is taken up by `run`, after the sockets had their turn.
        """
        mail = self._mail
        if not mail:
            return
        now, effects, take = self._clock(), self.effects, mail.popleft
        left = MESSAGES_PER_TURN
        while mail and left:
            left -= 1
            cell, message = take()
            cell.mail -= 1
            if not cell.alive:
                self._drop(cell, message)
                continue
            try:
                for effect in cell.actor.receive(message, now):
                    effects[type(effect)](cell, effect, now)
            except Exception as error:  # the shell: this actor ends, no other
                self._crashes += 1
                self.end(cell)
                self._crashed(cell, message, error)
        self._handled += MESSAGES_PER_TURN - left
        if mail:
            self._more.set()

    async def run(
        self,
        end_turn: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take up what one turn left over, turn by turn, until cancelled.

        Args:
            end_turn: ends a turn of the loop, which calls `run_ready`.
        """
        task_status.started()
        while True:
            await self._more.wait()
            self._more = trio.Event()
            await trio.lowlevel.checkpoint()
            end_turn()

    def statistics(self) -> PoolStatistics:
        """A snapshot."""
        return PoolStatistics(
            alive=self._alive,
            spawned=self._spawned,
            ended=self._ended,
            crashes=self._crashes,
            handled=self._handled,
            refused=self._refused,
            dropped=self._dropped,
            ready=len(self._mail),
            most_mail=self._most_mail,
        )

    def _drop(self, cell: Cell[Actor, Message, Effect], message: Message) -> None:
        """Mail of an actor that has ended."""
        self._dropped += 1
        self._handled -= 1
        if self._told_of_dropped is not None:
            self._told_of_dropped(cell, message)


class PoolFull(Exception):
    """As many actors as allowed are alive; the device gets 503 with Retry-After."""
