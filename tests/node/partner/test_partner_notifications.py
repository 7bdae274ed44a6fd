"""SM-DP+ report over mutual TLS: ES2-33 to ES2-44, FAIL-15; curl is the foreign client."""

import json
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from actors.backends.smdp_plus import (
    Disposition,
    Executed,
    NotKept,
    ProfileEvent,
    SmdpNotification,
)
from actors.backends.smdp_plus_client import SmdpPlusClient
from config.model import Config, Diameter, Partner, SmdpPlus, Tenant
from node.partner.listener import server_context
from node.partner.partners import Partners
from protocols.es2plus.requests import ConfirmOrder, DownloadOrder, ReleaseProfile
from protocols.es2plus.status_codes import StatusClass, StatusCode
from protocols.identity import Iccid
from scripts.lab.smdp_plus_certificates import Authority, Credential
from scripts.lab.smdp_plus_notifier import DIALECTS, Notifier
from scripts.lab.smdp_plus_profiles import Inventory, Profile, inventory, luhn
from scripts.lab.smdp_plus_running import running_smdp_plus
from scripts.lab.smdp_plus_server import SmdpPlusServer

EID = "89049032123451234512345678901235"
PROFILE = Profile(luhn("894900000000000003"), "CONSUMER_5G", eid=EID)
PATH = "/gsma/rsp2/es2plus/handleDownloadProgressInfo"


class Vendors:
    """Certificates of two vendors with an authority each, and of nobody."""

    def __init__(self, folder: Path) -> None:
        self.node = Authority(folder / "node", "Operator CA")
        self.server = self.node.issue("partner.lab", hosts=("localhost", "127.0.0.1"))
        self.one = Authority(folder / "one", "Vendor one CA")
        self.two = Authority(folder / "two", "Vendor two CA")
        self.first = self.one.issue("dp1.vendor.example")
        self.second = self.two.issue("dp2.vendor.example", oid="2.999.10")
        self.named_alike = self.two.issue("impostor", hosts=("dp1.vendor.example",))
        self.unnamed = self.one.issue("printer.vendor.example")
        self.stranger = Authority(folder / "three", "Nobody").issue("dp1.vendor.example")

    def config(self, **partner: object) -> Config:
        def smdp(name: str, authority: Authority, names: tuple[str, ...], **own: Any) -> SmdpPlus:  # noqa: ANN401
            return SmdpPlus(
                name=name,
                url="https://es2.example",
                requester="r",
                ca="",
                certificate="",
                key="",
                notification_ca=str(authority.ca),
                notification_names=names,
                **own,
            )

        first = smdp("dp1", self.one, ("dp1.vendor.example",), driver="idemia")
        again = smdp("dp1", self.one, ("dp1.vendor.example",), notification_prefix="/mvno")
        second = smdp("dp2", self.two, ("2.999.10",), driver="china-mobile-international")
        values: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "certificate": str(self.server.chain),
            "key": str(self.server.key),
        }
        return Config(
            diameter=Diameter(origin_host="a", origin_realm="b"),
            tenants=(
                Tenant(id="mno", smdp_plus=(first, second)),
                Tenant(id="mvno", smdp_plus=(again,)),
            ),
            partner=Partner(**(values | partner)),
        )


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Vendors:
    return Vendors(tmp_path_factory.mktemp("partner"))


class Orders:
    """Stands for the orders: keeps what comes, says what it is told to say."""

    def __init__(self) -> None:
        self.kept: list[SmdpNotification] = []
        self.answer: Disposition | Exception = Disposition.KEPT
        self.installed = trio.Event()

    async def keep(self, notification: SmdpNotification) -> Disposition:
        await trio.lowlevel.checkpoint()
        if isinstance(self.answer, Exception):
            raise self.answer
        if any(one.key == notification.key for one in self.kept):
            return Disposition.DUPLICATE
        self.kept.append(notification)
        if notification.event is ProfileEvent.INSTALLED:
            self.installed.set()
        return self.answer


class Running:
    def __init__(self, partners: Partners, url: str, orders: Orders, vendors: Vendors) -> None:
        self.partners = partners
        self.url = url
        self.orders = orders
        self.vendors = vendors

    def notifier(self, credential: Credential | None = None, dialect: str = "standard") -> Notifier:
        own = credential or self.vendors.first
        return Notifier(self.url, str(self.vendors.node.ca), own, DIALECTS[dialect])

    @property
    def received(self) -> dict[str, int]:
        return dict(self.partners.statistics().notifications.received)


