"""Pooled step-function actors: many, mostly idle, without a task of their own.

An actor is an object with `receive(message, now) -> effects`. It has identity, a mailbox, order and
its own failure domain, but no coroutine: while idle it is one small object, while mail waits it
stands on the shared ready queue. The pool steps ready actors at the end of each turn of the loop
and carries out their effects in order. A step that raises ends that actor alone.

Single-threaded by design: everything here runs in the Trio thread.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

Actor = TypeVar("Actor", bound="StepActor[Any, Any]")
Message = TypeVar("Message")
Effect = TypeVar("Effect")
MessageIn = TypeVar("MessageIn", contravariant=True)
EffectOut = TypeVar("EffectOut", covariant=True)

MESSAGES_PER_TURN: Final = 32  # of one actor, then the others get their turn
ACTORS_PER_TURN: Final = 512  # then the sockets get theirs


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
    """

    __slots__ = ("__weakref__", "_mail", "_queued", "actor", "alive")

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.alive = True
        self._mail: deque[Message] | None = None
        self._queued = False


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
    ready: int  # actors with mail that wait for their turn
    most_mail: int  # the longest mailbox seen


class ActorPool(Generic[Actor, Message, Effect]):
    """All step-function actors of one kind."""

    def __init__(
        self,
        interpret: Callable[[Cell[Actor, Message, Effect], Effect], None],
        crashed: Callable[[Cell[Actor, Message, Effect], Message, Exception], None],
        *,
        dropped: Callable[[Cell[Actor, Message, Effect], Message], None] | None = None,
        capacity: int,
        mailbox_bound: int,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        """Describe the pool.

        Args:
            interpret: carries out one effect; an exception in it counts as the actor's crash.
            crashed: answers whoever waits for an actor that crashed; must not raise.
            dropped: told of each message that waited for an actor when that ended; whoever sent it
                may wait for an answer. Must not raise.
            capacity: actors alive at the same time.
            mailbox_bound: messages waiting for one actor.
            clock: seconds, handed to every step.
        """
        self._interpret = interpret
        self._crashed = crashed
        self._told_of_dropped = dropped
        self._capacity = capacity
        self._mailbox_bound = mailbox_bound
        self._clock = clock
        self._ready: deque[Cell[Actor, Message, Effect]] = deque()
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
        mail = cell._mail
        if mail is None:
            mail = cell._mail = deque()
        elif len(mail) >= self._mailbox_bound:
            self._refused += 1
            return False
        mail.append(message)
        if not cell._queued:
            cell._queued = True
            self._ready.append(cell)
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
        ready = self._ready
        for _ in range(ACTORS_PER_TURN):
            if not ready:
                return
            self._step(ready.popleft())
        if ready:
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
            ready=len(self._ready),
            most_mail=self._most_mail,
        )

    def _step(self, cell: Cell[Actor, Message, Effect]) -> None:
        """Let one actor handle its mail; put it back when some is left."""
        mail = cell._mail
        cell._queued = False
        if mail is None:
            return
        if len(mail) > self._most_mail:
            self._most_mail = len(mail)
        now = self._clock()
        actor, interpret = cell.actor, self._interpret
        for _ in range(min(len(mail), MESSAGES_PER_TURN)):
            if not cell.alive:
                self._drop(cell, mail)
                break
            message = mail.popleft()
            self._handled += 1
            try:
                for effect in actor.receive(message, now):
                    interpret(cell, effect)
            except Exception as error:  # the shell: this actor ends, no other
                self._crashes += 1
                self.end(cell)
                self._crashed(cell, message, error)
        if mail and not cell.alive:
            self._drop(cell, mail)
        if mail:
            if not cell._queued:
                cell._queued = True
                self._ready.append(cell)
        else:
            cell._mail = None  # an idle actor keeps no deque

    def _drop(self, cell: Cell[Actor, Message, Effect], mail: deque[Message]) -> None:
        """The mail of an actor that has ended."""
        self._dropped += len(mail)
        while mail:
            message = mail.popleft()
            if self._told_of_dropped is not None:
                self._told_of_dropped(cell, message)


class PoolFull(Exception):
    """As many actors as allowed are alive; the device gets 503 with Retry-After."""
