"""The client against the lab's SM-DP+ over real TLS: ES2-10 to ES2-16, FAIL-02 to FAIL-10, 13, 18.

The lab reads and writes JSON by itself, so that two readings of SGP.22 meet here.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.backends.smdp_plus import (
    Cause,
    Contradicted,
    Executed,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    ProfileState,
    ProfileStatus,
    Refused,
)
from actors.backends.smdp_plus_client import SmdpPlusClient
from actors.backends.smdp_plus_servers import SmdpPlusServers
from config.model import SmdpPlus, Tenant
from protocols.es2plus.identifiers import ConfirmationCode, MatchingId
from protocols.es2plus.requests import (
    CancelOrder,
    ConfirmOrder,
    DownloadOrder,
    DownloadOrdered,
    FinalProfileStatus,
    OrderConfirmed,
    ReleaseProfile,
    Request,
)
from protocols.es2plus.status_codes import StatusClass, StatusCode
from protocols.identity import Eid, Iccid
from scripts.lab.smdp_plus_certificates import Authority, Credential
from scripts.lab.smdp_plus_profiles import luhn
from scripts.lab.smdp_plus_running import (
    RunningSmdpPlus,
    running_listener,
    running_smdp_plus,
)
from scripts.lab.smdp_plus_server import SmdpPlusServer

EID = Eid("89049032123451234512345678901235")
ICCID = Iccid(luhn("894900000000000003"))
MATCHING_ID = MatchingId("A1B2C-D3E4F")

Settings = Callable[..., SmdpPlus]


@pytest.fixture
async def running(certificates: Any, smdp: SmdpPlusServer) -> AsyncIterator[RunningSmdpPlus]:  # noqa: ANN401
    async with running_smdp_plus(smdp, certificates.server, certificates.trusted) as lab:
        yield lab


@asynccontextmanager
async def client_of(settings: SmdpPlus, tenant: str = "mno") -> AsyncIterator[SmdpPlusClient]:
    client = SmdpPlusClient(tenant, settings)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: SmdpPlusClient, request: Request, budget: float = 5.0) -> Outcome:
    return await client.execute(client.prepare(request, f"call-{request.function.value}"), budget)


@pytest.mark.parametrize(("http2", "version"), [(False, "1.1"), (True, "2")])
async def test_an_order_runs_to_its_release_and_devices_can_download(
    running: RunningSmdpPlus, settings: Settings, http2: bool, version: str
) -> None:
    """ES2-01 to ES2-06, ES2-10, ES2-16"""
    async with client_of(settings(running.url, http2=http2)) as client:
        assert await ask(client, DownloadOrder(ICCID, "CONSUMER_5G", EID)) == Executed(
            DownloadOrdered(ICCID)
        )
        confirm = ConfirmOrder(ICCID, False, EID, MATCHING_ID, ConfirmationCode("4711"))
        assert await ask(client, confirm) == Executed(OrderConfirmed(MATCHING_ID, EID))
        assert isinstance(await ask(client, ReleaseProfile(ICCID)), Executed)
        assert isinstance(await ask(client, ReleaseProfile(ICCID)), Executed)  # idempotent
    profile = await running.download(ICCID, EID)
    assert profile.history == ["Available", "Linked", "Confirmed", "Released", "Downloaded"]
    assert (profile.matching_id, profile.confirmation_code) == (MATCHING_ID, "4711")
    books = running.server.books
    assert books.order() == ["downloadOrder", "confirmOrder", "releaseProfile", "releaseProfile"]
    assert {call.http_version for call in books.calls} == {version}
    assert {call.client for call in books.calls} == {"operator.lab"}
    for call in books.calls:
        assert call.headers["x-admin-protocol"] == "gsma/rsp/v2.2.0"
        assert call.headers["content-type"] == "application/json"
        assert call.fields["header"]["functionRequesterIdentifier"] == "2.999.20"
    assert books.calls[1].fields["eid"] == books.calls[0].fields["eid"] == EID


async def test_connections_are_kept(running: RunningSmdpPlus, settings: Settings) -> None:
    for http2 in (False, True):
        async with client_of(settings(running.url, http2=http2)) as client:
            for _ in range(3):
                await ask(client, ReleaseProfile(ICCID))
            pool = client._http._client._transport._pool  # type: ignore[attr-defined]
            assert len(pool.connections) == 1


async def test_a_peer_that_knows_http_1_alone_is_spoken_to_although_h2_is_offered(
    certificates: Any,  # noqa: ANN401
    smdp: SmdpPlusServer,
    settings: Settings,
) -> None:
    """ES2-16"""
    async with running_smdp_plus(
        smdp, certificates.server, certificates.trusted, http2=False
    ) as lab, client_of(settings(lab.url, http2=True)) as client:  # fmt: skip
        assert isinstance(await ask(client, DownloadOrder(ICCID)), Executed)
    assert smdp.books.calls[0].http_version == "1.1"


async def test_two_tenants_show_two_certificates(
    running: RunningSmdpPlus,
    settings: Settings,
    certificates: Any,  # noqa: ANN401
) -> None:
    """ES2-13"""
    for credential in (certificates.client, certificates.second_client):
        async with client_of(settings(running.url, credential)) as client:
            await ask(client, ReleaseProfile(ICCID))
    assert [call.client for call in running.server.books.calls] == ["operator.lab", "mvno.lab"]


@pytest.mark.parametrize("wrong", ["issuer", "name", "expired"])
async def test_a_wrong_server_certificate_is_refused_before_anything_is_sent(
    certificates: Any,  # noqa: ANN401
    smdp: SmdpPlusServer,
    settings: Settings,
    wrong: str,
) -> None:
    """ES2-14"""
    credential = {
        "issuer": lambda: certificates.other.issue("dp1.lab", hosts=("127.0.0.1",)),
        "name": lambda: certificates.authority.issue("other.lab"),
        "expired": lambda: certificates.authority.issue("old", hosts=("127.0.0.1",), days=-1),
    }[wrong]()
    async with (
        running_smdp_plus(smdp, credential, certificates.trusted) as lab,
        client_of(settings(lab.url)) as client,
    ):
        found = await ask(client, DownloadOrder(ICCID))
    assert isinstance(found, NotExecuted)
    assert found.cause is Cause.TLS_REFUSED
    assert smdp.books.calls == []


async def test_the_server_name_of_the_configuration_counts(
    certificates: Any,  # noqa: ANN401
    smdp: SmdpPlusServer,
    settings: Settings,
) -> None:
    credential = certificates.authority.issue("es2.vendor.example")
    async with (
        running_smdp_plus(smdp, credential, certificates.trusted) as lab,
        client_of(settings(lab.url, server_name="es2.vendor.example")) as client,
    ):
        assert isinstance(await ask(client, DownloadOrder(ICCID)), Executed)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_tls_1_1_is_refused_and_the_required_suite_works(
    certificates: Any,  # noqa: ANN401
    smdp: SmdpPlusServer,
    settings: Settings,
) -> None:
    """ES2-15"""

    def context(version: ssl.TLSVersion) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = made.maximum_version = version
        made.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
        if version is ssl.TLSVersion.TLSv1_1:
            made.set_ciphers("ALL:@SECLEVEL=0")
        made.load_cert_chain(certificates.server.chain, certificates.server.key)
        made.load_verify_locations(cadata=certificates.trusted)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    async with (
        running_listener(smdp, context(ssl.TLSVersion.TLSv1_1)) as url,
        client_of(settings(url)) as client,
    ):
        found = await ask(client, DownloadOrder(ICCID))
        assert isinstance(found, NotExecuted)
        assert found.cause is Cause.TLS_REFUSED
    async with (
        running_listener(smdp, context(ssl.TLSVersion.TLSv1_2)) as url,
        client_of(settings(url)) as client,
    ):
        assert isinstance(await ask(client, DownloadOrder(ICCID)), Executed)


@pytest.mark.parametrize("wrong", ["expired", "foreign"])
async def test_a_client_certificate_that_the_peer_refuses_is_told_as_such(
    running: RunningSmdpPlus,
    settings: Settings,
    certificates: Any,  # noqa: ANN401
    wrong: str,
) -> None:
    """FAIL-18"""
    credential: Credential = {
        "expired": lambda: certificates.authority.issue("expired.lab", days=-1),
        "foreign": lambda: certificates.other.issue("foreign.lab"),
    }[wrong]()
    async with client_of(settings(running.url, credential)) as client:
        found = await ask(client, DownloadOrder(ICCID), 1.0)
    # The server's alert may be lost with the reset behind it; then the outcome is in doubt.
    assert isinstance(found, NotExecuted | OutcomeUnknown)
    assert found.cause in (Cause.TLS_REFUSED, Cause.CONNECTION_LOST)
    assert running.server.books.calls == []


async def test_refusals_come_back_with_their_codes(
    running: RunningSmdpPlus, settings: Settings
) -> None:
    """ES2-17"""
    async with client_of(settings(running.url)) as client:
        await ask(client, DownloadOrder(ICCID))
        for request, code, kind in (
            (DownloadOrder(ICCID), "8.2.1/3.3", StatusClass.MAYBE_DONE),
            (ReleaseProfile(ICCID), "8.2.1/3.5", StatusClass.RECONCILE),
            (DownloadOrder(profile_type="NONE"), "8.2.5/3.9", StatusClass.FATAL_CONFIGURATION),
            (ReleaseProfile(Iccid("8949000000999999990")), "8.2.1/3.9", StatusClass.ICCID_UNUSABLE),
        ):
            found = await ask(client, request)
            assert isinstance(found, Refused)
            assert (str(found.code), found.status_class) == (code, kind)


# httpx2 leaves the generator of a body that nobody wants any more to the collector.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("silent", Cause.TIMEOUT),
        ("reset", Cause.CONNECTION_LOST),
        ("truncated", Cause.MALFORMED_ANSWER),
        ("broken=500", Cause.SERVER_ERROR),
        ("broken=502", Cause.SERVER_ERROR),
        ("drip=0.2", Cause.TIMEOUT),
        ("huge", Cause.MALFORMED_ANSWER),
    ],
)
async def test_an_answer_that_is_lost_after_execution_leaves_a_doubt(
    running: RunningSmdpPlus, settings: Settings, words: str, cause: Cause, http2: bool
) -> None:
    """FAIL-03 to FAIL-08"""
    running.server.behaviours.set("*", words)
    async with client_of(settings(running.url, http2=http2)) as client:
        with trio.fail_after(5):
            found = await ask(client, DownloadOrder(ICCID), 0.4)
    assert isinstance(found, OutcomeUnknown)
    assert found.cause is cause
    assert running.server.inventory.find(ICCID).state == "Allocated"  # type: ignore[union-attr]


@pytest.mark.parametrize("http2", [False, True])
async def test_a_repetition_after_a_loss_gets_its_answer(
    running: RunningSmdpPlus, settings: Settings, http2: bool
) -> None:
    """ES2-05, and the order saga's reading of a doubt"""
    running.server.behaviours.set(ICCID, "reset,times=1")
    async with client_of(settings(running.url, http2=http2)) as client:
        found = await ask(client, DownloadOrder(ICCID))
    assert found == Refused(
        StatusCode("8.2.1", "3.3"),
        StatusClass.MAYBE_DONE,
        "the profile is not available",
        after_doubt=True,
    )
    first, second = running.server.books.calls
    assert first.raw == second.raw


