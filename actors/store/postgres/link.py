"""One open connection to PostgreSQL in pipeline mode: requests out, results in, no waiting.

Requests that share a Sync share a transaction: one commit, and an error in one aborts those after
it (libpq, "Pipeline Mode"). What is done about that is decided elsewhere (`pipeline.py`).
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import OperationalError
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from actors.store.postgres.failures import RECONNECT
from actors.store.postgres.requests import SET_TENANT, Failure, Request, Result
from actors.store.postgres.statements import DECODERS, Statement

_OK: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_NO_ROWS: Final[list[tuple[Any, ...]]] = []


class ConnectionLost(Exception):
    """Nothing more comes of this connection; the text says why."""


class _Sync:
    """The end of a transaction, and whose it was."""

    __slots__ = ("failure", "requests", "sent")

    def __init__(self, requests: Sequence[Request], sent: float) -> None:
        self.requests = requests
        self.sent = sent
        self.failure: Failure | None = None  # the commit itself failed


class Link:
    """Sends requests and takes their results, first in, first out.

    Attributes:
        socket: to wait for.
        blocked: the socket took not everything yet: `flush` again when it is writable.
        heard_at: when something came last, or was sent to a server that owed nothing.
    """

    def __init__(self, connection: PGconn, statements: Sequence[Statement], now: float) -> None:
        """Take over a connection in blocking mode that nobody uses; `prepared` comes next."""
        connection.nonblocking = 1
        connection.enter_pipeline_mode()
        self._connection = connection
        # libpq closes its socket when the connection breaks, and the number may be somebody else's
        # a moment later: tasks wait for a duplicate that only `close` gives back.
        self.socket = os.dup(connection.socket)
        self._statements = statements
        self._names = {one: b"s%d" % at for at, one in enumerate(statements)}
        self._widths: dict[Statement, tuple[Callable[[bytes], Any] | None, ...]] = {}
        self._expected: deque[tuple[Request, Statement] | _Sync] = deque()
        self._syncs: deque[_Sync] = deque()
        self.blocked = False
        self.heard_at = now

    @property
    def waits_since(self) -> float | None:
        """Since when the server owes something and said nothing; None when it owes nothing."""
        return max(self.heard_at, self._syncs[0].sent) if self._syncs else None

    def prepare(self, now: float) -> Request:
        """Send the preparation of all statements; its request comes back from `receive`."""
        everything = Request("", (), lambda _: None, asked=now, deadline=now)
        for statement, name in self._names.items():
            self._connection.send_prepare(name, statement.numbered, statement.type_numbers)
            self._expected.append((everything, statement))
        self._end(_Sync((everything,), now))
        return everything

    def send(self, requests: Sequence[Request], now: float) -> None:
        """Put one transaction into the buffer; `flush` sends it.

        Raises:
            ConnectionLost: nothing of it can have been done, but it counts as sent.
        """
        sync = _Sync(requests, now)
        if not self._syncs:
            self.heard_at = now
        tenant: str | None = None
        try:
            for request in requests:
                if request.tenant != tenant:
                    tenant = request.tenant
                    self._query(request, SET_TENANT, [tenant.encode()])
                for statement, values in request.steps:
                    self._query(request, statement, values)
        except OperationalError as error:
            self._syncs.append(sync)
            raise ConnectionLost(_text(error)) from None
        self._end(sync)

    def flush(self) -> None:
        """Write what the socket takes.

        Raises:
            ConnectionLost: see there.
        """
        try:
            self.blocked = self._connection.flush() == 1
        except OperationalError as error:
            raise ConnectionLost(_text(error)) from None

    def receive(self, now: float) -> list[Request]:
        """Read what has come.

        Returns:
            Requests whose transaction has ended: each with `failure`, or `aborted` with the
            transaction of another one, or with a result for each step.

        Raises:
            ConnectionLost: `outstanding` are the requests whose outcome is unknown.
        """
        connection = self._connection
        self.heard_at = now
        ended: list[Request] = []
        try:
            connection.consume_input()
            while self._syncs and not connection.is_busy():
                result = connection.get_result()
                if result is not None:  # None: the end of one statement's results
                    self._take(result, ended)
        except OperationalError as error:
            if ended:
                return ended  # they have ended; the next call says it again
            raise ConnectionLost(_text(error)) from None
        return ended

    def outstanding(self) -> list[Request]:
        """What was sent and did not come back, in order."""
        return [request for sync in self._syncs for request in sync.requests]

    def close(self) -> None:
        """Let go of the socket; nobody may wait for it any more."""
        self._connection.finish()
        if self.socket >= 0:
            os.close(self.socket)
            self.socket = -1

    def _query(self, request: Request, statement: Statement, values: Sequence[Any]) -> None:
        self._connection.send_query_prepared(
            self._names[statement], values, _BINARY[: len(values)], 1
        )
        self._expected.append((request, statement))

    def _end(self, sync: _Sync) -> None:
        self._syncs.append(sync)
        self._expected.append(sync)
        try:
            self._connection.pipeline_sync()
        except OperationalError as error:
            raise ConnectionLost(_text(error)) from None

    def _take(self, result: PGresult, ended: list[Request]) -> None:
        status = result.status
        expected = self._expected[0]
        if status == ExecStatus.PIPELINE_SYNC:
            self._expected.popleft()
            ended.extend(self._ended(self._syncs.popleft()))
        elif isinstance(expected, _Sync):
            expected.failure = self._failure(result)
        else:
            self._expected.popleft()
            request, statement = expected
            if status in _OK:
                if statement is not SET_TENANT:
                    rows = self._rows(result, statement) if result.ntuples else _NO_ROWS
                    request.results.append(Result(rows, result.command_tuples or 0))
            elif status == ExecStatus.PIPELINE_ABORTED:
                request.aborted = True
            else:
                request.failure = self._failure(result)

    def _ended(self, sync: _Sync) -> Sequence[Request]:
        if sync.failure is not None:
            for request in sync.requests:
                request.failure = request.failure or sync.failure
        return sync.requests

    def _failure(self, result: PGresult) -> Failure:
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        text = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        if state in RECONNECT or not state:  # without one: libpq's own
            raise ConnectionLost(text or result.get_error_message())
        return Failure(state, text)

    def _rows(self, result: PGresult, statement: Statement) -> list[tuple[Any, ...]]:
        decoders = self._widths.get(statement)
        if decoders is None:
            decoders = tuple(_decoder(result.ftype(at)) for at in range(result.nfields))
            self._widths[statement] = decoders
        value = result.get_value
        return [
            tuple(
                [
                    octets if decode is None or octets is None else decode(octets)
                    for decode, octets in zip(
                        decoders, [value(row, at) for at in range(len(decoders))], strict=True
                    )
                ]
            )
            for row in range(result.ntuples)
        ]


_BINARY: Final = [1] * 65_535


def _decoder(number: int) -> Callable[[bytes], Any] | None:
    decode = DECODERS[number]
    return None if decode is bytes else decode


def _text(error: Exception) -> str:
    """One line of libpq's."""
    return str(error).strip().splitlines()[0]
