"""The register, lines that are not active, languages, and whole documents from a request on."""

from typing import Any

import msgspec
import pytest

from actors.backends.bss import SubscriberStatus
from actors.entitlement.applications import APPS, check_operation, decide
from actors.entitlement.composition import document
from config.model import Tenant, Versions
from protocols.ts43.applications import APPLICATION_NAMES
from protocols.ts43.messages import language_of
from protocols.ts43.negotiation import DocumentFormat
from protocols.ts43.operations import OPERATION_NAMES
from protocols.ts43.request import RequestError, Ts43Request, parse_request
from protocols.ts43.responses import document_response
from tests.actors.entitlement.lines import (
    EVERYTHING,
    LINE,
    NOTHING,
    TENANT,
    USER_DATA,
    given,
    line,
    seen,
)
from tests.protocols.ts43.document_readers import read_json, read_like_samsung
from tests.protocols.ts43.requests import EAP_RELAY, XML, get, params, post

INACTIVE = [status for status in SubscriberStatus if status is not SubscriberStatus.ACTIVE]


def serve(request: object, tenant: Tenant = TENANT, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """From a request to what its client reads, as a session does it."""
    assert isinstance(request, Ts43Request)
    request.check_version(tenant.versions)
    decision_input = given(
        tenant=tenant,
        entitlement_version=request.entitlement_version,
        language=language_of(request.accept_language, tenant.default_language, tenant.messages),
        boost_type=request.boost_type,
        **changes,
    )
    decisions = [decide(app_id, decision_input) for app_id in request.apps]
    whole = document(
        decisions,
        decision_input.subscriber,
        tenant,
        token="tok",
        token_validity_seconds=60,
        fillings=tuple(USER_DATA for one in decisions if one.user_data_as is not None),
    )
    response = document_response(whole, request.format_for(tenant.prefer_json))
    read = read_json if response.content_type == b"application/json" else read_like_samsung
    return read(response.body)


@pytest.mark.parametrize("status", INACTIVE)
@pytest.mark.parametrize("app_id", APPS)
def test_a_line_that_is_not_active_has_no_service(app_id: str, status: SubscriberStatus) -> None:
    """Overrides do not help it either."""
    overrides = tuple((name, "allowed") for name in EVERYTHING.services)
    subscriber = line(status=status, overrides=overrides)
    decision = decide(app_id, given(subscriber, boost_type=0))
    assert decision.entitlement_status == 2
    assert f"the line is {status.value}" in decision.reason
    assert '"EntitlementStatus": "1"' not in str(seen(decision)).replace("'", '"')


def test_a_suspended_line_hears_why_in_its_language() -> None:
    subscriber = line(status=SubscriberStatus.SUSPENDED)
    found = seen(decide("ap2004", given(subscriber, language="de")))
    assert found["MessageForIncompatible"].startswith("Ihr Anschluss ist gesperrt.")


@pytest.mark.parametrize("barred", [0, -1, -2])
@pytest.mark.parametrize("accept", [XML, b"application/json"])
def test_a_barred_line_gets_the_tenants_vers(barred: int, accept: bytes) -> None:
    """APP-41."""
    tenant = msgspec.structs.replace(TENANT, versions=Versions(barred=barred))
    request = parse_request(get(params("ap2004", "ap2005"), (b"accept", accept)))
    found = serve(request, tenant, subscriber=line(status=SubscriberStatus.BARRED))
    assert found["VERS"] == {"version": str(barred), "validity": str(barred)}
    assert found["ap2004"]["EntitlementStatus"] == found["ap2005"]["EntitlementStatus"] == "2"


def test_vers_of_every_other_line() -> None:
    """APP-41, Q-HTTP-11: 1 for normal answers."""
    usual = document([], LINE, TENANT)
    assert (usual.version, usual.validity_seconds) == (1, 172_800)
    spread = document([], LINE, TENANT, validity_seconds=170_000)
    assert (spread.version, spread.validity_seconds) == (1, 170_000)
    suspended = document([], line(status=SubscriberStatus.SUSPENDED), TENANT)
    assert suspended.version == 1
    ended = document([], line(status=SubscriberStatus.TERMINATED), TENANT, validity_seconds=5)
    assert (ended.version, ended.validity_seconds) == (0, 0)


@pytest.mark.parametrize(
    ("override", "plan_has", "status"),
    [
        ("", True, 1),
        ("", False, 2),
        ("allowed", False, 1),
        ("blocked", True, 2),
        ("provisioning", True, 3),
        ("disabled", True, 0),
        ("nonsense", True, 1),
    ],
)
def test_sms_is_one_status(override: str, plan_has: bool, status: int) -> None:
    overrides = (("vowifi", "blocked"), ("smsoip", override)) if override else ()
    decision = decide(
        "ap2005", given(line(overrides=overrides), EVERYTHING if plan_has else NOTHING)
    )
    assert seen(decision) == {"EntitlementStatus": str(status)}
    assert decision.entitlement_status == status


NOT_OFFERED = "This service is not available from your operator."
WITH_STATUS = {
    "ap2012": {"TC_Status": "2"},  # mandatory there (§11.1.2)
    "ap2013": {},
    "ap2016": {},
}
ELIGIBILITY = {
    "ap2006": "CompanionAppEligibility",
    "ap2009": "PrimaryAppEligibility",
    "ap2011": "EnterpriseAppEligibility",
    "ap2017": "PrimaryAppEligibility",
}
ERROR = {"OperationResult": "100", "GeneralErrorText": NOT_OFFERED}


@pytest.mark.parametrize("app_id", WITH_STATUS)
def test_an_application_with_a_status_that_is_not_served_is_incompatible(app_id: str) -> None:
    """APP-40, Q-DOC-17: a missing application would count as a fault of the server."""
    for operation in ("", "CheckEligibility", "GetPhoneNumber"):
        decision = decide(app_id, given(notification_status=1, operation=operation))
        assert seen(decision) == {
            "EntitlementStatus": "2",
            "MessageForIncompatible": NOT_OFFERED,
            "RegisterNotifStatus": "1",
            **WITH_STATUS[app_id],
        }
        assert decision.reason.endswith(f"the node does not serve {app_id}")


@pytest.mark.parametrize("app_id", [*ELIGIBILITY, "ap2014", "ap2015"])
@pytest.mark.parametrize("operation", ["", *sorted(OPERATION_NAMES)])
def test_an_operation_that_is_not_supported_gets_its_own_kind_of_no(
    app_id: str, operation: str
) -> None:
    """APP-40, ODSA-45b, ODSA-45c; tables 38 and 39."""
    expected = ERROR if operation else {"OperationResult": "101"}
    if app_id in ELIGIBILITY and operation == "CheckEligibility":
        expected = {ELIGIBILITY[app_id]: "0", "OperationResult": "1"}
    elif app_id in ELIGIBILITY and operation == "ManageService":
        expected = {"OperationResult": "103"}
    assert seen(decide(app_id, given(operation=operation))) == expected
    assert set(APPLICATION_NAMES) == {*APPS, *WITH_STATUS, *ELIGIBILITY, "ap2014", "ap2015"}


@pytest.mark.parametrize(
    ("apps", "operation", "refused"),
    [
        ("ap2014", "GetPhoneNumber", True),
        ("ap2015", "CheckEligibility", True),  # an operation, although not one of this application
        ("ap2006,ap2014", "AcquireConfiguration", True),
        ("ap2009", "ManageSubscription", True),
        ("ap2009", "CheckEligibility", False),
        ("ap2009", "ManageService", False),
        ("ap2009,ap2014", "CheckEligibility", False),
        ("ap2004,ap2014", "GetPhoneNumber", False),  # the served one gets its document
        ("ap2012,ap2014", "GetPhoneNumber", False),
        ("ap2014", "Dance", False),
        ("ap2014", "", False),
        ("ap2004", "GetPhoneNumber", False),  # nothing to do with it: ignored
    ],
)
def test_a_request_for_unsupported_operations_alone_is_405(
    apps: str, operation: str, refused: bool
) -> None:
    """TS.43 §2.10, table 13."""
    try:
        check_operation(tuple(apps.split(",")), operation)
    except RequestError as error:
        assert refused
        response = error.response()
        assert response.status == 405
        assert response.header(b"allow") == b"GET, POST"
    else:
        assert not refused


@pytest.mark.parametrize("status", [0, 1, 2])
@pytest.mark.parametrize("app_id", APPS)
def test_the_result_of_a_registration_is_in_every_application(app_id: str, status: int) -> None:
    """APP-42."""
    for boost_type in (None, 0):
        sent = given(notification_status=status, boost_type=boost_type)
        assert seen(decide(app_id, sent))["RegisterNotifStatus"] == str(status)
        assert "RegisterNotifStatus" not in seen(decide(app_id, given(boost_type=boost_type)))


@pytest.mark.parametrize("app_id", APPS)
def test_the_same_input_gives_the_same_decision(app_id: str) -> None:
    first, second = decide(app_id, given()), decide(app_id, given())
    assert first == second
    assert hash(first.application) == hash(second.application)


def test_get_and_post_lead_to_the_same_document() -> None:
    """T-01, T-02, T-03a."""
    wanted = params("ap2004", "ap2003", "ap2005")
    apps = ["ap2004", "ap2003", "ap2005"]
    by_get = serve(parse_request(get(wanted)))
    assert by_get == serve(parse_request(post({**dict(wanted), "app": apps})))
    assert by_get == serve(parse_request(get(wanted, (b"accept", b"application/json"))))
    assert list(by_get) == ["VERS", "TOKEN", *apps]
    assert by_get["TOKEN"] == {"token": "tok", "validity": "60"}


def test_the_tenant_chooses_where_the_client_takes_both() -> None:
    """T-04, T-05, Q-TOK-3."""
    both = (b"accept", EAP_RELAY + b", application/json, " + XML)
    request = parse_request(get(params("ap2004"), both))
    assert request.format_for(prefer_json=False) is DocumentFormat.XML
    assert request.format_for(prefer_json=True) is DocumentFormat.JSON
    only_xml = parse_request(get(params("ap2004"), (b"accept", EAP_RELAY + b", " + XML)))
    assert only_xml.format_for(prefer_json=True) is DocumentFormat.XML


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (b"fr", "Les appels Wi-Fi ne sont pas disponibles avec votre forfait."),
        (b"fr-CA, en;q=0.2", "Les appels Wi-Fi ne sont pas disponibles avec votre forfait."),
        (b"it", "Wi-Fi calling is not available with your plan."),
        (b"", "Wi-Fi calling is not available with your plan."),
    ],
)
def test_the_message_is_in_the_clients_language(language: bytes, text: str) -> None:
    """T-11."""
    request = parse_request(get(params("ap2004"), (b"accept-language", language)))
    found = serve(request, of_plan=NOTHING)
    assert found["ap2004"]["MessageForIncompatible"] == text


def test_a_tenants_own_text_is_sent_in_both_forms() -> None:
    """T-11."""
    own = {"vowifi-not-offered": {"fr": "Pas chez nous & ailleurs"}}
    tenant = msgspec.structs.replace(TENANT, default_language="fr", messages=own)
    for accept in (XML, b"application/json"):
        request = parse_request(get(params("ap2004"), (b"accept", accept)))
        found = serve(request, tenant, of_plan=NOTHING)
        assert found["ap2004"]["MessageForIncompatible"] == "Pas chez nous & ailleurs"
