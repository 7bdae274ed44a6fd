"""The store in PostgreSQL: for several nodes on one database, and for what must outlive a machine.

Three connections: reads never wait for the disk that writes wait for, and changes are heard on the
third; transactions of orders have their own (`transacting.py`). What was asked for in a turn of the
loop goes out in one write at its end; when results come all of them are delivered, then the turn
ends once. While the database is away devices that were seen lately are served from memory, and
nothing new is promised.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
import trio

from actors.backends.bss import Plan, Subscriber, SubscriberReply
from actors.store import answers, push_tokens
from actors.store.answers import Answers, Failed, Succeeded
from actors.store.plans import PlanCache
from actors.store.postgres import operations
from actors.store.postgres.cache import Cache
from actors.store.postgres.dialing import Dialing
from actors.store.postgres.listener import Listener
from actors.store.postgres.pipeline import Pipeline
from actors.store.postgres.requests import Request, Result
from actors.store.postgres.statements import Encoded, NotText, Statement
from actors.store.postgres.tokens import TokenWriter
from actors.store.postgres.transacting import Transacting
from actors.store.records import (
    HISTORY_ROWS,
    Identity,
    NewToken,
    NotificationAction,
    Registration,
    RegistrationStatus,
    history_of,
)
from actors.store.sql import Database
from actors.store.store import (
    CacheStatistics,
    CountReply,
    HistoryReply,
    RegistrationReply,
    SavedReply,
    StoreStatistics,
    StoreUnavailable,
    TokenReply,
)
from actors.store.subscriber_rows import subscriber_of
from actors.store.token_rows import split_hash, token_of
from actors.store.writes import registered_values, registration_keys
from config.model import Store as Settings

T = TypeVar("T")
Outcome = list[Result] | StoreUnavailable


class PostgresStore:
    """`actors.store.store.Store` on a server. All methods are for the Trio thread.

    Attributes:
        listener: hears of changes that others make.
    """

    def __init__(
        self,
        settings: Settings,
        end_turn: Callable[[], None],
        *,
        at_turn_end: Callable[[Callable[[], None]], None] | None = None,
        crashed: Callable[[Exception], None] | None = None,
        failed: Failed | None = None,
        succeeded: Succeeded | None = None,
    ) -> None:
        """Describe the store; `run` connects.

        Args:
            settings: [store] of the configuration.
            end_turn: called once after the answers that came together.
            at_turn_end: registers a step that ends every turn (`Turn.flusher`): what was asked for
                in the turn is sent then. Without it everything is sent at once.
            crashed: told of bugs in replies; must not raise.
            failed: told of every StoreUnavailable (`Answers`).
            succeeded: told when an operation that had failed works again.
        """
        self._settings = settings
        self._end_turn = end_turn
        dialing = Dialing(settings)
        self._reader = Pipeline(
            "reads",
            partial(dialing.dial, operations.READS),
            settings,
            shared=True,
            end_turn=self._turn_ended,
            crashed=crashed,
        )
        self._writer = Pipeline(
            "writes",
            partial(dialing.dial, operations.WRITES),
            settings,
            shared=False,
            end_turn=self._turn_ended,
            crashed=crashed,
        )
        self.listener = Listener(settings.postgres, settings, self._changed)
        self._tokens = self._cache()
        self._subscribers: Cache[tuple[str, str], tuple[Subscriber, Plan]] = self._cache()
        self._plans = PlanCache()
        self._transacting = Transacting(settings, self._turn_ended, crashed)
        self._token_writer = TokenWriter(self._writer, settings, self._tokens.forget)
        self._answers = Answers(failed, succeeded)
        self._gathers = at_turn_end is not None
        if at_turn_end is not None:
            at_turn_end(self._flush)
        self._open = False
        self._reads = self._failed_reads = self._hits = self._stale_hits = 0
        self._received = self._refused = self._committed = self._failed = 0

    def _cache(self) -> Cache[Any, Any]:
        settings = self._settings
        return Cache(
            settings.cache_entries,
            cache_seconds=settings.cache_seconds,
            stale_seconds=settings.stale_seconds,
            heard_since=lambda: self.listener.heard_since(),
        )

    @property
    def ready(self) -> bool:
        """Whether devices can be served: from the database, or for a while from memory."""
        if not self._open:
            return False
        since = [one.away_since for one in (self._reader, self._writer)]
        away = [trio.current_time() - one for one in since if one is not None]
        return not away or (self._reader.connects > 0 and max(away) < self._settings.stale_seconds)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay connected until cancelled, then finish the writes that were taken.

        Reports ready also when the database is away; it is used as soon as it can be reached.

        Raises:
            DatabaseRefused: the database can be reached, but not be used.
        """
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._reader.run)
                await nursery.start(self._writer.run)
                await nursery.start(self._transacting.run)
                nursery.start_soon(self.listener.run)
                self._open = True
                task_status.started()
        finally:
            self._open = False
            self._token_writer.refuse_the_rest()

    def _turn_ended(self) -> None:
        self._end_turn()
        self._send_now()  # what waited for a transaction to end, if no turn sends it

    def _flush(self) -> None:
        self._token_writer.flush()
        self._writer.flush()
        self._reader.flush()

    # --- reads ------------------------------------------------------------------------------

    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """The subscriber and its plan, None for a stranger, or StoreUnavailable."""
        key = (tenant, imsi)
        found = self._subscribers.current(key)
        if found is not None:
            self._hits += 1
            self._answers.give(answers.FIND_SUBSCRIBER, reply, found)
            return
        taken = partial(
            self._subscriber_read, key, reply, trio.current_time(), self._subscribers.changes
        )
        instead = partial(self._stale_subscriber, key, reply)
        self._read(tenant, operations.FIND_SUBSCRIBER, key, taken, instead)

    def _subscriber_read(
        self, key: tuple[str, str], reply: SubscriberReply, asked: float, changes: int, out: Outcome
    ) -> None:
        answer: object = out
        if not isinstance(out, StoreUnavailable):
            answer = self._subscriber(out[0].rows[0]) if out[0].rows else None
            if isinstance(answer, tuple):
                self._subscribers.put(key, answer, asked, changes)
        self._answer_read(answers.FIND_SUBSCRIBER, reply, answer)

    def _subscriber(self, row: tuple[Any, ...]) -> tuple[Subscriber, Plan] | StoreUnavailable:
        try:
            subscriber = subscriber_of(row[:-2])
            return subscriber, self._plans.of(subscriber, row[-2], row[-1])
        except (ValueError, msgspec.DecodeError) as error:
            # Not by anything of ours: somebody wrote into the database by hand.
            return StoreUnavailable("bad-row", f"a row of subscribers or plans: {error}")

    def _stale_subscriber(self, key: tuple[str, str], reply: SubscriberReply) -> bool:
        return self._stale(answers.FIND_SUBSCRIBER, reply, self._subscribers.stale(key))

    def find_token(self, tenant: str, token_hash: bytes, reply: TokenReply) -> None:
        """The token of this hash if it is of this tenant, else None, or StoreUnavailable."""
        owner, hashed = split_hash(token_hash)
        row = self._tokens.current(owner)
        # Another hash than the row has may be of a newer token.
        token = token_of(row, hashed) if row is not None else None
        if token is not None and token.tenant == tenant:
            self._hits += 1
            self._answers.give(answers.FIND_TOKEN, reply, token)
            return
        changes = self._tokens.changes
        taken = partial(self._token_read, owner, hashed, reply, trio.current_time(), changes)
        instead = partial(self._stale_token, tenant, owner, hashed, reply)
        self._read(tenant, operations.FIND_TOKEN, (owner, tenant), taken, instead)

    def _token_read(
        self, owner: int, hashed: bytes, reply: TokenReply, asked: float, changes: int, out: Outcome
    ) -> None:
        answer: object = out
        if not isinstance(out, StoreUnavailable):
            answer = None
            for row in out[0].rows:
                self._tokens.put(owner, row, asked, changes)
                answer = token_of(row, hashed)
        self._answer_read(answers.FIND_TOKEN, reply, answer)

    def _stale_token(self, tenant: str, owner: int, hashed: bytes, reply: TokenReply) -> bool:
        row = self._tokens.stale(owner)
        token = token_of(row, hashed) if row is not None else None
        mine = token is not None and token.tenant == tenant
        return self._stale(answers.FIND_TOKEN, reply, token if mine else None)

    def identity_changes(
        self, tenant: str, kind: Identity, subject: str, reply: HistoryReply
    ) -> None:
        """The newest changes first, at most 100."""

        def taken(out: Outcome) -> None:
            answer = out if isinstance(out, StoreUnavailable) else history_of(out[0].rows)
            self._answer_read(answers.IDENTITY_CHANGES, reply, answer)

        values = (tenant, int(kind), subject, HISTORY_ROWS)
        self._read(tenant, operations.HISTORY, values, taken)

    # --- writes -----------------------------------------------------------------------------

    def save_token(self, token: NewToken, reply: SavedReply) -> None:
        """Keep a token, its device and the identity history; None once committed."""
        self._received += 1
        if not self._open:
            self._answer_write(answers.SAVE_TOKEN, reply, StoreUnavailable("closed"))
            return
        self._token_writer.save(token, partial(self._answer_write, answers.SAVE_TOKEN, reply))
        self._send_now()

    def register_notification(self, registration: Registration, reply: RegistrationReply) -> None:
        """Register, change or end notifications. What is registered already costs no write."""
        if not push_tokens.is_valid(registration.action, registration.push_token):
            reply(RegistrationStatus.INVALID_TOKEN)
            return
        if registration.action == NotificationAction.DISABLE:
            ended = [(operations.END_REGISTRATION, key) for key in registration_keys(registration)]
            status = RegistrationStatus.SUCCESS
            self._write(registration.tenant, answers.REGISTER, ended, reply, lambda _: status)
            return

        def known(out: Outcome) -> None:
            if isinstance(out, StoreUnavailable):
                self._answer_read(answers.REGISTER, reply, out)
            elif {app for (app,) in out[0].rows}.issuperset(registration.apps):
                self._answers.give(answers.REGISTER, reply, RegistrationStatus.DUPLICATE)
            else:
                self._register(registration, reply)

        values = registered_values(registration)
        self._read(registration.tenant, operations.REGISTERED_APPS, values, known)

    def _register(self, wish: Registration, reply: RegistrationReply) -> None:
        rest = (wish.action, wish.push_token, wish.at)
        rows = [(operations.REGISTER, (*key, *rest)) for key in registration_keys(wish)]
        self._write(wish.tenant, answers.REGISTER, rows, reply, _registration_status)

    def revoke_tokens(self, tenant: str, imsi: str, at: int, reply: CountReply) -> None:
        """Revoke all tokens of a subscriber, also those being issued; how many there were."""
        steps: list[tuple[Statement, Sequence[object]]] = [
            (operations.BUMP_GENERATION, (tenant, imsi)),
            *((one, (at, tenant, imsi)) for one in operations.REVOKE_TOKENS),
        ]

        def count(results: list[Result]) -> int:
            self._subscribers.forget((tenant, imsi))
            return self._revoked(results[1:])

        self._write(
            tenant, answers.REVOKE_TOKENS, steps, reply, lambda request: count(request.results)
        )

    def revoke_session(
        self, tenant: str, diameter_session_id: bytes, at: int, reply: CountReply
    ) -> None:
        """Revoke the tokens that a Diameter session led to; how many there were."""
        steps = [(one, (at, tenant, diameter_session_id)) for one in operations.END_SESSION]
        self._write(
            tenant,
            answers.REVOKE_SESSION,
            steps,
            reply,
            lambda request: self._revoked(request.results),
        )

    def _revoked(self, results: list[Result]) -> int:
        """This node forgets them at once; the others are told by the database."""
        for result in results:
            for (owner,) in result.rows:
                self._tokens.forget(owner)
        return sum(result.affected for result in results)

    def bump_generation(self, tenant: str, imsi: str, reply: CountReply) -> None:
        """Void every token of a subscriber; the new generation, 0 for a stranger."""

        def generation(request: Request) -> int:
            self._subscribers.forget((tenant, imsi))
            rows = request.results[0].rows
            return int(rows[0][0]) if rows else 0

        steps = [(operations.BUMP_GENERATION, (tenant, imsi))]
        self._write(tenant, answers.BUMP_GENERATION, steps, reply, generation)

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """Carry out an operation in a transaction, in a thread; see `Store`."""
        self._received += 1
        self._transacting.transact(
            tenant, operation, partial(self._answer_write, answers.TRANSACT, reply)
        )

    def statistics(self) -> StoreStatistics:
        """Counters of this moment."""
        connections = (self._reader.statistics(), self._writer.statistics())
        reads, written = connections
        gathered = len(self._token_writer.gathered)
        return StoreStatistics(
            open=self.ready,
            reads=self._reads,
            failed_reads=self._failed_reads,
            received=self._received,
            committed=self._committed,
            failed=self._failed - self._refused,
            refused=self._refused,
            waiting=written.waiting + gathered + self._transacting.waiting,
            batches=written.transactions,
            largest_batch=reads.largest_transaction,
            longest_wait_seconds=written.longest_wait_seconds,
            crashes=self._reader.crashes + self._writer.crashes + self._transacting.crashes,
            failures=dict(self._answers.failures),
            connections=connections,
            cache=CacheStatistics(
                active_tokens=len(self._tokens),
                active_subscribers=len(self._subscribers),
                hits=self._hits,
                stale_hits=self._stale_hits,
                invalidations=self._tokens.invalidations + self._subscribers.invalidations,
                reached_now=self._reader.connected and self._writer.connected,
                hearing_now=self.listener.hearing,
            ),
        )

    # --- inside -----------------------------------------------------------------------------

    def _read(
        self,
        tenant: str,
        statement: Statement,
        values: Sequence[object],
        finish: Callable[[Outcome], None],
        instead: Callable[[], bool] | None = None,
    ) -> None:
        self._reads += 1
        try:
            encoded = statement.encode(values)
        except NotText:
            finish([Result([], 0)])  # it is in no database
            return
        self._reader.ask(self._request(tenant, [(statement, encoded)], finish, instead))
        self._send_now()

    def _write(
        self,
        tenant: str,
        operation: str,
        steps: Sequence[tuple[Statement, Sequence[object]]],
        reply: Callable[[Any], None],
        answer: Callable[[Request], object],
    ) -> None:
        """One transaction; `answer` makes the reply from its results."""
        self._received += 1
        try:
            encoded = [(statement, statement.encode(values)) for statement, values in steps]
        except NotText:
            failure = StoreUnavailable("refused", "a value is no text")
            self._answer_write(operation, reply, failure)
            return
        request = self._request(tenant, encoded, lambda _: None)

        def finish(out: Outcome) -> None:
            given = out if isinstance(out, StoreUnavailable) else answer(request)
            self._answer_write(operation, reply, given)

        request.finish = finish
        self._writer.ask(request)
        self._send_now()

    def _request(
        self,
        tenant: str,
        steps: Sequence[tuple[Statement, list[Encoded]]],
        finish: Callable[[Outcome], None],
        instead: Callable[[], bool] | None = None,
    ) -> Request:
        now = trio.current_time()
        deadline = now + self._settings.answer_seconds
        return Request(tenant, steps, finish, asked=now, deadline=deadline, instead=instead)

    def _send_now(self) -> None:
        if not self._gathers:
            self._flush()

    def _stale(self, operation: str, reply: Callable[[Any], None], found: object) -> bool:
        if found is None:
            return False
        self._stale_hits += 1
        self._answers.give(operation, reply, found)
        return True

    def _answer_read(self, operation: str, reply: Callable[[Any], None], answer: object) -> None:
        self._failed_reads += isinstance(answer, StoreUnavailable)
        self._answers.give(operation, reply, answer)

    def _answer_write(self, operation: str, reply: Callable[[Any], None], answer: object) -> None:
        if isinstance(answer, StoreUnavailable):
            self._failed += 1
            self._refused += answer.reason in ("closed", "full-queue")
        else:
            self._committed += 1
        self._answers.give(operation, reply, answer)

    def _changed(self, text: str) -> None:
        """A notification: see the triggers of the first migration."""
        kind, _, what = text.partition(" ")
        tenant, _, imsi = what.partition(" ")
        if kind == "t" and what.isdigit():
            self._tokens.forget(int(what))
        elif kind == "s":
            self._subscribers.forget((tenant, imsi))
        elif kind == "a":
            self._subscribers.forget_where(lambda key: key[0] == tenant)


def _registration_status(request: Request) -> RegistrationStatus:
    # Done again after a connection was lost: that it is there already may be our own doing.
    if request.repeated or any(result.affected for result in request.results):
        return RegistrationStatus.SUCCESS
    return RegistrationStatus.DUPLICATE
