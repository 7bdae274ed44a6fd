"""Subscribers as CSV lines: the columns, their checks, and the text of an export.

One line is one subscriber; a comma separates; quotes only where a value has a comma. Every line
stands for itself, so that a stray quote spoils one row and not the rest of the file.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Final

from actors.backends.bss import SubscriberStatus
from actors.store.subscriber_rows import format_overrides, parse_overrides
from actors.tenant_groups import may_have
from config.model import Tenant
from protocols.identity import Iccid, Imsi, Msisdn

Value = str | int
Check = Callable[[str], Value]

REQUIRED: Final = ("imsi", "plan")
MAX_LINE: Final = 10_000


class FileRefused(Exception):
    """The whole file cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was not taken."""

    line: int  # counted from 1, the header included
    reason: str


@dataclass(frozen=True, slots=True)
class GoodRow:
    """A line that was; the values in the order of the file's columns."""

    line: int
    values: tuple[Value, ...]


def _imsi(text: str) -> str:
    return str(Imsi(text))


def _msisdn(text: str) -> str:
    return str(Msisdn(text)) if text else ""


def _iccid(text: str) -> str:
    return str(Iccid(text)) if text else ""


def _status(text: str) -> str:
    return _STATUSES[text] if text in _STATUSES else SubscriberStatus(text).value


def _overrides(text: str) -> str:
    return format_overrides(parse_overrides(text)) if text else ""


def _vowifi_status(text: str) -> int:
    if text not in ("", "0", "1", "2", "3"):
        raise ValueError("must be 0 not available, 1 available, 2 not required or 3 in progress")
    return int(text or "2")


def _expiry(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


_STATUSES: Final = {status.value: status.value for status in SubscriberStatus} | {"": "active"}
_STATUS_TEXT: Final = f"must be one of {', '.join(status.value for status in SubscriberStatus)}"

# Column of the file -> column of the table, and the check of a value.
COLUMNS: Final[Mapping[str, tuple[str, Check]]] = {
    "imsi": ("imsi", _imsi),
    "msisdn": ("msisdn", _msisdn),
    "iccid": ("iccid", _iccid),
    "plan": ("plan_id", str),
    "status": ("status", _status),
    "overrides": ("overrides", _overrides),
    "vowifi_tc_status": ("vowifi_tc_status", _vowifi_status),
    "vowifi_addr_status": ("vowifi_addr_status", _vowifi_status),
    "vowifi_prov_status": ("vowifi_prov_status", _vowifi_status),
    "vowifi_addr_expiry": ("vowifi_addr_expiry", _expiry),
    "vowifi_addr_identifier": ("vowifi_addr_identifier", str),
}

FORMAT: Final = """\
The first line names the columns, in any order; imsi and plan are needed:

  imsi                    6 to 15 digits
  plan                    id of one of the tenant's plans (plans show)
  msisdn                  number in international form, with or without +
  iccid                   card, 18 to 20 digits
  status                  active (also when empty), suspended, barred, terminated
  overrides               what differs from the plan: volte=blocked;vowifi=allowed
                          (allowed, blocked, provisioning, disabled)
  vowifi_tc_status        terms: 0 not available, 1 available, 2 not required
  vowifi_addr_status        (also when empty), 3 in progress; the same for the
  vowifi_prov_status        emergency address and the provisioning
  vowifi_addr_expiry      of the emergency address, ISO 8601
  vowifi_addr_identifier  of the emergency address

A column that is left out keeps its value for subscribers that exist. The last line of an IMSI
counts. Empty lines and lines that begin with # are skipped. Example:

  imsi,msisdn,plan,status
  001010000000001,+491700000001,gold,active"""


class SubscriberFile:
    """Reads the lines of a file, checked against a tenant."""

    def __init__(self, lines: Iterable[str], tenant: Tenant, plans: Iterable[str]) -> None:
        """Read the header.

        Args:
            lines: the text, line by line.
            tenant: whose subscribers they are: an IMSI outside its PLMNs and ranges is refused.
            plans: ids of the tenant's plans.

        Raises:
            FileRefused: no header, an unknown or repeated column, or one is missing.
        """
        self._lines = enumerate(lines, start=1)
        self._tenant = tenant
        self._plans = frozenset(plans)
        self.columns = self._header()
        self._checks = [COLUMNS[name][1] for name in self.columns]
        self._imsi_at = self.columns.index("imsi")
        self._plan_at = self.columns.index("plan")

    def rows(self) -> Iterator[GoodRow | BadRow]:
        """Every line after the header, good or bad."""
        width = len(self.columns)
        for number, line in self._lines:
            if line.isspace() or not line or line[0] == "#":
                continue
            try:
                fields = split(line)
                if len(fields) != width:
                    raise ValueError(f"has {len(fields)} values for {width} columns")
                yield GoodRow(number, self._checked(fields))
            except ValueError as error:
                yield BadRow(number, str(error))

    def _header(self) -> tuple[str, ...]:
        for number, line in self._lines:
            if not line or line.isspace() or line[0] == "#":
                continue
            try:
                names = tuple(name.strip().lower() for name in split(line.removeprefix("\ufeff")))
            except ValueError as error:
                raise FileRefused(f"line {number}: {error}") from None
            unknown = [name for name in names if name not in COLUMNS]
            if unknown:
                known = ", ".join(COLUMNS)
                raise FileRefused(f"line {number}: no column {unknown[0]!r}; there are {known}")
            if len(set(names)) < len(names):
                raise FileRefused(f"line {number}: a column stands twice")
            for name in REQUIRED:
                if name not in names:
                    raise FileRefused(f"line {number}: the column {name} is missing")
            return names
        raise FileRefused("the file is empty; its first line names the columns")

    def _checked(self, fields: list[str]) -> tuple[Value, ...]:
        values: list[Value] = []
        for name, check, field in zip(self.columns, self._checks, fields, strict=True):
            try:
                values.append(check(field.strip()))
            except ValueError as error:
                text = _STATUS_TEXT if name == "status" else error
                raise ValueError(f"{name}: {text}") from None
        if values[self._plan_at] not in self._plans:
            raise ValueError(f"plan: the tenant has no plan {values[self._plan_at]!r}")
        if not may_have(self._tenant, str(values[self._imsi_at])):
            raise ValueError(f"imsi: is outside the PLMNs and ranges of {self._tenant.id}")
        return tuple(values)


def split(line: str) -> list[str]:
    """The values of one line.

    Raises:
        ValueError: with what is wrong.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"the line is longer than {MAX_LINE} characters")
    if "\ufffd" in line or "\0" in line:
        raise ValueError("the line is not UTF-8 text")
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise ValueError("a quote is not closed") from None


def join(values: Sequence[Value]) -> str:
    """One line of CSV, with its end."""
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
