"""What a tenant offers, and which application an operation is for."""

import pytest

from actors.backends.bss import SubscriberStatus
from actors.entitlement.applications import decide
from actors.entitlement.decision import DecisionInput
from actors.odsa.offered import check_parameters, offers, operated_app
from config.model import PhoneNumber, Tenant
from protocols.ts43.request import Ts43Request
from protocols.ts43.request_error import RequestError
from tests.actors.odsa.asking import GOLD, PHONE, line, tenant


def test_nothing_is_offered_without_an_smdp_plus() -> None:
    bare = Tenant(id="mno")
    assert not any(offers(bare, f"ap20{number:02}") for number in range(3, 18))
    everything = tenant(server=True, cross_platform=True)
    assert [app for app in ("ap2006", "ap2009", "ap2011", "ap2017") if offers(everything, app)] == [
        "ap2006",
        "ap2009",
        "ap2011",
        "ap2017",
    ]
    assert not offers(tenant(companion=False), "ap2006")
    assert not offers(tenant(), "ap2011")


def test_phone_numbers_need_no_smdp_plus() -> None:
    numbers = Tenant(id="mno", phone_number=PhoneNumber(offered=True))
    assert operated_app(("ap2014",), "GetPhoneNumber", numbers) == "ap2014"
    assert operated_app(("ap2014",), "ManageSubscription", numbers) == ""


@pytest.mark.parametrize(
    ("apps", "operation", "found"),
    [
        (("ap2006",), "CheckEligibility", "ap2006"),
        (("ap2004", "ap2009"), "AcquireConfiguration", "ap2009"),
        (("ap2006",), "", ""),
        (("ap2006",), "Frobnicate", "ap2006"),
        (("ap2006",), "GetPhoneNumber", ""),
        (("ap2004",), "CheckEligibility", ""),
    ],
)
def test_an_operation_is_for_the_first_application_that_has_it(
    apps: tuple[str, ...], operation: str, found: str
) -> None:
    assert operated_app(apps, operation, tenant()) == found


def test_without_an_operation_the_operator_reads_who_may() -> None:
    """What `explain` tells of ap2006 and its like."""
    suspended = line(status=SubscriberStatus.SUSPENDED)
    for subscriber, words in ((line(), "plan gold may have it"), (suspended, "is suspended")):
        given = DecisionInput(subscriber, GOLD, tenant(), (12, 0), "en", 0.0)
        decision = decide("ap2006", given)
        assert words in decision.reason
        assert decision.application.parms == (("OperationResult", "1"),)
    given = DecisionInput(line(), GOLD, Tenant(id="mno"), (12, 0), "en", 0.0)
    assert decide("ap2006", given).application.parms == (("OperationResult", "101"),)


def test_companions_that_move_are_406_where_they_cannot() -> None:
    """ODSA-49."""
    params = {
        "app": "ap2006",
        "terminal_id": PHONE,
        "operation": "ManageSubscription",
        "old_companion_terminal_id": "350000000000059",
    }
    request = Ts43Request(params)
    with pytest.raises(RequestError) as caught:
        check_parameters(request, "ap2006", tenant())
    assert caught.value.status == 406
    check_parameters(request, "ap2006", tenant(companion_transfer=True))
    check_parameters(request, "ap2009", tenant())
