"""Carries an order out: one thing after the other, each kept before it is asked for and after.

Two commits surround every call: the call as it will be sent, then what its answer means. Whoever
finds an order after a crash therefore knows what may have been sent, and repeats just that.
"""

import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import structlog
import trio

from actors.backends.bss_lines import (
    BssLines,
    LineAway,
    LineChange,
    LineDone,
    LineOutcome,
    LinePending,
    LineRefused,
)
from actors.backends.smdp_plus import Call, Executed, Outcome, Refused, SmdpPlus
from actors.orders.answers import read_outcome, settled
from actors.orders.choosing import pools
from actors.orders.machine import Decision, Event, Patience, step
from actors.orders.records import CallState, OpenCall, Order
from actors.orders.transitions import Action, Input, State
from actors.orders.work import (
    AskBss,
    CallSmdp,
    Conclude,
    Supersede,
    TakeProfile,
    Verb,
    Work,
    next_work,
)
from actors.store.order_book import OrderBook
from actors.store.orders import Entry, Filter
from actors.store.profiles import Profile, Wanted
from config.model import Orders as Settings
from protocols.es2plus.identifiers import RANDOM_OCTETS, MatchingId
from protocols.es2plus.requests import Request
from protocols.identity import Iccid

_log = structlog.get_logger("orders")

SEND: Final = "send"  # the action of the step that writes a call down
CALLS_AT_ONCE: Final = 8  # at one SM-DP+, unless its configuration says otherwise

MOST_STEPS: Final = 200  # without a pause; a new line takes ten

Key = tuple[str, str]  # tenant and SM-DP+


class NoProgress(Exception):
    """An order goes round in a circle."""


def patience_of(settings: Settings) -> Patience:
    """The configured patience as the machine takes it."""
    return Patience(
        user=settings.user_seconds,
        order=settings.order_seconds,
        reservation=settings.reservation_seconds,
        download=settings.download_seconds,
        install=settings.install_seconds,
        bss_callback=settings.bss_callback_seconds,
        first_retry=settings.first_retry_seconds,
        longest_retry=settings.longest_retry_seconds,
        burn_failed=settings.failed_profile == "burn",
    )


