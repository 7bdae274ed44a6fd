"""New tokens on their way to PostgreSQL: many in one transaction, and each alone when one fails.

A commit waits for the server's disk, whatever is in it. While `BATCHES` transactions are on their
way new tokens gather, so that under load they share commits; without load nobody waits.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import trio

from actors.store.devices import device_steps
from actors.store.postgres.operations import (
    DEVICE,
    FIND_TOKEN,
    PUT_TOKENS,
    SIZES,
    STRETCH_END,
    SWEEP,
    WHICH_ARE_SPECIAL,
)
from actors.store.postgres.pipeline import Pipeline
from actors.store.postgres.requests import Request, Result
from actors.store.postgres.statements import Encoded, NotText, Statement
from actors.store.records import NewToken
from actors.store.store import StoreUnavailable, TokenSuperseded
from actors.store.token_rows import SAME_KEY, split_hash, token_of, token_values
from actors.store.writes import asked_values
from config.model import Store as Settings

BATCHES: Final = 2  # on their way at the same time
TOGETHER: Final = 256  # tokens in one transaction
SUPERSEDED: Final = "the subscriber's tokens were revoked meanwhile"

Saved = StoreUnavailable | TokenSuperseded | None


class _Wish:
    """A token, and who waits for it."""

    __slots__ = ("asked", "deadline", "owner", "reply", "token")

    def __init__(
        self, token: NewToken, reply: Callable[[Saved], None], asked: float, deadline: float
    ) -> None:
        self.token = token
        self.reply = reply
        self.asked = asked
        self.deadline = deadline
        self.owner = split_hash(token.token_hash)[0]


class TokenWriter:
    """Keeps tokens, their devices and the history, and sweeps expired ones away.

    Attributes:
        gathered: tokens that were not sent yet.
    """

    def __init__(
        self, pipeline: Pipeline, settings: Settings, saved: Callable[[int], None]
    ) -> None:
        """Begin with nothing.

        Args:
            saved: told of the row that a token was put into, before whoever asked.
        """
        self._pipeline = pipeline
        self._settings = settings
        self._saved = saved
        self._in_flight = 0
        self._sweeps: dict[str, tuple[str, int]] = {}  # tenant: after which IMSI, when last
        self.gathered: list[_Wish] = []

    def save(self, token: NewToken, reply: Callable[[Saved], None]) -> None:
        """Take a token; `flush` sends it."""
        if len(self.gathered) >= self._settings.queue_bound:
            reply(StoreUnavailable("full-queue"))
            return
        now = trio.current_time()
        wish = _Wish(token, reply, now, now + self._settings.answer_seconds)
        self.gathered.append(wish)

    def flush(self) -> None:
        """Ask the pipeline for what gathered."""
        while self.gathered and self._in_flight < BATCHES:
            batch = self.gathered[:TOGETHER]
            del self.gathered[:TOGETHER]
            tenants: dict[str, list[_Wish]] = {}
            for wish in batch:
                tenants.setdefault(wish.token.tenant, []).append(wish)
            for tenant, wishes in tenants.items():
                self._put(tenant, wishes)
                self._sweep(tenant, wishes[-1].token.issued)

    def refuse_the_rest(self) -> None:
        """The store is closed."""
        rest, self.gathered = self.gathered, []
        for wish in rest:
            wish.reply(StoreUnavailable("closed"))

    def _put(self, tenant: str, wishes: list[_Wish]) -> None:
        chunks = list(_chunks(wishes))
        steps: list[tuple[Statement, list[Encoded]]] = []
        try:
            for chunk in chunks:
                tokens = [wish.token for wish in chunk]
                special, put = WHICH_ARE_SPECIAL[len(chunk)], PUT_TOKENS[len(chunk)]
                steps.append((special, special.encode(asked_values(tokens))))
                steps.append((put, put.encode(token_values(tokens))))
        except NotText:
            self._alone(tenant, wishes, StoreUnavailable("refused", "a value is no text"))
            return
        self._in_flight += 1
        self._ask(tenant, steps, partial(self._done, tenant, chunks), wishes[0])

    def _alone(self, tenant: str, wishes: list[_Wish], failure: StoreUnavailable) -> None:
        """One of them is to blame, and only that one shall fail."""
        if len(wishes) == 1:
            wishes[0].reply(failure)
            return
        for wish in wishes:
            self._put(tenant, [wish])

    def _done(
        self, tenant: str, chunks: list[list[_Wish]], outcome: list[Result] | StoreUnavailable
    ) -> None:
        self._in_flight -= 1
        wishes = [wish for chunk in chunks for wish in chunk]
        if isinstance(outcome, StoreUnavailable):
            if outcome.reason in ("refused", "other"):
                self._alone(tenant, wishes, outcome)
            else:
                for wish in wishes:
                    wish.reply(outcome)
            return
        for chunk, special, put in zip(chunks, outcome[::2], outcome[1::2], strict=True):
            self._conclude(chunk, dict(special.rows), put.affected)

    def _conclude(self, chunk: list[_Wish], special: dict[int, bool], put: int) -> None:
        """What became of the tokens of one statement.

        Args:
            special: those that need more than to be kept; whether they are superseded.
            put: how many were put.
        """
        all_put = put == len(chunk) - sum(special.values())
        news = {chunk[at].token.imsi for at in special}
        for at, wish in enumerate(chunk):
            self._saved(wish.owner)
            if special.get(at):
                wish.reply(TokenSuperseded(SUPERSEDED))
            elif not all_put:
                self._make_sure(wish)
            elif wish.token.imsi in news:
                self._see_device(wish)
            else:
                wish.reply(None)

    def _make_sure(self, wish: _Wish) -> None:
        """A row was left alone: it is somebody else's, or it has the token since the last try."""
        owner, hashed = split_hash(wish.token.token_hash)
        values = FIND_TOKEN.encode((owner, wish.token.tenant))

        def found(outcome: list[Result] | StoreUnavailable) -> None:
            if isinstance(outcome, StoreUnavailable):
                wish.reply(outcome)
            elif any(token_of(row, hashed) is not None for row in outcome[0].rows):
                self._see_device(wish)
            else:
                wish.reply(StoreUnavailable("refused", SAME_KEY))

        self._ask(wish.token.tenant, [(FIND_TOKEN, values)], found, wish)

    def _see_device(self, wish: _Wish) -> None:
        steps = [
            (DEVICE[sql], DEVICE[sql].encode(values)) for sql, values in device_steps(wish.token)
        ]

        def seen(outcome: list[Result] | StoreUnavailable) -> None:
            wish.reply(outcome if isinstance(outcome, StoreUnavailable) else None)

        self._ask(wish.token.tenant, steps, seen, wish)

    def _sweep(self, tenant: str, now: int) -> None:
        """Remove expired tokens of a stretch of subscribers, at most once a second."""
        after, swept_at = self._sweeps.get(tenant, ("", 0))
        if now == swept_at:
            return
        self._sweeps[tenant] = (after, now)
        asked = trio.current_time()
        deadline = asked + self._settings.answer_seconds

        def found(outcome: list[Result] | StoreUnavailable) -> None:
            last = None if isinstance(outcome, StoreUnavailable) else outcome[0].rows[0][0]
            self._sweeps[tenant] = (last or "", now)  # at the end: from the beginning again
            if last is not None:
                values = SWEEP.encode((tenant, after, last, now, now))
                self._pipeline.ask(
                    Request(
                        tenant, [(SWEEP, values)], lambda _: None, asked=asked, deadline=deadline
                    )
                )

        values = STRETCH_END.encode((tenant, after))
        self._pipeline.ask(
            Request(tenant, [(STRETCH_END, values)], found, asked=asked, deadline=deadline)
        )

    def _ask(
        self,
        tenant: str,
        steps: Sequence[tuple[Statement, list[Encoded]]],
        finish: Callable[[list[Result] | StoreUnavailable], None],
        first: _Wish,
    ) -> None:
        self._pipeline.ask(
            Request(tenant, steps, finish, asked=first.asked, deadline=first.deadline)
        )


def _chunks(wishes: Sequence[_Wish]) -> Iterator[list[_Wish]]:
    """Pieces of the sizes that are prepared; no owner twice in one.

    PostgreSQL changes no row twice in one statement. The rows of one statement are in the order of
    their keys: two nodes that change the same ones then wait for each other, and do not deadlock.
    """
    while wishes:
        owners = dict.fromkeys(wish.owner for wish in wishes[: SIZES[0]])
        run = 0
        for wish in wishes[: SIZES[0]]:
            if wish.owner not in owners:
                break
            del owners[wish.owner]
            run += 1
        size = next(size for size in SIZES if size <= run)
        yield sorted(wishes[:size], key=lambda wish: wish.owner)
        wishes = wishes[size:]
