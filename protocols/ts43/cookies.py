"""Reading Cookie fields the way real clients send them (RFC 6265 §4.2 and what breaks it).

Samsung's client echoes cookie attributes as cookies (`SID=x; Path=/; HttpOnly`) and joins several
Set-Cookie fields; Android's sends one field per cookie; HTTP/2 may split a field at will.
"""

from collections.abc import Sequence
from typing import Final

SESSION_COOKIE: Final = "SID"


def find_all(headers: Sequence[tuple[bytes, bytes]], name: str) -> tuple[str, ...]:
    """Every value of the cookie `name`, in order; a client may hold a stale one beside the right.

    Attributes (Path, HttpOnly, Secure, SameSite, Expires, Max-Age, Domain) are other names and so
    never taken for it. Our values hold neither commas nor quotes: both count as separators.
    """
    wanted = name.encode()
    found: list[str] = []
    for field, line in headers:
        if field == b"cookie" and wanted in line:
            for pair in line.replace(b",", b";").split(b";"):
                key, equals, value = pair.partition(b"=")
                if equals and key.strip() == wanted:
                    found.append(value.strip(b' \t"').decode("latin-1"))
    return tuple(found)


def set_cookie(value: str) -> bytes:
    """The Set-Cookie value of the session cookie, name first.

    `Path=/` because the EAP answer goes to the bare URL; no lifetime, so that it ends with the
    client's exchange.
    """
    return f"{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly".encode("ascii")