class Driver:
    """Carries out the work of orders, and applies what happens to them.

    Attributes:
        settings: [orders]; may be replaced at any time.
        conflicts: steps that came second and were decided anew.
    """

    def __init__(
        self,
        settings: Settings,
        book: OrderBook,
        bss: BssLines,
        smdps: Mapping[Key, SmdpPlus],
        *,
        owner: str,
        changed: Callable[[Order], None],
        at_once: Mapping[Key, int] | None = None,
        clock: Callable[[], float] = time.time,
        octets: Callable[[int], bytes] = secrets.token_bytes,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Describe the driver.

        Args:
            owner: name of this process, the same after a restart; nobody else may have it.
            changed: told of every order that was kept anew; must not raise.
            at_once: calls at the same time to one SM-DP+.
            clock: wall-clock seconds.
            octets: nobody can guess them.
            jitter: in [0, 1).
        """
        self.settings = settings
        self.book = book
        self.conflicts = 0
        self._bss = bss
        self._smdps = smdps
        self._limits = {
            key: trio.CapacityLimiter((at_once or {}).get(key, CALLS_AT_ONCE)) for key in smdps
        }
        self._owner = owner
        self._changed = changed
        self._clock = clock
        self._octets = octets
        self._jitter = jitter

    def now(self) -> int:
        """Whole wall-clock seconds."""
        return int(self._clock())

    def event(self, given: Input, **facts: Any) -> Event:  # noqa: ANN401 - fields of Event
        """Something happens now."""
        return Event(given, self.now(), self._jitter(), **facts)

    async def drive(self, tenant: str, order_id: str) -> None:
        """Go on with an order until it waits for something.

        Raises:
            StoreUnavailable: it stands where it was kept last.
            NoProgress: a bug; going on would ask others the same for ever.
        """
        order: Order | None = None
        for _ in range(MOST_STEPS):
            if order is None or order.lease_until - self.now() < self.settings.call_seconds:
                now = self.now()
                until = now + self.settings.lease_seconds
                order = await self.book.claim(tenant, order_id, self._owner, now, until)
                if order is None:
                    return
            work = next_work(order, self.now())
            if work is None:
                return
            lease = order.lease_until
            order = replace(await self._carry_out(order, work), lease_until=lease)
        raise NoProgress(f"{MOST_STEPS} steps at once")

    async def apply(self, order: Order, event: Event, digest: str = "") -> Order:
        """Decide and keep; decided anew when another step came first.

        Args:
            digest: of the notification that the event is.

        Returns:
            The order as it is kept.

        Raises:
            IllegalTransition: a person asked for what is not possible.
        """
        call = order.call.identifier
        while True:
            decision = step(order, event, patience_of(self.settings))
            if decision.action is Action.IGNORE:
                if digest:
                    await self.book.finish_notification(order.tenant, digest)
                return order
            entry = Entry(
                event.now, event.given.value, decision.action.value, decision.order.reason
            )
            saved = await self.book.save(order, decision, entry, digest)
            if saved is not None:
                self._note(order, saved, event)
                return saved
            self.conflicts += 1
            order = await self._reloaded(order)
            if event.given in _ANSWERS and order.call.identifier != call:
                return order  # the answer comes too late: the order went on without it

    async def _reloaded(self, order: Order) -> Order:
        found = await self.book.load(order.tenant, order.order_id)
        assert found is not None, "orders are never removed"  # noqa: S101
        return found

    def _note(self, before: Order, after: Order, event: Event) -> None:
        if after.state is not before.state:
            log = _log.warning if after.state in _ALARMING else _log.info
            log(
                "order",
                tenant=after.tenant,
                order=after.order_id,
                given=event.given.value,
                state=after.state.value,
                reason=after.reason or None,
                smdp=after.smdp or None,
            )
        self._changed(after)

    async def _carry_out(self, order: Order, work: Work) -> Order:
        match work:
            case Conclude(given, reason):
                return await self.apply(order, self.event(given, reason=reason))
            case TakeProfile():
                return await self._take(order)
            case CallSmdp(request):
                return await self._call(order, request)
            case AskBss(verb):
                return await self._ask_bss(order, verb)
            case Supersede():
                return await self._supersede(order)

    # --- profiles ---------------------------------------------------------------------------

    async def _take(self, order: Order) -> Order:
        if order.tries >= self.settings.profiles_per_order:
            return await self.apply(
                order, self.event(Input.TRIES_EXHAUSTED, reason=order.reason or "no-profile-worked")
            )
        if order.recovers_own_profile:
            return await self._take_own(order)
        wanted = pools(order, self._of_tenant(order.tenant), self.settings.profile_types)
        by_type = [one for one in wanted if not self._takes_iccids(order.tenant, one)]
        by_iccid = [one for one in wanted if one not in by_type]
        if by_type and wanted[0] is by_type[0]:
            return await self._take_type(order, by_type[0])
        saved = await self._reserve(order, by_iccid, reuse=False)
        if saved is not None:
            return saved
        if by_type:
            return await self._take_type(order, by_type[0])
        _log.warning(
            "no profile left", tenant=order.tenant, order=order.order_id, pools=len(wanted)
        )
        return await self.apply(order, self.event(Input.POOL_EMPTY, reason="pool-empty"))

    async def _take_own(self, order: Order) -> Order:
        own = [Wanted("", iccid=order.old_iccid)]
        saved = await self._reserve(order, own, reuse=True)
        if saved is None:
            given = Input.TRIES_EXHAUSTED
            return await self.apply(order, self.event(given, reason="own-profile-not-available"))
        return saved

    async def _reserve(self, order: Order, wanted: list[Wanted], *, reuse: bool) -> Order | None:
        """None: there is no profile."""
        blank = self.event(Input.ICCID_TAKEN, matching_id=self._matching_id(), reuse=reuse)
        decide = partial(_decide_taken, order, blank, patience_of(self.settings))
        entry = Entry(blank.now, blank.given.value, Action.USE_ICCID.value)
        saved, found = await self.book.take_profile(order, wanted, decide, entry)
        if saved is not None:
            self._note(order, saved, blank)
            return saved
        return await self._reloaded(order) if found else None

    async def _take_type(self, order: Order, wanted: Wanted) -> Order:
        """The SM-DP+ will choose; a lost answer leaks a profile."""
        taken = self.event(
            Input.ICCID_TAKEN,
            matching_id=self._matching_id(),
            smdp=wanted.smdp,
            profile_type=wanted.profile_type,
        )
        return await self.apply(order, taken)

    def _matching_id(self) -> str:
        return str(MatchingId.generate(self._octets(RANDOM_OCTETS)))

    def _of_tenant(self, tenant: str) -> list[SmdpPlus]:
        return [smdp for (owner, _), smdp in self._smdps.items() if owner == tenant]

    def _takes_iccids(self, tenant: str, wanted: Wanted) -> bool:
        by_iccid = self._smdps[tenant, wanted.smdp].capabilities.order_by_iccid
        return by_iccid or not wanted.profile_type

    # --- the SM-DP+ -------------------------------------------------------------------------

    async def _call(self, order: Order, request: Request | None) -> Order:
        smdp = self._smdps.get((order.tenant, order.smdp))
        if smdp is None:
            given = Input.CALL_NOT_EXECUTED
            return await self.apply(order, self.event(given, reason="smdp-not-configured"))
        call = self._written(order, smdp, request)
        opened = replace(
            order.call if request is None else OpenCall(),
            function=call.function,
            identifier=call.function_call_identifier,
            body=call.body,
            state=CallState.SENDING,
        )
        entry = Entry(self.now(), SEND, call.function.value)
        sending = Decision(replace(order, call=opened), Action.IGNORE)
        kept = await self.book.save(order, sending, entry)
        if kept is None:
            return await self._reloaded(order)  # nothing was sent
        async with self._limit(order.tenant, order.smdp):
            outcome = await smdp.execute(call, self.settings.call_seconds)
        return await self._answered(kept, smdp, outcome)

    def _limit(self, tenant: str, smdp: str) -> trio.CapacityLimiter:
        """Also of an SM-DP+ that a reload brought."""
        return self._limits.setdefault((tenant, smdp), trio.CapacityLimiter(CALLS_AT_ONCE))

    def _written(self, order: Order, smdp: SmdpPlus, request: Request | None) -> Call:
        if request is not None:
            return smdp.prepare(request, self._octets(12).hex())
        assert order.call.function is not None  # noqa: S101 - it is written down
        return smdp.restore(order.call.function, order.call.identifier, order.call.body)

    async def _answered(self, order: Order, smdp: SmdpPlus, outcome: Outcome) -> Order:
        if isinstance(outcome, Executed) and outcome.with_warning:
            _log.warning("warning of an SM-DP+", order=order.order_id, code=str(outcome.warning))
        blank = self.event(Input.CALL_UNCLEAR, matching_id=self._matching_id())
        event = read_outcome(
            order,
            outcome,
            blank,
            elsewhere=self._elsewhere(order),
            address=smdp.address,
            oid=smdp.oid,
        )
        if event.given is Input.CALL_UNCLEAR and smdp.capabilities.status_query:
            event = await self._status(order, smdp, event)
        if event.given is Input.PROFILE_RESERVED and event.iccid and not order.iccid:
            event = await self._adopted(order, event)
        if isinstance(outcome, Refused):
            _log.warning(
                "refused by an SM-DP+",
                order=order.order_id,
                smdp=smdp.name,
                code=str(outcome.code),
                status_class=outcome.status_class.value,
                taken_as=event.given.value,
            )
        return await self.apply(order, event)

    def _elsewhere(self, order: Order) -> bool:
        wanted = pools(order, self._of_tenant(order.tenant), self.settings.profile_types)
        return any(
            one.smdp != order.smdp and self._smdps[order.tenant, one.smdp].available
            for one in wanted
        )

    async def _status(self, order: Order, smdp: SmdpPlus, unclear: Event) -> Event:
        found = await smdp.profile_status((Iccid(order.iccid),), self.settings.call_seconds)
        if not isinstance(found, tuple):
            return unclear
        states = [one.state for one in found if str(one.iccid) == order.iccid]
        return settled(order, states[0], unclear) if states else unclear

    async def _adopted(self, order: Order, event: Event) -> Event:
        """Whose card the profile is that the SM-DP+ chose."""
        chosen = Profile(event.iccid, order.smdp, order.profile_type)
        profile = await self.book.adopt(order.tenant, chosen, order.order_id, event.now)
        if profile.order_id != order.order_id or profile.smdp != order.smdp:
            reason = "contradiction: profile of another order"
            return replace(event, given=Input.PROFILE_LOST, leak=True, reason=reason)
        return replace(event, imsi=profile.imsi, msisdn=profile.msisdn)

    # --- the business systems ----------------------------------------------------------------

    async def _ask_bss(self, order: Order, verb: Verb) -> Order:
        outcome = await self._bss_does(verb, order)
        if verb is Verb.RESTORE and isinstance(outcome, LineDone):
            outcome = await self._bss_does(Verb.UNDO, order)
        return await self.apply(order, self._line_event(order, verb, outcome))

    async def _bss_does(self, verb: Verb, order: Order) -> LineOutcome:
        change = line_change(order, verb)
        match verb:
            case Verb.ACTIVATE:
                return await self._bss.activate(change)
            case Verb.RECOVER:
                return await self._bss.recover(change)
            case Verb.MOVE:
                return await self._bss.move(change)
            case Verb.RESTORE:
                return await self._bss.restore(change)
            case Verb.UNDO:
                return await self._bss.undo(change)
            case Verb.END:
                return await self._bss.end(change)

    def _line_event(self, order: Order, verb: Verb, outcome: LineOutcome) -> Event:
        match outcome:
            case LineDone():
                if verb in (Verb.UNDO, Verb.RESTORE, Verb.END):
                    return self.event(Input.LINE_ENDED)
                moved = order.state is State.INSTALLED
                return self.event(Input.LINE_MOVED if moved else Input.LINE_READY)
            case LinePending(retry_after):
                return self.event(Input.BSS_PENDING, retry_after=retry_after, reason="bss-pending")
            case LineRefused(reason):
                return self.event(Input.BSS_REFUSED, reason=f"bss: {reason}")
            case LineAway(reason):
                return self.event(Input.BSS_AWAY, reason=f"bss-away: {reason}")

    async def _supersede(self, order: Order) -> Order:
        """The order that the line came from has nothing any more; before this one is finished."""
        line = order.old_imsi or (order.new_imsi if order.reuse else "")
        if line:
            states = (State.ACTIVE.value, State.ENDING.value)
            for other in await self.book.search(order.tenant, Filter(imsi=line, states=states)):
                if other.new_imsi == line and other.order_id != order.order_id:
                    reason = f"superseded: by {order.order_id}"
                    same = other.iccid == order.iccid
                    event = self.event(Input.SUPERSEDED, reason=reason, reuse=same)
                    await self.apply(other, event)
        return await self.apply(order, self.event(Input.NOTHING_LEFT))


_ANSWERS: Final = frozenset(
    {
        Input.PROFILE_RESERVED,
        Input.PROFILE_CONFIRMED,
        Input.PROFILE_RELEASED,
        Input.PROFILE_CANCELLED,
        Input.ALREADY_DOWNLOADED,
        Input.CANCEL_OTHERWISE,
        Input.ICCID_UNUSABLE,
        Input.TYPE_EXHAUSTED,
        Input.MATCHING_ID_TAKEN,
        Input.TRY_ELSEWHERE,
        Input.CALL_NOT_EXECUTED,
        Input.CALL_UNKNOWN,
        Input.CALL_REFUSED,
        Input.PROFILE_LOST,
        Input.CALL_UNCLEAR,
    }
)
_ALARMING: Final = frozenset({State.MANUAL, State.FAILED, State.DELAYED, State.IN_DOUBT})


def _decide_taken(order: Order, blank: Event, patience: Patience, profile: Profile) -> Decision:
    taken = replace(
        blank,
        smdp=profile.smdp,
        profile_type=profile.profile_type,
        iccid=profile.iccid,
        imsi=profile.imsi,
        msisdn=profile.msisdn,
        matching_id=(profile.matching_id if not blank.reuse else "") or blank.matching_id,
    )
    return step(order, taken, patience)


def line_change(order: Order, verb: Verb) -> LineChange:
    """What the BSS is asked; each profile that an order tries is a change of its own."""
    return LineChange(
        tenant=order.tenant,
        key=f"{order.order_id}-{order.tries}-{verb.value}",
        order_id=order.order_id,
        owner_imsi=order.imsi,
        app=order.app,
        imsi=order.new_imsi,
        iccid=order.iccid,
        msisdn=order.msisdn,
        service=order.service.value,
        plan_id=order.plan_id,
        eid=order.target_eid,
        terminal_id=order.target_terminal_id,
        friendly_name=order.device.friendly_name,
        old_imsi=order.old_imsi,
    )
