"""Who a request is for: Host and `:authority` against the handshake and its certificate.

RFC 9110 §7.4 and §15.5.20, RFC 9112 §3.2, RFC 9113 §8.3.1 and §9.1.2.
"""

from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from node.device.authority import AuthorityRefused, CoveredNames, name_of
from tests.node.device.running_listener import HOST, Lab, Listening, Stream, read_response


async def ask(tls: Stream, host: str) -> bytes:
    """The status of a GET for this host over HTTP/1.1."""
    await tls.send_all(b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % host.encode())
    head, _ = await read_response(tls)
    return head.split(b" ")[1]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8443", "localhost"),
        ("localhost.", "localhost"),
        (HOST, HOST),  # the certificate covers it: the connection may be used for both
        (f"{HOST}:443", HOST),
        ("127.0.0.1", "localhost"),
        ("10.0.0.1:9014", "localhost"),
        ("[2001:db8::1]", "localhost"),
    ],
)
async def test_a_host_that_the_connection_stands_for_is_served(
    listening: Listening, host: str, name: str
) -> None:
    async with listening() as running:
        assert await ask(await running.connect_tls(), host) == b"200"
        assert [one.server_name for one in running.exchanges] == [name]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("other.example", b"421"),
        ("x.localhost", b"421"),
        ("user@localhost", b"400"),
        ("localhost:port", b"400"),
        ("local host", b"400"),
    ],
)
async def test_another_host_is_refused_and_the_connection_stays(
    listening: Listening, host: str, status: bytes
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        assert await ask(tls, host) == status
        assert await ask(tls, "localhost") == b"200"
        assert await ask(tls, host) == status
        assert [one.server_name for one in running.exchanges] == ["localhost"]
        assert running.listener.statistics().protocol_errors == {
            f"http1_status_{status.decode()}": 2
        }


async def test_the_name_of_the_handshake_is_good_whatever_the_certificate_says(
    listening: Listening, lab: Lab
) -> None:
    """Samsung's older client does not check names (Q-TR-14)."""
    async with listening() as running:
        context = lab.client_context()
        context.check_hostname = False
        tls = await running.connect_tls(server_name="vowifi.operator.example", context=context)
        assert await ask(tls, "vowifi.operator.example") == b"200"
        assert await ask(tls, "localhost") == b"200"
        assert await ask(tls, "other.example") == b"421"
        assert [one.server_name for one in running.exchanges] == [
            "vowifi.operator.example",
            "localhost",
        ]


async def test_the_certificate_of_another_tenant_is_none_of_this_connection(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    certificates = (lab.certificate(), other_lab.certificate(["mvno.example"]))
    async with listening(certificates=certificates) as running:
        for name, source, other in (
            ("localhost", lab, "mvno.example"),
            ("mvno.example", other_lab, HOST),
        ):
            tls = await running.connect_tls(server_name=name, context=source.client_context())
            assert await ask(tls, other) == b"421"
            assert await ask(tls, name) == b"200"


async def test_without_a_name_in_the_handshake_the_host_finds_the_tenant(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    certificates = (lab.certificate(), other_lab.certificate(["mvno.example"]))
    async with listening(certificates=certificates, hosts=["Tenant.example"]) as running:
        context = lab.client_context()
        context.check_hostname = False
        served = ["localhost", "mvno.example", "tenant.example", "TENANT.example:443"]
        for host in served:
            tls = await running.connect_tls(server_name=None, context=context)
            assert await ask(tls, host) == b"200"
        assert await ask(tls, "127.0.0.1") == b"200"
        assert await ask(tls, "other.example") == b"421"
        names = [one.server_name for one in running.exchanges]
        assert names == ["localhost", "mvno.example", "tenant.example", "tenant.example", ""]


async def test_a_reload_brings_the_names_of_new_tenants(listening: Listening, lab: Lab) -> None:
    async with listening() as running:
        context = lab.client_context()
        context.check_hostname = False
        old = await running.connect_tls(server_name=None, context=context)
        assert await ask(old, "new.example") == b"421"
        assert running.reload(["new.example"]) == ()
        tls = await running.connect_tls(server_name=None, context=context)
        assert await ask(tls, "new.example") == b"200"


async def test_http_1_0_without_a_host_is_for_the_name_of_the_handshake(
    listening: Listening,
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.0\r\n\r\n")
        await read_response(tls)
        assert running.exchanges[0].server_name == "localhost"


async def test_each_stream_of_http_2_is_judged_by_itself(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls("h2")
        client = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_outbound_headers=False)
        )
        client.initiate_connection()
        hosts = ["localhost", "other.example", HOST, "user@localhost", "localhost:443"]
        for at, host in enumerate(hosts):
            fields = [
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", host),
                (":path", "/"),
            ]
            client.send_headers(2 * at + 1, fields, end_stream=True)
        await tls.send_all(client.data_to_send())
        statuses: dict[int, bytes] = {}
        with trio.fail_after(5):
            while len(statuses) < len(hosts):
                for event in client.receive_data(await tls.receive_some()):
                    if isinstance(event, h2.events.ResponseReceived):
                        statuses[event.stream_id] = dict(event.headers)[b":status"]
        assert [statuses[2 * at + 1] for at in range(len(hosts))] == [
            b"200",
            b"421",
            b"200",
            b"400",
            b"200",
        ]
        assert [one.server_name for one in running.exchanges] == ["localhost", HOST, "localhost"]


def test_a_wildcard_covers_one_label() -> None:
    covered = CoveredNames(["*.Operator.example", "operator.example."])
    assert "aes.operator.example" in covered
    assert "operator.example" in covered
    assert "a.b.operator.example" not in covered
    assert "example" not in covered
    assert 1 not in covered


async def test_the_wildcard_of_a_certificate_counts(listening: Listening, tmp_path: Path) -> None:
    wild = Lab(tmp_path, ["*.operator.example"])
    async with listening(certificates=(wild.certificate(),)) as running:
        tls = await running.connect_tls(
            server_name="aes.operator.example", context=wild.client_context()
        )
        assert await ask(tls, "vowifi.operator.example") == b"200"
        assert await ask(tls, "a.b.operator.example") == b"421"


def test_the_refusal_says_why() -> None:
    with pytest.raises(AuthorityRefused) as caught:
        name_of(b"b.example", "a.example", CoveredNames(["a.example"]))
    assert caught.value.response().status == 421
