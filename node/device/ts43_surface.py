"""The TS.43 dialect of the device listener: bytes to a request, and the request to its session.

No decisions: what is wrong with a request is in `protocols/ts43`, whose it is in `actors/tenants`,
what happens next in `actors/session`.
"""

from collections.abc import Iterable
from functools import partial

from actors.counters import Counters
from actors.entitlement.applications import check_operation
from actors.odsa.offered import check_parameters, operated_app
from actors.session.messages import Exchange
from actors.session.service_actions import FOREIGN
from actors.session.sessions import Sessions
from actors.tenants import Tenants
from config.model import Tenant
from protocols.http.message import HttpRequest, text_response
from protocols.identity import Nai
from protocols.ts43.request import EapRelayAnswer, Ts43Request, parse_request
from protocols.ts43.request_error import RequestError
from protocols.ts43.responses import authenticate, forbidden


class Ts43Surface:
    """Takes the listener's requests; the answer goes to their exchange, now or later."""

    def __init__(
        self, sessions: Sessions, counters: Counters, tenants: Tenants, paths: Iterable[str]
    ) -> None:
        """Take the parts; `reload` replaces the last two.

        Args:
            sessions: where requests go.
            counters: of bad input.
            tenants: whose request it is.
            paths: where the protocol is served; anything else is 404.
        """
        self._sessions = sessions
        self._counters = counters
        self.reload(tenants, paths)

    def reload(self, tenants: Tenants, paths: Iterable[str]) -> None:
        """Use a new configuration for the requests to come."""
        self._tenants = tenants
        own = (path for tenant in tenants for path in tenant.paths)
        self._paths = {path.encode(): path for path in (*paths, *own)}

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        """Serve one request."""
        path = self._paths.get(request.target.partition(b"?")[0])
        if path is None:
            return self._not_here(exchange)
        try:
            parsed = parse_request(request)
            if isinstance(parsed, EapRelayAnswer):
                self._sessions.relay(parsed, exchange, request)
            else:
                self._serve(parsed, exchange, request, path)
        except RequestError as error:
            self._counters.bad_input("ts43", error.text)
            exchange.answer(error.response())

    def _not_here(self, exchange: Exchange) -> None:
        self._counters.bad_input("ts43", "unknown path")
        exchange.answer(text_response(404, "nothing is served at this path"))

    def _serve(
        self, request: Ts43Request, exchange: Exchange, http: HttpRequest, path: str
    ) -> None:
        tenant = self._tenants.find(
            exchange.server_name,
            Nai(request.eap_id) if request.eap_id else None,
            request.imsi or None,
            request.gid1 or None,
            request.token or request.temporary_token or None,
            path,
        )
        if tenant is None:
            if not self._tenants.serve(exchange.server_name, path):
                # The host of one tenant with the path of another: nobody is meant.
                return self._not_here(exchange)
            return self._refuse_foreign(request, exchange, http)
        request.check_version(tenant.versions)
        if request.operation:
            app_id = operated_app(request.apps, request.operation, tenant)
            if not app_id:
                check_operation(request.apps, request.operation)
            else:
                check_parameters(request, app_id, tenant)
                if request.temporary_token and not request.token:
                    return self._sessions.serve_with_temporary_token(
                        tenant, app_id, request, exchange, http
                    )
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
            response = authenticate("authenticate with EAP_ID")
            cause = "token refused" if request.token else "no authentication"
            self._sessions.refuse(tenant.id, imsi_of(request), response, cause, exchange, http)

    def _refuse_foreign(self, request: Ts43Request, exchange: Exchange, http: HttpRequest) -> None:
        """No tenant has this subscriber; a token that is no good is 511 all the same (§2.10)."""
        by_token = bool(request.token) and not request.eap_id
        response = authenticate("authenticate with EAP_ID") if by_token else forbidden(FOREIGN)
        self._counters.bad_input("ts43", "no tenant")
        self._sessions.refuse("", imsi_of(request), response, "no tenant", exchange, http)


def imsi_of(request: Ts43Request) -> str:
    """Whose request it is, by its own word; empty when it does not say."""
    if request.eap_id:
        return str(Nai(request.eap_id).imsi or "")
    return str(request.imsi)
