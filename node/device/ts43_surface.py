"""The TS.43 dialect of the device listener: bytes to a request, and the request to its session.

No decisions: what is wrong with a request is in `protocols/ts43`, whose it is in `actors/tenants`,
what happens next in `actors/session`.
"""

from functools import partial

from actors.counters import Counters
from actors.session.actor import FOREIGN
from actors.session.messages import Exchange
from actors.session.sessions import Sessions
from actors.tenants import Tenants
from config.model import Tenant
from protocols.http.message import HttpRequest
from protocols.identity import Nai
from protocols.ts43.request import EapRelayAnswer, Ts43Request, parse_request
from protocols.ts43.request_error import RequestError
from protocols.ts43.responses import authenticate, forbidden


class Ts43Surface:
    """Takes the listener's requests; the answer goes to their exchange, now or later."""

    def __init__(self, sessions: Sessions, tenants: Tenants, counters: Counters) -> None:
        self._sessions = sessions
        self.tenants = tenants
        self._counters = counters

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        """Serve one request."""
        try:
            parsed = parse_request(request)
            if isinstance(parsed, EapRelayAnswer):
                self._sessions.relay(parsed, exchange, request)
            else:
                self._serve(parsed, exchange, request)
        except RequestError as error:
            self._counters.bad_input("ts43", error.text)
            exchange.answer(error.response())

    def _serve(self, request: Ts43Request, exchange: Exchange, http: HttpRequest) -> None:
        tenant = self.tenants.find(
            exchange.server_name,
            Nai(request.eap_id) if request.eap_id else None,
            request.imsi or None,
            request.gid1 or None,
            request.token or None,
        )
        if tenant is None:
            self._counters.bad_input("ts43", "no tenant")
            return exchange.answer(forbidden(FOREIGN))
        request.check_version(tenant.versions)
        otherwise = partial(self._without_token, tenant, request, exchange, http)
        if request.token and (tenant.authentication.token_skips_aaa or not request.eap_id):
            self._sessions.serve_with_token(tenant, request, exchange, http, otherwise)
        else:
            otherwise()

    def _without_token(
        self, tenant: Tenant, request: Ts43Request, exchange: Exchange, http: HttpRequest
    ) -> None:
        """There was no token, or it was no good (TS.43 §2.8.1: then EAP_ID decides)."""
        if request.eap_id:
            self._sessions.authenticate(tenant, request, exchange, http)
        else:
            self._counters.exchange(tenant.id, "", "511", "no authentication")
            exchange.answer(authenticate("authenticate with EAP_ID"))