async def test_a_redirect_is_not_followed(running: RunningSmdpPlus, settings: Settings) -> None:
    """FAIL-10"""
    running.server.behaviours.set("*", f"redirect={running.url}/elsewhere")
    async with client_of(settings(running.url)) as client:
        found = await ask(client, DownloadOrder(ICCID))
    assert isinstance(found, Refused)
    assert found.http_status == 307
    assert len(running.server.books.calls) == 1


@pytest.mark.parametrize(
    "words", ["charset", "no-version", "version=3.1.0", "padded", "status=Executed-WithWarning"]
)
async def test_habits_of_peers_do_not_matter(
    running: RunningSmdpPlus, settings: Settings, words: str
) -> None:
    """ES2-18, ES2-21, ES2-27, ES2-28"""
    running.server.behaviours.set("*", words)
    async with client_of(settings(running.url)) as client:
        found = await ask(client, DownloadOrder(ICCID))
    assert isinstance(found, Executed)
    assert found.result == DownloadOrdered(ICCID)


@pytest.mark.parametrize("words", ["other-matching-id", "no-matching-id"])
async def test_a_contradicting_confirmation_is_told(
    running: RunningSmdpPlus, settings: Settings, words: str
) -> None:
    """ES2-23, ES2-26"""
    running.server.behaviours.set("*", f"{words},function=confirmOrder")
    async with client_of(settings(running.url)) as client:
        await ask(client, DownloadOrder(ICCID))
        own = MATCHING_ID if words == "other-matching-id" else None
        found = await ask(client, ConfirmOrder(ICCID, False, None, own))
    assert isinstance(found, Contradicted)


