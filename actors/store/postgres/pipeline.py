"""A connection that is always wanted: what is asked goes out once a turn, and survives its loss.

Reads of a turn share a transaction; one that fails takes those after it along, so they are asked
once more, each alone. Every write is a transaction of its own. When the connection dies the outcome
of what was on its way is unknown: reads and writes are sent again over the next one until their
deadline, so every write must be one that may be done twice (`operations.py` says why each is).
"""

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from actors.store.database import DatabaseRefused
from actors.store.postgres.failures import AGAIN, unavailable
from actors.store.postgres.link import ConnectionLost, Link
from actors.store.postgres.requests import Request, Result
from actors.store.store import ConnectionStatistics, StoreUnavailable
from config.model import Store as Settings

SHARED: Final = 256  # reads in one transaction; more only adds to the time that the first one waits
FIRST_DELAY_SECONDS: Final = 0.05  # before the second attempt to connect, then twice as late each
LONGEST_DELAY_SECONDS: Final = 2.0
BLIP_SECONDS: Final = 1.0  # away longer than this: what cannot be served is refused at once
TICK_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 0.5  # for the server's own statement_timeout to speak first
END_SECONDS: Final = 2.0  # at the end of the process, for what was taken before

_log = structlog.get_logger("store")


class Pipeline:
    """Requests in, results out, over one connection at a time. For the Trio thread.

    Attributes:
        away_since: when the connection was lost, on the Trio clock; None while it is up.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[], Awaitable[Link]],
        settings: Settings,
        *,
        shared: bool,
        end_turn: Callable[[], None],
        crashed: Callable[[Exception], None] | None,
    ) -> None:
        """Describe it; `run` connects.

        Args:
            dial: opens a connection, or raises ConnectionLost or DatabaseRefused.
            shared: several requests may share a transaction.
            end_turn: called once after the answers that came together.
            crashed: told of callbacks that raise.
        """
        self.name = name
        self._dial = dial
        self._settings = settings
        self._shared = shared
        self._end_turn = end_turn
        self._crashed = crashed
        self._link: Link | None = None
        self._scope: trio.CancelScope | None = None
        self._queued: deque[Request] = deque()
        self._blocked = trio.Event()
        self._closed = True
        self._reason = "not connected yet"
        self._waiting = 0
        self._counts: Counter[str] = Counter()
        self._largest = 0
        self._longest_wait = 0.0
        self.crashes = 0
        self.away_since: float | None = 0.0

    @property
    def connected(self) -> bool:
        """Whether it is up."""
        return self._link is not None

    @property
    def connects(self) -> int:
        """How often it was up."""
        return self._counts["connects"]

    @property
    def waiting(self) -> int:
        """Requests not answered yet."""
        return self._waiting

    def ask(self, request: Request) -> None:
        """Take a request; `flush` sends it. What cannot be taken is answered at once."""
        if self._closed:
            return self._refuse(request, StoreUnavailable("closed"))
        if self._link is None:
            if self._served_instead(request):
                return None
            if self.away_since is not None and request.asked - self.away_since > BLIP_SECONDS:
                text = f"connection: {self._reason}"
                return self._refuse(request, StoreUnavailable("connection", text))
        if self._waiting >= self._settings.queue_bound:
            return self._refuse(request, StoreUnavailable("full-queue"))
        self._waiting += 1
        self._queued.append(request)
        return None

    def flush(self) -> None:
        """Send what was asked for since the last time."""
        link = self._link
        if link is None or not self._queued:
            return
        now = trio.current_time()
        try:
            while self._queued:
                together = self._together()
                self._counts["transactions"] += 1
                self._largest = max(self._largest, len(together))
                link.send(together, now)
            link.flush()
        except ConnectionLost as error:
            self._lose(link, str(error))
        if link.blocked:
            self._blocked.set()

    def statistics(self) -> ConnectionStatistics:
        """Counters of this moment."""
        counts = self._counts
        return ConnectionStatistics(
            self.name,
            self.connected,
            self._waiting,
            counts["connects"],
            counts["losses"],
            counts["transactions"],
            self._largest,
            counts["again"],
            counts["timeouts"],
            counts["refused"],
            self._longest_wait,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay connected until cancelled; reports ready after the first attempt, good or not.

        Raises:
            DatabaseRefused: before it reported ready: no attempt can ever succeed.
        """
        self.away_since = trio.current_time()
        self._closed = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_time)
                await self._stay_connected(task_status)
        finally:
            self._closed = True
            outstanding = self._link.outstanding() if self._link else []
            for request in (*outstanding, *self._queued):
                if not request.answered:
                    self._give(request, StoreUnavailable("closed"))
            self._queued.clear()
            self._link = None

    async def _stay_connected(self, task_status: trio.TaskStatus[None]) -> None:
        started = False
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                link = await self._dial()
            except (ConnectionLost, DatabaseRefused) as error:
                if isinstance(error, DatabaseRefused) and not started:
                    raise
                self._note_loss(str(error))
            else:
                delay = FIRST_DELAY_SECONDS
                if not started:
                    task_status.started()
                    started = True
                await self._use(link)
            if not started:
                task_status.started()
                started = True
            await trio.sleep(delay * (1 + random.random()))  # noqa: S311 - no secret
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _use(self, link: Link) -> None:
        """Serve over one connection until it is lost."""
        if self._counts["losses"]:
            _log.info("database reached again", connection=self.name)
        self._counts["connects"] += 1
        self._link = link
        self.away_since = None
        try:
            with trio.CancelScope() as self._scope:
                self.flush()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, link)
                    while self._link is link:
                        await trio.lowlevel.wait_readable(link.socket)
                        self._receive(link)
                    nursery.cancel_scope.cancel()
        finally:
            if self._link is link:  # not lost: the process ends
                await self._finish(link)
            link.close()

    async def _finish(self, link: Link) -> None:
        """The process ends: what was taken is done and answered."""
        with trio.move_on_after(END_SECONDS, shield=True):
            self._end_turn()  # what the turn had gathered
            while self._link is link and self._waiting:
                self.flush()
                if link.blocked:
                    await trio.lowlevel.wait_writable(link.socket)
                    link.flush()
                else:
                    await trio.lowlevel.wait_readable(link.socket)
                    self._receive(link)

    async def _write(self, link: Link) -> None:
        """Write the rest of what the socket did not take at once."""
        while True:
            await self._blocked.wait()
            self._blocked = trio.Event()
            while link.blocked and self._link is link:
                await trio.lowlevel.wait_writable(link.socket)
                try:
                    link.flush()
                except ConnectionLost as error:
                    self._lose(link, str(error))

    async def _keep_time(self) -> None:
        """Answers what waited too long, and gives up a server that says nothing."""
        while True:
            await trio.sleep(TICK_SECONDS)
            if not self._waiting:
                continue
            now = trio.current_time()
            link = self._link
            if link is not None:
                patience = self._settings.statement_seconds + GRACE_SECONDS
                since = link.waits_since
                if since is not None and now - since > patience:
                    self._lose(link, f"no answer for {patience:g} s")
            self._expire(now)

    def _expire(self, now: float) -> None:
        outstanding = self._link.outstanding() if self._link else []
        late = [one for one in (*outstanding, *self._queued) if one.deadline <= now]
        for request in late:
            if not request.answered:
                self._counts["timeouts"] += 1
                self._give(request, StoreUnavailable("timeout"))
        if late:
            self._queued = deque(one for one in self._queued if not one.answered)
            self._end_turn()

    def _together(self) -> list[Request]:
        """The requests of the next transaction."""
        first = self._queued.popleft()
        together = [first]
        if self._shared and not first.alone:
            while self._queued and len(together) < SHARED and not self._queued[0].alone:
                together.append(self._queued.popleft())
        return together

    def _receive(self, link: Link) -> None:
        now = trio.current_time()
        try:
            ended = link.receive(now)
        except ConnectionLost as error:
            self._lose(link, str(error))
            return
        for request in ended:
            if not request.answered:
                self._conclude(request, now)
        if ended:
            self._end_turn()
            self.flush()  # what is asked once more; also without a turn that does it

    def _conclude(self, request: Request, now: float) -> None:
        failure = request.failure
        if failure is not None:
            if failure.state in AGAIN and now < request.deadline:
                self._once_more(request)
            else:
                self._give(request, unavailable(*failure))
        elif request.aborted:
            self._once_more(request)
        else:
            self._give(request, request.results)

    def _once_more(self, request: Request) -> None:
        self._counts["again"] += 1
        request.again()
        request.alone = True
        self._queued.append(request)

    def _lose(self, link: Link, reason: str) -> None:
        """The connection is no use any more: what was on its way waits for the next one."""
        if self._link is not link:
            return
        self._link = None
        self._note_loss(reason)
        unknown = [one for one in link.outstanding() if not one.answered]
        for request in unknown:
            request.again()
            request.repeated = True
        self._counts["again"] += len(unknown)
        waiting = deque[Request]()
        for request in (*unknown, *self._queued):
            if self._served_instead(request):
                request.answered = True
                self._waiting -= 1
            else:
                waiting.append(request)
        self._queued = waiting
        if self._scope is not None:
            self._scope.cancel()
        self._end_turn()

    def _note_loss(self, reason: str) -> None:
        self._counts["losses"] += 1
        self._reason = reason
        if self.away_since is None:
            self.away_since = trio.current_time()
        _log.warning("database not reached", connection=self.name, reason=reason)

    def _served_instead(self, request: Request) -> bool:
        try:
            return request.instead is not None and request.instead()
        except Exception as bug:
            self._note(bug)
            return True

    def _refuse(self, request: Request, failure: StoreUnavailable) -> None:
        self._counts["refused"] += 1
        self._waiting += 1
        self._give(request, failure)

    def _give(self, request: Request, outcome: list[Result] | StoreUnavailable) -> None:
        request.answered = True
        self._waiting -= 1
        self._longest_wait = max(self._longest_wait, trio.current_time() - request.asked)
        try:
            request.finish(outcome)
        except Exception as bug:  # one answer that fails must not cost the others theirs
            self._note(bug)

    def _note(self, bug: Exception) -> None:
        self.crashes += 1
        if self._crashed is not None:
            self._crashed(bug)
