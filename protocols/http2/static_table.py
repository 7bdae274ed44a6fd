"""The HPACK static table, RFC 7541 appendix A. Index 0 does not exist."""

from typing import Final

Field = tuple[bytes, bytes]

_ENTRIES: Final = """\
:authority
:method=GET
:method=POST
:path=/
:path=/index.html
:scheme=http
:scheme=https
:status=200
:status=204
:status=206
:status=304
:status=400
:status=404
:status=500
accept-charset
accept-encoding=gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate"""


def _entry(line: str) -> Field:
    name, _, value = line.encode().partition(b"=")
    return name, value


STATIC_TABLE: Final[tuple[Field, ...]] = ((b"", b""), *map(_entry, _ENTRIES.splitlines()))
"""(name, value) at its index, 1 to 61; the first item only fills the place of index 0."""

FIRST_DYNAMIC: Final = len(STATIC_TABLE)

STATUS_INDEX: Final = {
    int(value): index for index, (name, value) in enumerate(STATIC_TABLE) if name == b":status"
}
NAME_INDEX: Final = {name: index for index, (name, _) in reversed(list(enumerate(STATIC_TABLE)))}
"""The lowest index with this name."""
