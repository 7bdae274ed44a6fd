"""A whole orders actor without sockets: a database file, an SM-DP+ with books, a BSS with faults.

`Points` counts everything that a process can die before or after: each commit, each call to the
SM-DP+, each change asked of the BSS. At the chosen one everything stops, as `kill -9` would.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import trio

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.backends.bss_lines import LineAway, LineChange, LineOutcome, LinePending, LineRefused
from actors.backends.smdp_plus import (
    Call,
    Capabilities,
    Cause,
    Disposition,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    ProfileEvent,
    ProfileStatus,
    Refused,
    SmdpNotification,
)
from actors.backends.smdp_plus_answers import HttpAnswer, interpret
from actors.backends.smdp_plus_states import profile_state
from actors.orders.orders import Orders
from actors.orders.records import Device, Kind, Order, OrderRequest, Service
from actors.store import orders as order_rows
from actors.store import profiles
from actors.store.database import SqliteDatabase, open_database
from actors.store.embedded_bss import EmbeddedBss
from actors.store.lines import find_subscriber
from actors.store.order_book import OrderBook
from actors.store.orders import Filter, Step
from actors.store.plans import put_plans
from actors.store.profiles import Profile
from actors.store.sql import Database, transaction
from actors.store.store import StoreUnavailable
from actors.store.subscriber_rows import SUBSCRIBER_COLUMNS, row_of
from config.model import Orders as Settings
from protocols.es2plus.bodies import decode_request, encode_request
from protocols.es2plus.requests import Request
from protocols.es2plus.status_codes import Function, StatusCode, status_class
from protocols.identity import Eid, Iccid, Imsi
from scripts.lab.smdp_plus_profiles import Inventory, Refusal, inventory

T = TypeVar("T")

TENANT = "mno"
OWNER = Imsi("001010000000001")
MSISDN = "491700000001"
OWN_ICCID = Iccid("8949000000000099994")
EID = Eid("89049032123451234512345678901235")
OTHER_EID = Eid("89049032000000000000000000000066")
WATCH = "35693803564380"
EPOCH = 1_800_000_000


class Killed(BaseException):
    """The process died here."""


class Points:
    """Where a process can die."""

    def __init__(self, die_at: int | None = None) -> None:
        self.die_at = die_at
        self.passed = 0
        self.dead = False
        self.names: list[str] = []

    def reach(self, name: str) -> None:
        if self.dead:
            raise Killed
        self.names.append(name)
        self.passed += 1
        if self.passed == self.die_at:
            self.dead = True
            raise Killed(name)


class Inline:
    """`Transactions` at once and in this thread, so that Trio's clock can jump."""

    def __init__(self, path: Path, points: Points) -> None:
        self.connection: SqliteDatabase = open_database(path)
        self.points = points
        self.away = ""

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        if self.points.dead or self.away:
            reply(StoreUnavailable(self.away or "closed"))
            return
        with transaction(self.connection):
            result = operation(self.connection)
        reply(result)
        self.points.reach("commit")


@dataclass(frozen=True, slots=True)
class Fault:
    """What the SM-DP+ does with one call: `before`, carry it out or not, then `outcome`."""

    executed: bool = False
    outcome: Outcome | None = None
    delay: float = 0.0


def refusal(function: Function, code: str) -> Fault:
    pair = StatusCode(*code.split("/"))
    return Fault(outcome=Refused(pair, status_class(function, pair)))


LOST = Fault(outcome=OutcomeUnknown(Cause.TIMEOUT))
ANSWER_LOST = Fault(executed=True, outcome=OutcomeUnknown(Cause.CONNECTION_LOST))
DOWN = Fault(outcome=NotExecuted(Cause.CONNECT_FAILED))


