"""Durable transactions for those who can wait: orders, and the embedded BSS of orders.

An operation is a function of a `Database`; it runs in the database thread, in a transaction that is
not its own and that is on disk before the answer (SQLite: synchronous=FULL, with group commit). It
may be called again after a rollback, so it has no effects besides.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from actors.store.sql import Database
from actors.store.store import StoreUnavailable

T = TypeVar("T")


class Transactions(Protocol):
    """What the store offers for them."""

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """Carry out an operation on the rows of one tenant; `reply` is called once, in Trio."""
        ...


async def transacted(
    transactions: Transactions, tenant: str, operation: Callable[[Database], T]
) -> T:
    """The same, awaited. A transaction that was begun is not abandoned by a cancellation.

    Raises:
        StoreUnavailable: nothing was changed, or nobody knows.
    """
    answers: list[T | StoreUnavailable] = []
    answered = trio.Event()

    def reply(answer: T | StoreUnavailable) -> None:
        answers.append(answer)
        answered.set()

    transactions.transact(tenant, operation, reply)
    with trio.CancelScope(shield=True):
        await answered.wait()
    answer = answers[0]
    if isinstance(answer, StoreUnavailable):
        raise answer
    return answer
