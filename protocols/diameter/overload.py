"""Overload reports (DOIC) that a client obeys: state per host or realm, loss algorithm.

Source: RFC 7683 §5.2.1.1 and §5.2.1.3 (state of the reacting node), §6 (loss), §7 (AVPs). Throwing
dice is the caller's business: `reduction` says how many per cent of the *new* sessions must not go
there. Which requests are spared is ours to choose (§6.3): a session that is not begun sends none of
its later rounds either, so the traffic falls by that share, and no exchange is cut in the middle.
"""

from dataclasses import dataclass
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.errors import DecodeError

DEFAULT_VALIDITY_SECONDS: Final = 30  # RFC 7683 §7.5
LARGEST_VALIDITY_SECONDS: Final = 86_400  # RFC 7683 §7.5
# Ours, for §6.3: after a report has ended the traffic comes back bit by bit, so that it does not
# drive the node back into its overload.
RECOVERY_SECONDS: Final = 10.0
# §5.2.1.3: a sequence number has rolled over when it went from the last 1 % to the first 1 %.
_ONE_PER_CENT: Final = (1 << 64) // 100
MAX_REPORTS: Final = 1_000  # ours: hosts and realms are few; an AAA that invents them is broken


@dataclass(slots=True)
class _Report:
    """One overload control state (RFC 7683 §5.2.1.1). It is kept until traffic is back in full."""

    sequence: int
    percentage: int
    expires: float

    def reduction(self, now: float) -> float:
        """Per cent: what was asked for, and after its end a share of that which shrinks."""
        over = now - self.expires
        if over < 0:
            return self.percentage
        return self.percentage * max(0.0, 1 - over / RECOVERY_SECONDS)

    def forgotten(self, now: float) -> bool:
        """It says nothing any more."""
        return self.expires + RECOVERY_SECONDS <= now


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
        (RFC 7683 §7.3). Reports that cannot be read or are not understood are ignored, as are those
        for another algorithm than the one that we announced (§5.2.1.3, note): the AVPs have no M
        bit, and no subscriber shall fail because of them.
        """
        try:
            self._take(answer, now)
        except DecodeError:
            self.ignored += 1

    def _take(self, answer: Message, now: float) -> None:
        if not _means_loss(answer):
            self.ignored += 1
            return
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
        if old is None or old.forgotten(now):
            if report.expires <= now:
                report.percentage = 0  # the end of what never reached us
        else:
            # §5.2.1.3: one whose sequence number is not greater is a repetition, or came late, such
            # as in an answer that overtook the end of the overload; it is silently ignored.
            if report.sequence <= old.sequence and not _rolled_over(old.sequence, report.sequence):
                return
            if report.expires <= now:  # the end: what was asked for until now fades
                report.percentage = round(old.reduction(now))
        if old is None and len(self._reports) >= MAX_REPORTS:
            self._forget_ended(now)
            if len(self._reports) >= MAX_REPORTS:
                self.ignored += 1
                return
        self._reports[key] = report
        self.taken += 1

    def _forget_ended(self, now: float) -> None:
        self._reports = {key: one for key, one in self._reports.items() if not one.forgotten(now)}

    def reduction(self, kind: int, name: bytes, application: int, now: float) -> float:
        """Per cent of the traffic to keep away from a host or realm; 0 without a report.

        Args:
            kind: `numbers.HOST_REPORT` or `REALM_REPORT`.
        """
        key = (kind, name.lower(), application)
        report = self._reports.get(key)
        if report is None:
            return 0
        if report.forgotten(now):
            del self._reports[key]
            return 0
        return report.reduction(now)

    def in_force(self, now: float) -> list[tuple[int, str, int, int, float]]:
        """(type, name, application, per cent, seconds left) of every report, for the console."""
        return [
            (kind, name.decode(errors="replace"), application, one.percentage, one.expires - now)
            for (kind, name, application), one in self._reports.items()
            if one.expires > now
        ]


def _means_loss(answer: Message) -> bool:
    """§7.2: without OC-Feature-Vector the reports of an answer are for the loss algorithm."""
    selected = answer.group(d.OC_SUPPORTED_FEATURES)
    features = selected.u64(d.OC_FEATURE_VECTOR) if selected is not None else None
    return features is None or bool(features & numbers.LOSS_ALGORITHM)


def _rolled_over(old: int, new: int) -> bool:
    return old >= (1 << 64) - _ONE_PER_CENT and new <= _ONE_PER_CENT