@dataclass
class BookSmdp:
    """The SM-DP+ port over the lab's books.

    Attributes:
        faults: by function, in order of the calls.
        calls: that came, with their fields.
    """

    name: str
    books: Inventory
    points: Points
    tenant: str = TENANT
    address: str = "smdp.example.com"
    oid: str = ""
    profile_types: tuple[str, ...] = ()
    capabilities: Capabilities = field(default_factory=Capabilities)
    available: bool = True
    faults: dict[Function, list[Fault]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    on_call: Callable[[str, dict[str, Any]], object] = lambda function, fields: None

    def prepare(self, request: Request, function_call_identifier: str) -> Call:
        body = encode_request(request, "2.999.20", function_call_identifier)
        return Call(request.function, function_call_identifier, body, request)

    def restore(self, function: Function, function_call_identifier: str, body: bytes) -> Call:
        request, _ = decode_request(function, body)
        return Call(function, function_call_identifier, body, request)

    def fault(self, function: Function, *faults: Fault) -> None:
        self.faults.setdefault(function, []).extend(faults)

    async def execute(self, call: Call, budget_seconds: float) -> Outcome:
        self.points.reach(f"before {call.function.value}")
        await trio.lowlevel.checkpoint()
        waiting = self.faults.get(call.function, [])
        fault = waiting.pop(0) if waiting else Fault(executed=True)
        await trio.sleep(fault.delay)
        fields = json.loads(call.body)
        self.calls.append((call.function.value, fields))
        outcome = fault.outcome
        if fault.executed:
            answer = self._carry_out(call, fields)
            outcome = outcome or interpret(call, answer, EPOCH)[0]
        self.on_call(call.function.value, fields)
        self.points.reach(f"after {call.function.value}")
        assert outcome is not None
        return outcome

    def _carry_out(self, call: Call, fields: dict[str, Any]) -> HttpAnswer:
        status: dict[str, Any] = {"status": "Executed-Success"}
        output: dict[str, Any] = {}
        try:
            output = self.books.execute(call.function.value, fields)
        except Refusal as error:
            subject, reason = error.code.split("/")
            code = {"subjectCode": subject, "reasonCode": reason, "message": error.message}
            status = {"status": "Failed", "statusCodeData": code}
        body = {"header": {"functionExecutionStatus": status}, **output}
        return HttpAnswer(200, {}, json.dumps(body).encode())

    async def profile_status(
        self, iccids: tuple[Iccid, ...], budget_seconds: float
    ) -> tuple[ProfileStatus, ...] | NotExecuted | Refused | OutcomeUnknown:
        found = [self.books.profiles[one] for one in iccids if one in self.books.profiles]
        return tuple(
            ProfileStatus(Iccid(one.iccid), profile_state(one.state), one.state) for one in found
        )

    def names_called(self) -> list[str]:
        return [name for name, _ in self.calls]


class FaultyBss(EmbeddedBss):
    """The embedded BSS behind a bad line; `ended` counts the moves and ends that it carried out."""

    def __init__(self, transactions: Inline, clock: Callable[[], float], points: Points) -> None:
        super().__init__(transactions, clock)
        self.points = points
        self.answers: dict[str, list[LineOutcome]] = {}
        self.asked: list[str] = []
        self.lost: set[str] = set()

    async def _change(self, verb: str, change: LineChange) -> LineOutcome:
        self.points.reach(f"before {verb}")
        self.asked.append(verb)
        await trio.lowlevel.checkpoint()
        if self.answers.get(verb):
            answer = self.answers[verb].pop(0)
            if isinstance(answer, LineRefused | LinePending | LineAway):
                return answer
        outcome = await super()._change(verb, change)
        self.points.reach(f"after {verb}")
        if verb in self.lost:
            self.lost.discard(verb)
            return LineAway("reply-lost")
        return outcome


class Rig:
    """Everything, on one database file."""

    def __init__(self, path: Path, books: Inventory | None = None) -> None:
        self.path = path
        self.books = books or Inventory(inventory(12))
        self.settings = Settings(
            look_seconds=0.5,
            download_seconds=2_000,
            install_seconds=1_000,
            recovery_after_seconds=60,
        )
        self.capabilities = Capabilities()
        self.smdp_types: tuple[str, ...] = ()
        self.more: dict[str, Inventory] = {}
        self.began = trio.current_time()
        self.boot()
        self._fill()

    def boot(self, die_at: int | None = None) -> None:
        """A new process on the same file, with the same SM-DP+."""
        self.points = Points(die_at)
        self.transactions = Inline(self.path, self.points)
        self.book = OrderBook(self.transactions)
        self.bss = FaultyBss(self.transactions, self.clock, self.points)
        self.smdps = {
            (TENANT, name): BookSmdp(
                name,
                books,
                self.points,
                capabilities=self.capabilities,
                profile_types=self.smdp_types,
            )
            for name, books in {"dp1": self.books, **self.more}.items()
        }
        self.smdp = self.smdps[TENANT, "dp1"]
        self.bugs: list[Exception] = []
        self.orders = Orders(
            self.settings,
            self.book,
            self.bss,
            self.smdps,
            [TENANT],
            owner="ecs1",
            clock=self.clock,
            crashed=self.bugs.append,
        )

    def clock(self) -> float:
        return EPOCH + trio.current_time() - self.began

    def _fill(self) -> None:
        db = self.transactions.connection
        with transaction(db):
            put_plans(db, TENANT, [Plan("full", "Full", frozenset({"volte"}))])
            put_subscriber(db, OWNER, MSISDN, str(OWN_ICCID))
            self.stock(db, "dp1", self.books)

    def add_smdp(self, name: str, books: Inventory) -> None:
        """Another SM-DP+ with its own profiles."""
        self.more[name] = books
        with transaction(self.transactions.connection):
            self.stock(self.transactions.connection, name, books)
        self.transactions.connection.close()
        self.boot()

    def stock(self, db: Database, smdp: str, books: Inventory) -> None:
        rows = [
            Profile(one.iccid, smdp, one.profile_type, imsi=imsi_of(one.iccid))
            for one in books.profiles.values()
        ]
        profiles.put_profiles(db, TENANT, rows, EPOCH)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Orders]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.orders.run)
            yield self.orders
            nursery.cancel_scope.cancel()

    # --- looking ----------------------------------------------------------------------------

    def all_orders(self) -> list[Order]:
        return order_rows.search(self.transactions.connection, TENANT, Filter(), 100)

    def order(self, order_id: str = "") -> Order:
        found = self.all_orders()
        return next(one for one in found if not order_id or one.order_id == order_id)

    def history(self, order_id: str) -> list[Step]:
        return order_rows.history(self.transactions.connection, TENANT, order_id)

    def subscriber(self, imsi: str) -> Subscriber | None:
        return find_subscriber(self.transactions.connection, TENANT, imsi)

    def stock_states(self) -> dict[str, str]:
        rows = self.transactions.connection.execute("SELECT iccid, state FROM profiles")
        return dict(rows.fetchall())

    def stock_of(self, state: str) -> list[str]:
        return [iccid for iccid, found in self.stock_states().items() if found == state]

    async def until(self, condition: Callable[[], bool], seconds: float = 1_000) -> None:
        with trio.fail_after(seconds):
            while not condition():  # noqa: ASYNC110 - the order tells nobody
                await trio.sleep(0.25)

    async def notify(
        self,
        iccid: str,
        event: ProfileEvent,
        smdp: str = "dp1",
        **fields: Any,  # noqa: ANN401
    ) -> Disposition:
        """The SM-DP+ reports; its books follow."""
        moved = {ProfileEvent.DOWNLOADED: "Downloaded", ProfileEvent.INSTALLED: "Installed"}
        profile = self.books.find(iccid)
        done = profile is None or profile.state == "Installed"
        if profile is not None and not done and event in moved and fields.get("succeeded", True):
            profile.move(moved[event])
        happened = fields.pop("happened_at", self.clock())
        one = SmdpNotification(
            TENANT,
            smdp,
            Iccid(iccid),
            event,
            fields.pop("point", event.value),
            fields.pop("succeeded", True),
            happened_at=happened,
            **fields,
        )
        return await self.orders.notified(one)


