"""How the two families of TS.43 clients ask: headers, parameters, cookies.

Source: GSMA TS.43 v12 §2.2-2.4, §2.8.1 as the AOSP client and Samsung's client really do it; the
quirks are numbered Q-TR, Q-COOKIE.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from scripts.lab.device_http import Field

EAP_RELAY: Final = b"application/vnd.gsma.eap-relay.v1.0+json"
XML: Final = b"text/vnd.wap.connectivity-xml"
JSON: Final = b"application/json"

Parameter = tuple[str, str]

_quoted = lru_cache(maxsize=4096)(lambda text: quote(text, safe="-._~"))


@dataclass(frozen=True, slots=True)
class Habits:
    """One client.

    Attributes:
        name: `aosp` or `samsung`.
        fields: sent with every request.
        accept_first, accept_answer, accept_resync, accept_token: Accept of the first leg, of the
            EAP answer, of the answer after a synchronisation failure, and with a token.
        echoes_attributes: cookie attributes come back as cookies, all in one line (Q-COOKIE-3);
            else one Cookie line per cookie (Q-COOKIE-4).
        splits_commas: a GET value with commas becomes repeated parameters (Q-TR-5).
        fixed_offsets: RAND and AUTN are read at octets 12 and 32, unchecked (Q-EAP-1).
        exact_challenge_type: Content-Type is compared for equality (Q-DOC-2).
        needs_cookie: a challenge without Set-Cookie is an error (Q-COOKIE-2).
        counts_attributes: the XML reader counts attributes and applications (Q-DOC-5, Q-DOC-6).
        identity_last: EAP_ID or token stand at the end of the query, not in front.
        entitlement_version, vendor, model, software: parameters of the terminal.
    """

    name: str
    fields: tuple[Field, ...]
    accept_first: bytes
    accept_answer: bytes
    accept_resync: bytes
    accept_token: bytes
    echoes_attributes: bool
    splits_commas: bool
    fixed_offsets: bool
    exact_challenge_type: bool
    needs_cookie: bool
    counts_attributes: bool
    identity_last: bool
    entitlement_version: str
    vendor: str
    model: str
    software: str

    def terminal(self, imei: str, vers: int) -> list[Parameter]:
        """What is said about the terminal in every request."""
        described = [
            ("terminal_vendor", self.vendor),
            ("terminal_model", self.model),
            ("terminal_sw_version", self.software),
        ]
        version = ("entitlement_version", self.entitlement_version)
        if self.identity_last:
            return [*described, version, ("terminal_id", imei), ("vers", str(vers))]
        return [*described, ("vers", str(vers)), version]

    def query(
        self,
        identity: Sequence[Parameter],
        imei: str,
        apps: Sequence[str],
        vers: int,
        more: Sequence[Parameter] = (),
    ) -> str:
        """The query string of a GET. Each value is percent-encoded by itself (Q-TR-12)."""
        named_apps = [("app", app) for app in apps]
        if self.identity_last:
            parameters = [*self.terminal(imei, vers), *named_apps, *more, *identity]
        else:
            terminal = ("terminal_id", imei)
            parameters = [*identity, terminal, *named_apps, *self.terminal(imei, vers), *more]
        if self.splits_commas:
            parameters = [(name, part) for name, text in parameters for part in text.split(",")]
        return "&".join([f"{name}={_quoted(value)}" for name, value in parameters])

    def json_body(
        self,
        identity: Sequence[Parameter],
        imei: str,
        apps: Sequence[str],
        vers: int,
        more: Sequence[Parameter] = (),
    ) -> bytes:
        """The body of a POST, with the AOSP client's defects: a list of applications as the text
        `[ap2004,ap2003]` (Q-TR-3), and `/` written as `\\/` (Q-TR-4)."""
        parameters = dict([*identity, ("terminal_id", imei), *self.terminal(imei, vers), *more])
        parameters["app"] = apps[0] if len(apps) == 1 else f"[{','.join(apps)}]"
        return json.dumps(parameters, separators=(",", ":")).replace("/", "\\/").encode()

    def cookies(self, set_cookies: Sequence[bytes]) -> list[Field]:
        """What comes back of the Set-Cookie fields of the first response."""
        if not set_cookies:
            return []
        if self.echoes_attributes:
            parts = [part.strip() for line in set_cookies for part in line.split(b";")]
            return [(b"cookie", b"; ".join([part for part in parts if part]))]
        return [(b"cookie", line.partition(b";")[0].strip()) for line in set_cookies]


AOSP: Final = Habits(
    name="aosp",
    fields=(
        (b"user-agent", b"PRD-TS43 term-vend/modelY /1.0 OS-Android/versionZ"),
        (b"accept-encoding", b"gzip"),
    ),
    accept_first=EAP_RELAY,
    accept_answer=EAP_RELAY + b", " + XML,
    accept_resync=EAP_RELAY,
    accept_token=XML,
    echoes_attributes=False,
    splits_commas=False,
    fixed_offsets=False,
    exact_challenge_type=False,
    needs_cookie=False,
    counts_attributes=False,
    identity_last=False,
    entitlement_version="2.0",
    vendor="vend",
    model="modelY",
    software="versionZ",
)

SAMSUNG: Final = Habits(
    name="samsung",
    fields=(
        (b"user-agent", b"PRD-TS43 SEC/S918BXXU1 IMS-Entitlement/6 OS-Android/13"),
        (b"accept-language", b"en-US"),
        (b"cache-control", b"max-age=0"),
        (b"accept-encoding", b"gzip"),
    ),
    accept_first=EAP_RELAY + b", " + XML,
    accept_answer=EAP_RELAY + b", " + XML,
    accept_resync=EAP_RELAY + b", " + XML,
    accept_token=EAP_RELAY + b", " + XML,
    echoes_attributes=True,
    splits_commas=True,
    fixed_offsets=True,
    exact_challenge_type=True,
    needs_cookie=True,
    counts_attributes=True,
    identity_last=True,
    entitlement_version="1.0",
    vendor="SEC",
    model="SM-S918B",
    software="S918BXXU1",
)

BY_NAME: Final = {habits.name: habits for habits in (AOSP, SAMSUNG)}
