"""Notifications of SM-DP+: kept first, answered, and worked on afterwards."""

import hashlib
from dataclasses import replace

import structlog

from actors.backends.smdp_plus import Disposition, NotKept, SmdpNotification
from actors.orders.driver import Driver
from actors.orders.machine import Event
from actors.orders.progress import read_notification
from actors.orders.records import Order
from actors.orders.transitions import Input
from actors.store.profiles import KeptNotification
from actors.store.store import StoreUnavailable

_log = structlog.get_logger("orders")

_DISPOSITIONS = {
    "kept": Disposition.KEPT,
    "duplicate": Disposition.DUPLICATE,
    "unknown": Disposition.UNKNOWN_ICCID,
    "foreign": Disposition.FOREIGN_ICCID,
}


class Inbox:
    """Takes notifications in.

    Attributes:
        orphans, foreign: notifications about profiles that we do not know, or of another SM-DP+.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.orphans = 0
        self.foreign = 0

    async def keep(
        self, notification: SmdpNotification
    ) -> tuple[Disposition, KeptNotification | None]:
        """Keep one; what is to be worked on comes with it.

        Raises:
            NotKept: it is not on disk.
        """
        now = self._driver.now()
        event = read_notification(notification, Event(Input.RETRY_DUE, now))
        one = KeptNotification(
            notification.tenant,
            hashlib.sha256(repr(notification.key).encode()).hexdigest()[:32],
            notification.smdp,
            str(notification.iccid),
            "",
            notification.point,
            event.given.name if event is not None else "",
            event.reason if event is not None else "",
            int(notification.happened_at or 0),
            now,
        )
        try:
            what, kept = await self._driver.book.keep_notification(one, notification.raw)
        except StoreUnavailable as error:
            raise NotKept(error.reason) from error
        disposition = _DISPOSITIONS[what]
        if disposition is Disposition.FOREIGN_ICCID:
            self.foreign += 1
            _log.error("notification of another SM-DP+", tenant=one.tenant, smdp=one.smdp)
        elif disposition is Disposition.UNKNOWN_ICCID:
            self.orphans += 1
            _log.warning("notification of an unknown profile", tenant=one.tenant, smdp=one.smdp)
        work = disposition is Disposition.KEPT and kept.order_id and kept.given
        return disposition, kept if work else None

    async def work_on(self, one: KeptNotification) -> Order | None:
        """Tell the order; None: it never got that far, and the notification is done.

        Raises:
            StoreUnavailable: later, then.
        """
        order = await self._driver.book.load(one.tenant, one.order_id)
        if order is None or order.iccid != one.iccid:
            await self._driver.book.finish_notification(one.tenant, one.digest)
            return None
        event = self._driver.event(Input[one.given], reason=one.reason)
        if order.kind.value == "recover" and one.happened_at and one.happened_at < order.created_at:
            # Of the profile's life before this order.
            event = replace(event, given=Input.RETRY_DUE)
        return await self._driver.apply(order, event, one.digest)