@pytest.fixture
async def running(vendors: Vendors) -> AsyncIterator[Running]:
    orders = Orders()
    partners = Partners(vendors.config(), orders.keep)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partners.run)
        yield Running(partners, str(url), orders, vendors)
        nursery.cancel_scope.cancel()


async def test_a_notification_is_answered_204_with_an_empty_body_in_time(running: Running) -> None:
    """ES2-33"""
    began = time.monotonic()
    sent = await running.notifier().notify(PROFILE, 4)
    assert time.monotonic() - began < 1
    assert (sent.http_status, sent.body) == (204, b"")
    assert sent.headers["x-admin-protocol"] == "gsma/rsp/v2.2.0"
    (one,) = running.orders.kept
    assert (one.tenant, one.smdp, one.iccid, one.eid) == ("mno", "dp1", PROFILE.iccid, EID)
    assert (one.event, one.point, one.succeeded) == (ProfileEvent.INSTALLED, "4", True)
    assert one.installation is not None
    assert one.installation.succeeded
    assert json.loads(one.raw)["iccid"] == PROFILE.iccid
    assert PROFILE.iccid not in repr(one)
    assert EID not in repr(one)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_every_dialect_is_understood(running: Running, dialect: str) -> None:
    """ES2-34, ES2-35, ES2-36"""
    foreign = dialect == "china-mobile-international"
    credential = running.vendors.second if foreign else running.vendors.first
    sent = await running.notifier(credential, dialect).notify(PROFILE, 3)
    (one,) = running.orders.kept
    assert (one.iccid, one.event) == (PROFILE.iccid, ProfileEvent.DOWNLOADED)
    assert one.happened_at == pytest.approx(time.time(), abs=5)
    assert one.smdp == ("dp2" if foreign else "dp1")
    if foreign:  # expects the header block of the other functions
        assert sent.http_status == 200
        body = json.loads(sent.body)
        assert body["header"]["functionExecutionStatus"]["status"] == "Executed-Success"
    else:
        assert sent.http_status == 204


async def test_points_mean_what_the_vendor_means_and_unknown_ones_change_nothing(
    running: Running,
) -> None:
    """ES2-42"""
    await running.notifier().notify(PROFILE, 5)
    await running.notifier().notify(PROFILE, 101)
    await running.notifier(running.vendors.second, "china-mobile-international").notify(
        PROFILE, 101
    )
    assert [one.event for one in running.orders.kept] == [
        ProfileEvent.DELETED,
        ProfileEvent.UNKNOWN,
        ProfileEvent.INSTALLED,
    ]
    assert running.partners.statistics().notifications.events == {
        "mno/dp1 deleted": 1,
        "mno/dp1 unknown": 1,
        "mno/dp2 installed": 1,
    }


TABLE_32B = {
    "8.8.5/3.8": StatusClass.BUSINESS_REFUSAL,  # endUserRejection
    "8.2.8/1.2": StatusClass.FATAL,  # pprNotAllowed
    "8.2.9/3.11": StatusClass.BUSINESS_REFUSAL,  # metadataMismatch
    "8.2.10/4.2": StatusClass.TRANSIENT,  # loadBppExecutionError
    "8/4.2": StatusClass.TRANSIENT,  # undefinedReason
    "8.8.5/6.4": StatusClass.SECURITY_ALARM,  # too many downloads
    "8.2.7/6.4": StatusClass.SECURITY_ALARM,  # too many confirmation codes
}


@pytest.mark.parametrize(("code", "kind"), TABLE_32B.items())
async def test_every_failure_of_table_32b_is_told_to_the_order(
    running: Running, code: str, kind: StatusClass
) -> None:
    """ES2-43"""
    await running.notifier().notify(PROFILE, 4, code)
    (one,) = running.orders.kept
    assert not one.succeeded
    assert (one.code, one.status_class) == (StatusCode(*code.split("/")), kind)


async def test_a_duplicate_is_answered_alike_and_counted(running: Running) -> None:
    """ES2-39"""
    notifier = running.notifier()
    body = notifier.body(PROFILE, 3)
    assert [(await notifier.send(body)).http_status for _ in range(3)] == [204, 204, 204]
    assert len(running.orders.kept) == 1
    assert running.received == {"kept": 1, "duplicate": 2}


async def test_an_unknown_iccid_is_204_and_somebody_elses_is_403(running: Running) -> None:
    """ES2-38, ES2-41"""
    running.orders.answer = Disposition.UNKNOWN_ICCID
    assert (await running.notifier().notify(PROFILE, 3)).http_status == 204
    running.orders.answer = Disposition.FOREIGN_ICCID
    assert (await running.notifier().notify(PROFILE, 4)).http_status == 403
    assert running.received == {"unknown-iccid": 1, "foreign-iccid": 1}


