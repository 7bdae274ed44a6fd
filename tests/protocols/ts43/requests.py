"""Requests as real clients send them."""

from urllib.parse import quote

import msgspec

from protocols.http.message import HttpRequest

EAP_RELAY = b"application/vnd.gsma.eap-relay.v1.0+json"
XML = b"text/vnd.wap.connectivity-xml"
EAP_ID = "0234107813240779@nai.epc.mnc010.mcc234.3gppnetwork.org"
TERMINAL = {
    "terminal_id": "355555555555555",
    "terminal_vendor": "vend",
    "terminal_model": "modelY",
    "terminal_sw_version": "versionZ",
    "entitlement_version": "8.0",
    "vers": "0",
}

Params = list[tuple[str, str]]


def params(*apps: str, without: str = "", **more: str) -> Params:
    """The parameters of a token leg, `app` once for each; `without` names one to leave out."""
    found = {**TERMINAL, "token": "Zk3_x-9", "IMSI": "234107813240779", **more}
    found.pop(without, None)
    return [*found.items(), *(("app", app) for app in apps)]


def get(given: Params, *headers: tuple[bytes, bytes]) -> HttpRequest:
    """By query, each value percent-encoded as `java.net.URLEncoder` and `Uri.Builder` do."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in given)
    return HttpRequest(b"GET", f"/?{query}".encode(), b"es.example", list(headers))


def post(given: object, *headers: tuple[bytes, bytes]) -> HttpRequest:
    """By JSON body."""
    body = given if isinstance(given, bytes) else msgspec.json.encode(given)
    fields = [(b"content-type", b"application/json"), *headers]
    return HttpRequest(b"POST", b"/", b"es.example", fields, body)