async def test_cancelling_gives_the_profile_back(
    running: RunningSmdpPlus, settings: Settings
) -> None:
    async with client_of(settings(running.url)) as client:
        await ask(client, DownloadOrder(ICCID, eid=EID))
        await ask(client, ConfirmOrder(ICCID, True, EID, MATCHING_ID))
        wrong = await ask(client, CancelOrder(ICCID, FinalProfileStatus.AVAILABLE))
        assert isinstance(wrong, Refused)
        cancel = CancelOrder(ICCID, FinalProfileStatus.AVAILABLE, EID, MATCHING_ID)
        assert isinstance(await ask(client, cancel), Executed)
        again = await ask(client, cancel)
        assert isinstance(again, Refused)
        assert again.status_class is StatusClass.ICCID_UNUSABLE
    assert running.server.inventory.leaked() == []


async def test_a_status_query_where_the_vendor_has_one(
    running: RunningSmdpPlus, settings: Settings
) -> None:
    async with client_of(settings(running.url, driver="idemia")) as client:
        await ask(client, DownloadOrder(ICCID, eid=EID))
        assert await client.profile_status((ICCID,), 5.0) == (
            ProfileStatus(ICCID, ProfileState.LINKED, "LINKED", EID),
        )
        running.server.behaviours.set("*", "http=503,retry-after=9")
        found = await client.profile_status((ICCID,), 5.0)
        assert found == NotExecuted(Cause.OVERLOADED, 9.0, "HTTP 503")
        running.server.behaviours.set("*", "truncated")
        assert isinstance(await client.profile_status((ICCID,), 5.0), OutcomeUnknown)
        running.server.behaviours.set("*", "refuse=1.2/5.1")
        assert isinstance(await client.profile_status((ICCID,), 5.0), Refused)