async def test_what_cannot_be_persisted_is_503_so_that_it_comes_again(running: Running) -> None:
    running.orders.answer = NotKept("disk full")
    sent = await running.notifier().notify(PROFILE, 3)
    assert sent.http_status == 503
    assert int(sent.headers["retry-after"]) > 0
    running.orders.answer = RuntimeError("a bug")
    assert (await running.notifier().notify(PROFILE, 3)).http_status == 503
    assert running.received == {"not-kept": 1, "crashed": 1}


async def test_certificates_of_nobody_here_are_refused(running: Running) -> None:
    """ES2-38"""
    for credential in (running.vendors.named_alike, running.vendors.unnamed):
        assert (await running.notifier(credential).notify(PROFILE, 3)).http_status == 403
    assert running.orders.kept == []
    assert running.received == {"unknown-sender": 2}


async def test_a_certificate_of_several_tenants_reports_by_its_prefix(running: Running) -> None:
    notifier = running.notifier()
    await notifier.notify(PROFILE, 3)
    notifier.url += "/mvno"
    await notifier.notify(PROFILE, 3)
    notifier.url += "/x"
    assert (await notifier.notify(PROFILE, 3)).http_status == 403
    assert [one.tenant for one in running.orders.kept] == ["mno", "mvno"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff", b'{"iccid":"x"}'])
async def test_a_malformed_body_is_400(running: Running, body: bytes) -> None:
    """ES2-44"""
    assert (await running.notifier().send(body)).http_status == 400
    assert running.orders.kept == []
    assert running.received == {"malformed": 1}


async def test_result_data_never_is_a_reason_to_refuse(running: Running) -> None:
    """ES2-37"""
    notifier = running.notifier()
    for result in (b"\xbf\x37\x03abc", b"\xa2\x00", b"garbage"):
        body = notifier.body(PROFILE, 4, result=result)
        assert (await notifier.send(body)).http_status == 204


async def test_a_storm_is_answered(running: Running) -> None:
    """FAIL-15, at the scale of a test"""
    notifier = running.notifier()

    async def some(first: int) -> None:
        for number in range(first, first + 10):
            profile = Profile(luhn(f"8949{number:014}"), "T")
            assert (await notifier.notify(profile, 3)).http_status == 204

    async with trio.open_nursery() as nursery:
        for at in range(5):
            nursery.start_soon(some, at * 10)
    assert len(running.orders.kept) == 50


async def test_a_reload_takes_new_reporters_and_keeps_the_old_ones_when_it_cannot(
    running: Running, vendors: Vendors, tmp_path: Path
) -> None:
    config = vendors.config(key=str(tmp_path / "none.key"))
    (problem,) = running.partners.reload(config)
    assert problem.startswith("partner: ")
    assert (await running.notifier().notify(PROFILE, 3)).http_status == 204
    fewer = msgspec.structs.replace(vendors.config(), tenants=vendors.config().tenants[1:])
    assert running.partners.reload(fewer) == []
    assert (await running.notifier().notify(PROFILE, 3)).http_status == 403


async def test_without_an_address_nobody_listens(vendors: Vendors) -> None:
    partners = Partners(vendors.config(listen=""), Orders().keep)
    assert not partners.enabled
    async with trio.open_nursery() as nursery:
        assert await nursery.start(partners.run) == ""
        nursery.cancel_scope.cancel()
    assert partners.reload(vendors.config(listen="")) == []
    assert partners.statistics().connections.accepted == 0


async def test_connections_above_the_bound_are_closed(vendors: Vendors) -> None:
    partners = Partners(vendors.config(max_connections=1), Orders().keep)
    async with trio.open_nursery() as nursery:
        url = str(await nursery.start(partners.run))
        host, _, port = url.removeprefix("https://").rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)):
            await trio.testing.wait_all_tasks_blocked(0.05)
            async with await trio.open_tcp_stream(host, int(port)) as second:
                with trio.fail_after(2):
                    assert await second.receive_some(1) == b""
        nursery.cancel_scope.cancel()
    counts = partners.statistics().connections
    assert counts.refused_connections == 1


async def test_a_client_that_never_shakes_hands_is_dropped(vendors: Vendors) -> None:
    partners = Partners(vendors.config(handshake_seconds=0.05), Orders().keep)
    async with trio.open_nursery() as nursery:
        url = str(await nursery.start(partners.run))
        host, _, port = url.removeprefix("https://").rpartition(":")
        for first in (b"", b"GET / HTTP/1.1\r\n\r\n"):
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                if first:
                    await stream.send_all(first)
                with trio.fail_after(2):
                    while await stream.receive_some(1_000):
                        pass
        nursery.cancel_scope.cancel()
    counts = partners.statistics().connections
    assert (counts.refused_handshakes, counts.open_connections) == (2, 0)


