"""Temporary tokens of AcquireTemporaryToken (TS.43 §6.5.7, §8.9)."""

import hashlib
import secrets
from collections.abc import Callable

from actors.orders.port import TemporaryToken, TokenRefusal
from actors.store.order_book import OrderBook
from actors.store.temporary_tokens import TokenRow
from actors.store.tokens import SECRET_OCTETS, mint
from protocols.identity import Eid, Imsi


class TemporaryTokens:
    """Issues them, and says what they stand for."""

    def __init__(self, book: OrderBook, now: Callable[[], int]) -> None:
        self._book = book
        self._now = now

    async def issue(
        self,
        tenant: str,
        imsi: Imsi,
        terminal_id: str,
        app: str,
        operations: tuple[str, ...],
        iccid: str,
        seconds: int,
    ) -> tuple[str, TemporaryToken]:
        """A new token; an older one of this device and application ends.

        It has the form of the devices' own, so that requests with it find their tenant.
        """
        token = mint(tenant, imsi, secrets.token_bytes(SECRET_OCTETS))
        now = self._now()
        row = TokenRow(imsi, terminal_id, iccid, app, ",".join(operations), now + seconds)
        await self._book.issue_token(tenant, _hashed(token), row, now)
        return token, _stands_for(tenant, token, row)

    async def redeem(
        self, tenant: str, token: str, app: str, operation: str, eid: Eid | None
    ) -> TemporaryToken | TokenRefusal:
        """Whether it authorises this; the first device that uses it is the only one."""
        row = await self._book.use_token(tenant, _hashed(token), eid or "", self._now())
        if row is None:
            return TokenRefusal.UNKNOWN
        targets = {target.lower() for target in row.operations.split(",")}
        if row.app != app or operation.lower() not in targets:
            return TokenRefusal.OUTSIDE_TARGETS
        return _stands_for(tenant, token, row)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _stands_for(tenant: str, token: str, row: TokenRow) -> TemporaryToken:
    return TemporaryToken(
        tenant,
        Imsi(row.imsi),
        row.terminal_id,
        row.iccid,
        row.app,
        tuple(row.operations.split(",")),
        row.expires_at,
        _hashed(token),
    )