async def test_a_refused_connection_was_not_executed(settings: Settings) -> None:
    """FAIL-02"""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with client_of(settings(f"https://127.0.0.1:{port}")) as client:
        found = await ask(client, DownloadOrder(ICCID), 0.1)
    assert isinstance(found, NotExecuted)
    assert found.cause is Cause.CONNECT_FAILED


class NoNames(trio.abc.HostnameResolver):
    async def getaddrinfo(self, *_: object) -> list[Any]:  # type: ignore[override]
        raise OSError(-2, "Name or service not known")

    async def getnameinfo(self, *_: object) -> tuple[str, str]:  # type: ignore[override]
        raise OSError


async def test_a_name_that_dns_does_not_know_was_not_executed(settings: Settings) -> None:
    """FAIL-01"""
    trio.socket.set_custom_hostname_resolver(NoNames())
    async with client_of(settings("https://es2.nowhere.example")) as client:
        found = await ask(client, DownloadOrder(ICCID), 0.1)
    assert isinstance(found, NotExecuted)
    assert found.cause is Cause.CONNECT_FAILED


async def test_a_peer_that_never_shakes_hands_was_not_executed(settings: Settings) -> None:
    """FAIL-04"""

    async def mute(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, mute, [listener])
        url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with client_of(settings(url, connect_seconds=0.1)) as client:
            found = await ask(client, DownloadOrder(ICCID), 0.2)
        nursery.cancel_scope.cancel()
    assert isinstance(found, NotExecuted)
    assert found.cause is Cause.CONNECT_FAILED


