"""What is asked of the database: statements that are carried out together, and who waits."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from actors.store.postgres.statements import Encoded, Statement
from actors.store.store import StoreUnavailable

# The tenant of what follows in the same transaction, for the row-level security of every table.
SET_TENANT: Final = Statement("SELECT set_config('app.tenant', ?, true)", "t")


class Result(NamedTuple):
    """What one statement gave."""

    rows: list[tuple[Any, ...]]
    affected: int  # rows that were read or changed


class Failure(NamedTuple):
    """What the database said against it."""

    state: str  # SQLSTATE
    text: str


class Request:
    """One logical read or write: all of its statements, or none.

    Attributes:
        tenant: whose rows the statements see.
        steps: statements with their values.
        finish: called exactly once with a result for each step, or with a failure.
        asked, deadline: seconds of the Trio clock; after the deadline it is answered `timeout`.
        instead: tried while the database is away; whether it gave the answer.
        alone: shares its transaction with no other, because it was in one that failed.
        repeated: it was on its way when a connection was lost; it may have been done.
    """

    __slots__ = (
        "aborted",
        "alone",
        "answered",
        "asked",
        "deadline",
        "failure",
        "finish",
        "instead",
        "repeated",
        "results",
        "steps",
        "tenant",
    )

    def __init__(
        self,
        tenant: str,
        steps: Sequence[tuple[Statement, list[Encoded]]],
        finish: Callable[[list[Result] | StoreUnavailable], None],
        *,
        asked: float,
        deadline: float,
        instead: Callable[[], bool] | None = None,
        alone: bool = False,
    ) -> None:
        self.tenant = tenant
        self.steps = steps
        self.finish = finish
        self.asked = asked
        self.deadline = deadline
        self.instead = instead
        self.alone = alone
        self.repeated = False
        self.answered = False
        self.results: list[Result] = []
        self.failure: Failure | None = None
        self.aborted = False

    def again(self) -> None:
        """Forget what came of it: it is sent once more."""
        self.results = []
        self.failure = None
        self.aborted = False
