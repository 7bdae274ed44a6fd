"""ODSA documents against the samples of TS.43 v12 §6.6, as three clients read them."""

import base64
from typing import Any

import msgspec
import pytest

from protocols.ts43 import odsa_documents as documents
from protocols.ts43.document import Application, Document
from protocols.ts43.json_document import render_json
from protocols.ts43.odsa import (
    AppEligibility,
    OperationResult,
    PollingUnit,
    ServiceStatus,
    SubscriptionResult,
)
from protocols.ts43.odsa_documents import (
    CompanionInfo,
    Configuration,
    Download,
    Offer,
    Polling,
    WebView,
)
from protocols.ts43.odsa_message import DisplayLimits, UserMessage, message_characteristic
from protocols.ts43.xml_document import render_xml
from tests.protocols.ts43.document_readers import read_like_android, read_like_samsung, read_xml

PAGE = WebView("https://es.example/ws/odsa")


def read(application: Application, *fillings: str) -> dict[str, Any]:
    """What every client makes of it; they must agree."""
    document = Document(1, 172_800, (application,), "ASH127AHHA88SF", 3_600, fillings)
    body = render_xml(document)
    found = read_xml(body)
    assert read_like_android(body) == found
    assert read_like_samsung(body) == found
    told = msgspec.json.decode(render_json(document))
    assert told[application.app_id] == found[application.app_id]
    inner: dict[str, Any] = found[application.app_id]
    return inner


def test_check_eligibility_of_table_54() -> None:
    """ODSA-43."""
    given = documents.eligibility("ap2006", AppEligibility.ENABLED, services=("SharedNumber",))
    assert read(given) == {
        "CompanionAppEligibility": "1",
        "CompanionDeviceServices": "SharedNumber",
        "OperationResult": "1",
    }


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("ap2009", "PrimaryAppEligibility"),
        ("ap2011", "EnterpriseAppEligibility"),
        ("ap2017", "PrimaryAppEligibility"),
    ],
)
def test_each_application_has_its_own_eligibility(app: str, name: str) -> None:
    """ODSA-43."""
    polling = Polling(30, PollingUnit.SECONDS)
    given = documents.eligibility(
        app, AppEligibility.DISABLED, services=("SharedNumber",), not_enabled=PAGE, polling=polling
    )
    found = read(given, "st=ab12")
    assert found[name] == "0"
    assert "CompanionDeviceServices" not in found
    assert found["NotEnabledURL"] == PAGE.url
    assert found["NotEnabledUserData"] == "st=ab12"
    asked_again = {name: found[name] for name in found if name.startswith("Polling")}
    if name == "PrimaryAppEligibility":
        assert asked_again == {"PollingInterval": "30", "PollingIntervalUnit": "1"}
    else:
        assert not asked_again


def test_no_polling_and_no_page_beside_a_yes() -> None:
    given = documents.eligibility(
        "ap2009", AppEligibility.ENABLED, not_enabled=PAGE, polling=Polling(1)
    )
    assert read(given) == {"PrimaryAppEligibility": "1", "OperationResult": "1"}


def test_manage_service_of_table_56() -> None:
    given = documents.service("ap2006", ServiceStatus.DEACTIVATED)
    assert read(given) == {"ServiceStatus": "3", "OperationResult": "1"}


def test_manage_subscription_of_table_58_sends_to_the_portal() -> None:
    """ODSA-44."""
    page = WebView(PAGE.url, "json")
    given = documents.subscription(
        "ap2006", SubscriptionResult.CONTINUE_TO_WEBSHEET, web_sheet=page
    )
    assert read(given, "encodedValue=eyJzdCI6ImFiYyJ9") == {
        "SubscriptionServiceURL": PAGE.url,
        "SubscriptionServiceUserData": "encodedValue=eyJzdCI6ImFiYyJ9",
        "SubscriptionServiceContentsType": "json",
        "SubscriptionResult": "1",
        "OperationResult": "1",
    }


def test_manage_subscription_of_table_59_has_the_address() -> None:
    download = Download("8944000000000000001", smdp_addresses=("smdp.example", "smdp2.example"))
    given = documents.subscription("ap2006", SubscriptionResult.DOWNLOAD_PROFILE, download=download)
    assert read(given)["DownloadInfo"] == {
        "ProfileIccid": "8944000000000000001",
        "ProfileSmdpAddress": "smdp.example,smdp2.example",
    }


def test_an_activation_code_is_strict_base64() -> None:
    """ODSA-44, ES2-32."""
    code = "TFBBOjEkc21kcC5leGFtcGxlJE1BVENI"
    given = documents.subscription(
        "ap2006", SubscriptionResult.DOWNLOAD_PROFILE, download=Download("", code)
    )
    found = read(given)
    assert found["SubscriptionResult"] == "2"
    encoded = found["DownloadInfo"]["ProfileActivationCode"]
    assert base64.b64decode(encoded, validate=True) == b"LPA:1$smdp.example$MATCH"


def test_acquire_configuration_of_table_62() -> None:
    given = documents.configurations(
        "ap2006",
        [
            Configuration(
                status=ServiceStatus.ACTIVATED,
                iccid="8991101200003204510",
                service="SharedNumber",
                polling=Polling(5),
                companion=CompanionInfo("Ann's watch", "ACME", "Watch 9"),
            )
        ],
    )
    assert read(given) == {
        "CompanionConfigurations": [
            {
                "CompanionConfiguration": {
                    "ICCID": "8991101200003204510",
                    "CompanionDeviceService": "SharedNumber",
                    "ServiceStatus": "1",
                    "CompanionDeviceInfo": {
                        "CompanionTerminalFriendlyName": "Ann's watch",
                        "CompanionTerminalVendor": "ACME",
                        "CompanionTerminalModel": "Watch 9",
                    },
                }
            }
        ],
        "OperationResult": "1",
    }


