"""Overload reports (RFC 7683): which are obeyed, for whom, and how long."""

import pytest

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message, decode
from protocols.diameter.encoding import encode_avp, encode_message
from protocols.diameter.overload import MAX_REPORTS, OverloadReports

HOST = numbers.HOST_REPORT
REALM = numbers.REALM_REPORT


def report(
    *,
    host: str = "aaa1.example",
    application: int = numbers.SWM,
    extra: bytes = b"",
    **fields: int,
) -> Message:
    rows = {
        "sequence": d.OC_SEQUENCE_NUMBER,
        "type": d.OC_REPORT_TYPE,
        "percentage": d.OC_REDUCTION_PERCENTAGE,
        "validity": d.OC_VALIDITY_DURATION,
    }
    body = encode_avp(d.ORIGIN_HOST, host) + encode_avp(d.ORIGIN_REALM, "example")
    body += encode_avp(d.OC_OLR, [(rows[name], value) for name, value in fields.items()])
    return decode(encode_message(0, 268, application, 1, 2, body + extra))


def test_a_host_report_holds_for_its_validity() -> None:
    reports = OverloadReports()
    assert not reports
    reports.take(report(sequence=1, type=HOST, percentage=40, validity=10), 100.0)
    assert reports
    assert reports.reduction(HOST, b"AAA1.Example", numbers.SWM, 109.0) == 40
    assert reports.in_force(109.0) == [(HOST, "aaa1.example", numbers.SWM, 40, 1.0)]
    assert reports.in_force(110.0) == []
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 120.0) == 0
    assert not reports


def test_traffic_comes_back_bit_by_bit_after_a_report() -> None:
    """RFC 7683 §6.3: "be conservative" when a report has timed out."""
    reports = OverloadReports()
    reports.take(report(sequence=1, type=HOST, percentage=100, validity=10), 100.0)
    times = [109.9, 110.0, 112.5, 115.0, 119.0, 120.0]
    found = [reports.reduction(HOST, b"aaa1.example", numbers.SWM, now) for now in times]
    assert found == pytest.approx([100, 100, 75, 50, 10, 0])


def test_a_report_is_for_its_host_its_application_and_its_kind() -> None:
    reports = OverloadReports()
    reports.take(report(sequence=1, type=HOST, percentage=40), 0.0)
    assert reports.reduction(HOST, b"aaa2.example", numbers.SWM, 1.0) == 0
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWA, 1.0) == 0
    assert reports.reduction(REALM, b"example", numbers.SWM, 1.0) == 0
    reports.take(report(sequence=1, type=REALM, percentage=7), 0.0)
    assert reports.reduction(REALM, b"example", numbers.SWM, 1.0) == 7


def test_only_a_higher_sequence_number_changes_a_report() -> None:
    reports = OverloadReports()
    reports.take(report(sequence=5, type=HOST, percentage=40), 0.0)
    for sequence in (4, 5):
        reports.take(report(sequence=sequence, type=HOST, percentage=90), 1.0)
        assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 1.0) == 40
    reports.take(report(sequence=6, type=HOST, percentage=90), 2.0)
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 3.0) == 90


def test_a_restarted_host_may_begin_again_after_the_old_report_is_over() -> None:
    reports = OverloadReports()
    reports.take(report(sequence=500, type=HOST, percentage=40, validity=10), 0.0)
    reports.take(report(sequence=1, type=HOST, percentage=50, validity=10), 20.0)
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 21.0) == 50


def test_a_sequence_number_that_rolls_over_is_an_update() -> None:
    """RFC 7683 §5.2.1.3: from within 1 % of the maximum to within 1 % of the minimum."""
    last = (1 << 64) - 1
    for old, new, updates in ((last, 0, True), (last, 1 << 60, False), (1 << 60, 0, False)):
        reports = OverloadReports()
        reports.take(report(sequence=old, type=HOST, percentage=40), 0.0)
        reports.take(report(sequence=new, type=HOST, percentage=90), 1.0)
        assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 2.0) == (90 if updates else 40)


def test_a_validity_of_zero_ends_the_overload() -> None:
    reports = OverloadReports()
    reports.take(report(sequence=1, type=HOST, percentage=40), 0.0)
    reports.take(report(sequence=2, type=HOST, percentage=90, validity=0), 1.0)
    assert reports.in_force(1.0) == []
    # What was asked for until then fades; an answer that comes late does not bring it back.
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 6.0) == 20
    reports.take(report(sequence=1, type=HOST, percentage=40), 6.0)
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 6.0) == 20
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 11.0) == 0


def test_the_end_of_what_was_never_heard_of_is_nothing() -> None:
    reports = OverloadReports()
    reports.take(report(sequence=2, type=HOST, percentage=90, validity=0), 1.0)
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 1.0) == 0


@pytest.mark.parametrize(("features", "obeyed"), [(0x1, True), (0x3, True), (0x4, False)])
def test_only_reports_for_the_loss_algorithm_are_obeyed(features: int, obeyed: bool) -> None:
    reports = OverloadReports()
    selected = encode_avp(d.OC_SUPPORTED_FEATURES, [(d.OC_FEATURE_VECTOR, features)])
    reports.take(report(sequence=1, type=HOST, percentage=40, extra=selected), 0.0)
    assert bool(reports) is obeyed
    assert reports.ignored == (0 if obeyed else 1)


def test_a_report_that_cannot_be_read_is_ignored() -> None:
    reports = OverloadReports()
    spoilt = encode_avp(d.OC_OLR, b"\0\0\2\x70\0\0\0\xff")
    reports.take(report(sequence=1, type=HOST, percentage=40, extra=spoilt), 0.0)
    assert reports.ignored == 1


@pytest.mark.parametrize("fields", [{}, {"validity": 86_401}])
def test_the_default_validity_is_thirty_seconds(fields: dict[str, int]) -> None:
    reports = OverloadReports()
    reports.take(report(sequence=1, type=HOST, percentage=40, **fields), 0.0)
    assert reports.reduction(HOST, b"aaa1.example", numbers.SWM, 29.0) == 40
    assert reports.in_force(29.9)
    assert not reports.in_force(30.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"sequence": 1, "percentage": 40},
        {"type": HOST, "percentage": 40},
        {"sequence": 1, "type": 9, "percentage": 40},
        {"sequence": 1, "type": HOST, "percentage": 101},
    ],
)
def test_a_report_that_is_not_understood_is_ignored(fields: dict[str, int]) -> None:
    reports = OverloadReports()
    reports.take(report(**fields), 0.0)
    assert not reports
    assert reports.ignored == 1


def test_the_number_of_reports_is_bounded() -> None:
    reports = OverloadReports()
    for number in range(MAX_REPORTS + 10):
        reports.take(report(host=f"aaa{number}", sequence=1, type=HOST, percentage=1), 0.0)
    assert reports.taken == MAX_REPORTS
    assert reports.ignored == 10
    # Room is made by what is over.
    reports.take(report(host="late", sequence=1, type=HOST, percentage=1), 41.0)
    assert reports.reduction(HOST, b"late", numbers.SWM, 42.0) == 1