def imsi_of(iccid: str) -> str:
    """The card's own IMSI."""
    return f"00102{iccid[8:18]}"


def put_subscriber(
    db: Database, imsi: str, msisdn: str, iccid: str = "", status: str = "active"
) -> None:
    subscriber = Subscriber(
        TENANT, imsi, msisdn, iccid, "full", SubscriberStatus(status), (("volte", "blocked"),)
    )
    db.execute(
        f"INSERT INTO subscribers ({', '.join(SUBSCRIBER_COLUMNS)})"  # noqa: S608
        f" VALUES ({', '.join('?' * len(SUBSCRIBER_COLUMNS))})",
        row_of(subscriber),
    )


def watch(**changes: Any) -> OrderRequest:  # noqa: ANN401 - fields of OrderRequest
    """A watch wants the number of its phone."""
    request = OrderRequest(
        TENANT,
        "ap2006",
        Kind.SUBSCRIBE,
        OWNER,
        EID,
        WATCH,
        service=Service.SHARED_NUMBER,
        device=Device("Maker", "Watch 9", friendly_name="My watch"),
    )
    return replace(request, **changes)


def transfer(**changes: Any) -> OrderRequest:  # noqa: ANN401
    """The phone's line moves from its card to the eUICC of another phone."""
    request = OrderRequest(
        TENANT,
        "ap2009",
        Kind.TRANSFER,
        OWNER,
        EID,
        "35824005111111",
        old_terminal_id="35824005000000",
        old_iccid=OWN_ICCID,
    )
    return replace(request, **changes)