def test_polling_stands_only_beside_activating() -> None:
    given = documents.configurations(
        "ap2006",
        [Configuration(status=ServiceStatus.ACTIVATING, service="DiffNumber", polling=Polling(1))],
    )
    (only,) = read(given)["CompanionConfigurations"]
    assert only["CompanionConfiguration"] == {
        "CompanionDeviceService": "DiffNumber",
        "ServiceStatus": "2",
        "PollingInterval": "1",
    }


def test_acquire_configuration_of_table_64_has_several_primaries() -> None:
    given = documents.configurations(
        "ap2009",
        [
            Configuration(status=ServiceStatus.ACTIVATED, iccid="8991101200003204510"),
            Configuration(
                status=ServiceStatus.DEACTIVATED_NO_REUSE,
                iccid="8991101200003204514",
                secondary=True,
            ),
        ],
    )
    first, second = read(given)["PrimaryConfigurations"]
    assert first["PrimaryConfiguration"]["ServiceStatus"] == "1"
    assert second["PrimaryConfiguration"]["SecondaryICCID"] == "1"


def test_a_single_primary_stands_by_itself() -> None:
    """Q-DOC-10."""
    given = documents.configurations(
        "ap2009", [Configuration(status=ServiceStatus.ACTIVATED, iccid="8991101200003204510")]
    )
    assert read(given)["PrimaryConfiguration"]["ICCID"] == "8991101200003204510"


def test_nothing_configured_is_no_element() -> None:
    assert read(documents.configurations("ap2006", ())) == {"OperationResult": "1"}


def test_acquire_plan_of_table_66() -> None:
    given = documents.plans("ap2011", [Offer("Plan0001", "Family Plan"), Offer("Plan0376")])
    assert read(given)["PlanOffers"] == [
        {"PlanOffer": {"PlanId": "Plan0001", "PlanName": "Family Plan"}},
        {"PlanOffer": {"PlanId": "Plan0376"}},
    ]
    assert read(documents.plans("ap2011", ())) == {"OperationResult": "1"}


def test_acquire_temporary_token_of_table_68_has_its_expiry() -> None:
    """AUTH-35, Q-DOC-11."""
    given = documents.temporary_token(
        "ap2009", "t-Zk3_x9", 1_769_692_531, ("ManageSubscription", "AcquireConfiguration")
    )
    assert read(given) == {
        "TemporaryToken": "t-Zk3_x9",
        "TemporaryTokenExpiry": "2026-01-29T13:15:31Z",
        "OperationTargets": "ManageSubscription,AcquireConfiguration",
        "OperationResult": "1",
    }


def test_phone_numbers_of_tables_69_to_71() -> None:
    assert read(documents.phone_number("ap2014", "+14058885769"))["MSISDN"] == "+14058885769"
    encoded = read(documents.phone_number("ap2014", "+14058885769", encoded=True))["MSISDN"]
    assert base64.b64decode(encoded.removeprefix("encodedValue=")) == b"+14058885769"
    assert read(documents.phone_number_verified("ap2014", True, "+14058885769")) == {
        "OperationResult": "1",
        "PhoneNumberVerification": "1",
        "msisdn": "+14058885769",
    }
    assert read(documents.phone_number_verified("ap2014", False, "+14058885769")) == {
        "OperationResult": "1",
        "PhoneNumberVerification": "0",
    }
    given = documents.subscriber_info("ap2014", "+14058885769", 2, "ffc72d24", "MVNO_222")
    assert read(given)["SubscriberInfo"] == {
        "MSISDN": "+14058885769",
        "SimIdType": "2",
        "SimID": "ffc72d24",
        "MvnoName": "MVNO_222",
    }


def test_a_failure_tells_the_user_why() -> None:
    given = documents.failure(
        "ap2009", OperationResult.INVALID_PARAMETER, text='The "device" is missing'
    )
    assert read(given) == {
        "OperationResult": "102",
        "GeneralErrorText": "The ”device” is missing",
    }
    page = documents.failure("ap2009", OperationResult.GENERAL_ERROR, page=PAGE)
    assert read(page, "st=1")["GeneralErrorURL"] == PAGE.url


def test_a_message_has_the_four_fields_that_android_needs() -> None:
    """ODSA-48a, Q-DOC-11."""
    message = message_characteristic(UserMessage(message="Do you agree?"), DisplayLimits())
    given = documents.subscription(
        "ap2009", SubscriptionResult.REQUIRES_USER_INPUT, message=message
    )
    found = read(given)
    assert found["SubscriptionResult"] == "8"
    assert found["MSG"] == {
        "Message": "Do you agree?",
        "Accept_btn": "1",
        "Reject_btn": "1",
        "Accept_freetext": "0",
    }


def test_a_message_keeps_to_the_display_limits_and_carries_its_pattern() -> None:
    message = UserMessage(
        title="A long title",
        message="Your code?",
        free_text=True,
        hint="four digits",
        pattern="[0-9]{4}",
        failed_text="Four digits, please",
    )
    limits = DisplayLimits(title=6, hint=40)
    found = dict(message_characteristic(message, limits).parms)
    assert found["Title"] == "A lon…"
    assert found["Accept_freetext_hint"] == "four digits"
    pattern = found["Accept_freetext_validation"].removeprefix("encodedValue=")
    assert base64.b64decode(pattern) == b"[0-9]{4}"


def test_result_numbers_are_those_of_the_standard() -> None:
    assert [int(one) for one in OperationResult] == [1, 100, 101, 102, 103, 104]
    assert [int(one) for one in SubscriptionResult] == list(range(1, 9))