async def test_a_kept_connection_that_the_peer_closed_is_replaced(
    certificates: Any,  # noqa: ANN401
    smdp: SmdpPlusServer,
    settings: Settings,
) -> None:
    """FAIL-04"""
    for http2 in (False, True):
        async with running_smdp_plus(smdp, certificates.server, certificates.trusted) as lab:
            client = SmdpPlusClient("mno", settings(lab.url, http2=http2))
            await ask(client, ReleaseProfile(ICCID))
            place = lab.url.removeprefix("https://")
        async with running_smdp_plus(smdp, certificates.server, certificates.trusted, listen=place):
            assert isinstance(await ask(client, ReleaseProfile(ICCID)), Refused)
            await client.close()


async def test_a_reload_takes_a_renewed_certificate_and_lets_calls_finish(
    running: RunningSmdpPlus,
    settings: Settings,
    certificates: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    """FAIL-13"""
    files = (tmp_path / "c.pem", tmp_path / "c.key")

    def install(credential: Credential) -> None:
        files[0].write_bytes(credential.chain.read_bytes())
        files[1].write_bytes(credential.key.read_bytes())

    install(certificates.client)
    own = settings(running.url, certificate=str(files[0]), key=str(files[1]))
    tenants = [Tenant(id="mno", smdp_plus=(own,))]
    servers = SmdpPlusServers(tenants)
    (client,) = servers.of("mno")
    assert servers.find("mno", "dp1") is client
    assert servers.find("mvno", "dp1") is None
    running.server.behaviours.set("*", "delay=0.3,times=1")
    found: list[Outcome] = []

    async def first() -> None:
        found.append(await ask(client, DownloadOrder(ICCID)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await trio.sleep(0.1)
        install(certificates.second_client)
        assert await servers.reload(tenants) == []
        await ask(client, ReleaseProfile(ICCID))
    assert isinstance(found[0], Executed)
    assert {call.client for call in running.server.books.calls} == {"operator.lab", "mvno.lab"}
    files[1].write_text("no key")
    (problem,) = await servers.reload(tenants)
    assert problem.startswith("mno/dp1: ")
    assert isinstance(await ask(client, ReleaseProfile(ICCID)), Refused)
    assert await servers.reload([]) == []
    assert servers.of("mno") == ()
    assert servers.statistics() == ()


async def test_several_smdp_plus_serve_profile_types(
    running: RunningSmdpPlus, settings: Settings
) -> None:
    """FLOW-18: the one that is available comes first"""
    first = settings(running.url, name="a", maintenance=("00:00-23:59", "23:58-00:01"))
    second = settings(running.url, name="b", profile_types=("WATCH",))
    servers = SmdpPlusServers([Tenant(id="mno", smdp_plus=(first, second))])
    assert [one.name for one in servers.for_profile_type("mno", "WATCH")] == ["b", "a"]
    assert [one.name for one in servers.for_profile_type("mno", "PHONE")] == ["a"]
    names = [one.name for one in servers.statistics()]
    assert names == ["mno/a", "mno/b"]
    async with trio.open_nursery() as nursery:
        await nursery.start(servers.run)
        nursery.cancel_scope.cancel()


def test_a_missing_certificate_file_is_told_at_once(settings: Settings) -> None:
    with pytest.raises(OSError, match="No such file"):
        SmdpPlusClient("mno", settings("https://127.0.0.1:1", ca="/nowhere.pem"))


async def test_inside_a_vpn_plain_http_with_basic_works(settings: Settings) -> None:
    seen = b""

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal seen
        seen = await stream.receive_some(65_536)
        body = b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}}}'
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        own = settings(url, inside_vpn=True, basic_user="u", basic_password="p")
        async with client_of(own) as client:
            assert isinstance(await ask(client, ReleaseProfile(ICCID)), Executed)
        nursery.cancel_scope.cancel()
    assert b"authorization: basic dTpw" in seen.lower().replace(b"dtpw", b"dTpw")


def test_the_labs_authority_makes_what_sgp_22_asks_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    made = authority.issue("dp.lab", oid="2.999.10")
    assert made.chain.read_text().startswith("-----BEGIN CERTIFICATE")