async def test_the_labs_smdp_plus_reports_before_its_answer_twice_and_an_installation(
    running: Running, vendors: Vendors
) -> None:
    """FAIL-20, ES2-39: an order's whole way, with the notification ahead of the answer"""
    server = SmdpPlusServer(Inventory(inventory(3)))
    server.behaviours.set("*", "notify=3,notify-twice,install=0.01,function=releaseProfile")
    client_ca = vendors.node.ca.read_text()
    credential = vendors.one.issue("es2", hosts=("127.0.0.1",))
    own = vendors.node.issue("operator.lab")
    notifier = running.notifier()
    async with running_smdp_plus(server, credential, client_ca, notifier=notifier) as lab:
        settings = SmdpPlus(
            name="dp1",
            url=lab.url,
            requester="r",
            ca=str(vendors.one.ca),
            certificate=str(own.chain),
            key=str(own.key),
        )
        smdp = SmdpPlusClient("mno", settings)
        iccid = Iccid(next(iter(server.inventory.profiles)))
        for request in (DownloadOrder(iccid), ConfirmOrder(iccid, release=False)):
            await smdp.execute(smdp.prepare(request, "c"), 5.0)
        found = await smdp.execute(smdp.prepare(ReleaseProfile(iccid), "c"), 5.0)
        assert isinstance(found, Executed)
        early = [one.event for one in running.orders.kept]
        assert early[:1] == [ProfileEvent.DOWNLOADED]
        with trio.fail_after(5):
            await running.orders.installed.wait()
        await smdp.close()
    assert running.received["duplicate"] >= 1
    assert server.inventory.profiles[iccid].state == "Installed"


Curl = Callable[..., Any]


@pytest.fixture
def curl(running: Running) -> Curl:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    async def ask(*arguments: str, credential: Credential | None = None, path: str = PATH) -> str:
        show = ["--cert", str(credential.chain), "--key", str(credential.key)] if credential else []
        command = [
            "curl", "-sS", "-m", "5", "--cacert", str(running.vendors.node.ca), *show,
            "-w", "%{http_code} %{http_version} %{size_download}", "-o", "/dev/null",
            *arguments, running.url + path,
        ]  # fmt: skip
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False
        )
        return done.stdout.decode() if done.returncode == 0 else f"curl: {done.returncode}"

    return ask


@pytest.mark.interop
@pytest.mark.parametrize(("option", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
async def test_curl_reports(running: Running, curl: Curl, option: str, version: str) -> None:
    """ES2-33, ES2-44"""
    first = running.vendors.first
    body = json.dumps(running.notifier().body(PROFILE, 4))
    kind = ("-H", "content-type: application/json")
    assert await curl(option, *kind, "-d", body, credential=first) == f"204 {version} 0"
    assert await curl(option, credential=first) == f"405 {version} 0"
    assert await curl(option, *kind, "-d", "{", credential=first) == f"400 {version} 0"
    assert (await curl(option, "-d", body, credential=first, path="/x")).startswith("404 ")
    assert (await curl(option, "-d", body, credential=first, path=f"{PATH}/x")).startswith("404 ")
    # The answer may come while the body is still on its way: then curl may miss it.
    large = json.dumps({"iccid": "8" * 70_000})
    said = await curl(option, *kind, "-d", large, credential=first)
    assert said.startswith("413 ") or said in ("curl: 55", "curl: 56", "curl: 92")
    assert await curl(option, *kind, "-d", body, credential=first) == f"204 {version} 0"
    assert len(running.orders.kept) == 1


@pytest.mark.interop
@pytest.mark.parametrize("version", ["--tls-max 1.2", "--tlsv1.3"])
async def test_curl_without_or_with_a_foreign_certificate_gets_nothing(
    running: Running, curl: Curl, version: str
) -> None:
    """ES2-38"""
    for credential in (None, running.vendors.stranger):
        said = await curl(*version.split(), "-d", "{}", credential=credential)
        assert said.startswith("curl: ")
    assert running.orders.kept == []
    assert running.partners.statistics().connections.refused_handshakes == 2


def test_tls_1_1_is_not_offered(vendors: Vendors) -> None:
    """ES2-15, on our side"""
    context = server_context(
        str(vendors.server.chain), str(vendors.server.key), vendors.one.ca.read_text()
    )
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
