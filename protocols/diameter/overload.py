"""Overload reports (DOIC) that a client obeys: state per host or realm, loss algorithm.

Source: RFC 7683 §5.2.1.2 (state of the reacting node), §6 (loss), §7 (AVPs). Throwing dice is the
caller's business: `reduction` says how many per cent of the *new* sessions must not go there.
"""

from dataclasses import dataclass
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message

DEFAULT_VALIDITY_SECONDS: Final = 30  # RFC 7683 §7.5
LARGEST_VALIDITY_SECONDS: Final = 86_400  # RFC 7683 §7.5
MAX_REPORTS: Final = 1_000  # ours: hosts and realms are few; an AAA that invents them is broken


@dataclass(slots=True)
class _Report:
    """One overload control state (RFC 7683 §5.2.1.2)."""

    sequence: int
    percentage: int
    expires: float


Key = tuple[int, bytes, int]  # report type, host or realm in lower case, application


class OverloadReports:
    """Every report in force, by (type, name, application)."""

    __slots__ = ("_reports", "ignored", "taken")

    def __init__(self) -> None:
        """Begin without reports; `taken` and `ignored` count those that came."""
        self._reports: dict[Key, _Report] = {}
        self.taken = 0
        self.ignored = 0

    def __bool__(self) -> bool:
        """Whether there is any report, in force or expired: the hot path asks only then."""
        return bool(self._reports)

    def take(self, answer: Message, now: float) -> None:
        """Obey the OC-OLR AVPs of an answer.

        A host report is about the answer's Origin-Host, a realm report about its Origin-Realm
        (RFC 7683 §7.6). Reports that are not understood are ignored (§5.2.1.3).

        Raises:
            DecodeError: an OC-OLR cannot be read.
        """
        for group in answer.groups(d.OC_OLR):
            kind = group.i32(d.OC_REPORT_TYPE)
            sequence = group.u64(d.OC_SEQUENCE_NUMBER)
            percentage = group.u32(d.OC_REDUCTION_PERCENTAGE)
            validity = group.u32(d.OC_VALIDITY_DURATION)
            names = {numbers.HOST_REPORT: d.ORIGIN_HOST, numbers.REALM_REPORT: d.ORIGIN_REALM}
            row = names.get(kind) if kind is not None else None
            name = answer.octets(row) if row is not None else None
            if kind is None or sequence is None or not name:
                self.ignored += 1
                continue
            # §7.5: the default also takes the place of a value above the largest.
            if validity is None or validity > LARGEST_VALIDITY_SECONDS:
                validity = DEFAULT_VALIDITY_SECONDS
            # §7.7: no percentage means no reduction was asked for; above 100 is not understood.
            percentage = percentage or 0
            if percentage > 100:
                self.ignored += 1
                continue
            key = (kind, name.lower(), answer.application)
            self._put(key, _Report(sequence, percentage, now + validity), now)

    def _put(self, key: Key, report: _Report, now: float) -> None:
        old = self._reports.get(key)
        # §7.4: a report whose sequence number is not higher is a repetition, until the old one
        # has expired.
        if old is not None and old.expires > now and report.sequence <= old.sequence:
            return
        if old is None and len(self._reports) >= MAX_REPORTS:
            self._forget_expired(now)
            if len(self._reports) >= MAX_REPORTS:
                self.ignored += 1
                return
        self._reports[key] = report
        self.taken += 1

    def _forget_expired(self, now: float) -> None:
        self._reports = {key: one for key, one in self._reports.items() if one.expires > now}

    def reduction(self, kind: int, name: bytes, application: int, now: float) -> int:
        """Per cent of the traffic to keep away from a host or realm; 0 without a report.

        Args:
            kind: `numbers.HOST_REPORT` or `REALM_REPORT`.
        """
        key = (kind, name.lower(), application)
        report = self._reports.get(key)
        if report is None:
            return 0
        if report.expires <= now:
            del self._reports[key]
            return 0
        return report.percentage

    def in_force(self, now: float) -> list[tuple[int, str, int, int, float]]:
        """(type, name, application, per cent, seconds left) of every report, for the console."""
        return [
            (kind, name.decode(errors="replace"), application, one.percentage, one.expires - now)
            for (kind, name, application), one in self._reports.items()
            if one.expires > now
        ]
