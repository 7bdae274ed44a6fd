"""TLS of the listener: versions, ciphers, certificates by name, reload, and what is no TLS."""

import random
import socket
import ssl
import time
from pathlib import Path

import pytest
import trio
from cryptography import x509

from config.model import Certificate
from node.device.tls import CertificateError, ServerCertificates
from tests.node.device.running_listener import (
    Lab,
    Listening,
    answer_later,
    read_response,
    read_to_end,
)


def common_name(tls: trio.SSLStream[trio.SocketStream]) -> str:
    certificate = tls.getpeercert(binary_form=True)
    subject = x509.load_der_x509_certificate(certificate).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


async def test_the_certificate_follows_the_name_and_the_exchange_knows_it(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    certificates = (lab.certificate(), other_lab.certificate(["mvno.example"]))
    async with listening(certificates=certificates) as running:
        for name, source, subject in (
            ("localhost", lab, "aes.mnc001.mcc001.pub.3gppnetwork.org"),
            ("MVNO.example", other_lab, "mvno.example"),
        ):
            tls = await running.connect_tls(server_name=name, context=source.client_context())
            assert common_name(tls) == subject
            await tls.send_all(b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % name.encode())
            await read_response(tls)
        assert [one.server_name for one in running.exchanges] == ["localhost", "mvno.example"]


@pytest.mark.parametrize("server_name", ["stranger.example", None])
async def test_an_unknown_or_missing_name_gets_the_default_certificate(
    listening: Listening,
    lab: Lab,
    other_lab: Lab,
    server_name: str | None,
) -> None:
    # The default stands last: it is found by its empty list of hosts.
    certificates = (other_lab.certificate(["mvno.example"]), lab.certificate())
    async with listening(certificates=certificates) as running:
        context = lab.client_context()
        context.check_hostname = False
        tls = await running.connect_tls(server_name=server_name, context=context)
        assert common_name(tls) == "aes.mnc001.mcc001.pub.3gppnetwork.org"
        host = server_name or "localhost"
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % host.encode())
        await read_response(tls)
        assert running.exchanges[0].server_name == host


async def test_http_2_works_with_a_certificate_chosen_by_name(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    certificates = (lab.certificate(), other_lab.certificate(["mvno.example"]))
    async with listening(certificates=certificates) as running:
        tls = await running.connect_tls(
            server_name="mvno.example", context=other_lab.client_context("h2", "http/1.1")
        )
        assert tls.selected_alpn_protocol() == "h2"


async def test_a_reload_is_for_new_connections_and_drops_no_open_one(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    async with listening() as running:
        old = await running.connect_tls()
        assert running.reload(certificates=(other_lab.certificate(),)) == ()
        new = await running.connect_tls(
            server_name="mvno.example", context=other_lab.client_context()
        )
        assert common_name(new) == "mvno.example"
        for tls, host in ((old, b"localhost"), (new, b"mvno.example")):
            await tls.send_all(b"GET /still HTTP/1.1\r\nhost: %b\r\n\r\n" % host)
            assert (await read_response(tls))[1] == b"/still"


async def test_a_reload_in_the_middle_of_a_handshake_does_no_harm(
    listening: Listening, lab: Lab, other_lab: Lab
) -> None:
    async with listening() as running:
        raw = await running.connect()
        await running.until(lambda now: now.handshakes_in_progress == 1)
        assert running.reload(certificates=(other_lab.certificate(),)) == ()
        tls = trio.SSLStream(raw, lab.client_context(), server_hostname="localhost")
        await tls.do_handshake()
        assert common_name(tls) == "aes.mnc001.mcc001.pub.3gppnetwork.org"


async def test_a_broken_reload_keeps_the_old_certificates_and_says_what_is_wrong(
    listening: Listening, lab: Lab, other_lab: Lab, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    foreign_key = Certificate(chain=str(lab.chain), key=str(other_lab.key))
    async with listening() as running:
        for broken, text in (
            ((Certificate(chain=str(garbage), key=str(lab.key)),), "garbage.pem"),
            ((Certificate(chain="/no/such/file", key=str(lab.key)),), "No such file"),
            ((foreign_key,), "key values mismatch"),
            ((other_lab.certificate(), foreign_key), "key values mismatch"),
            ((lab.certificate(["a.example"]), lab.certificate(["A.example"])), "already"),
            ((), "no certificate"),
        ):
            (problem,) = running.reload(certificates=broken)
            assert text in problem
        tls = await running.connect_tls()
        assert common_name(tls) == "aes.mnc001.mcc001.pub.3gppnetwork.org"
        assert running.listener.statistics().failed_reloads == 6


def test_an_encrypted_key_is_refused_instead_of_asking_the_terminal(
    lab: Lab, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(lab.key.read_bytes(), None)
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match=r"key\.pem"):
        ServerCertificates((Certificate(chain=str(lab.chain), key=str(encrypted)),))


def test_statistics_tell_when_certificates_expire(lab: Lab, other_lab: Lab) -> None:
    certificates = ServerCertificates((lab.certificate(), other_lab.certificate(["a", "b"])))
    first, second = certificates.statistics()
    assert (first.name, second.name) == ("default", "a, b")
    end = x509.load_pem_x509_certificate(lab.chain.read_bytes()).not_valid_after_utc
    assert first.expires_in_seconds == pytest.approx(end.timestamp() - time.time(), abs=5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_are_served(
    listening: Listening, version: ssl.TLSVersion
) -> None:
    async with listening() as running:
        context = running.lab.client_context()
        context.minimum_version = context.maximum_version = version
        tls = await running.connect_tls(context=context)
        assert tls.version() == version.name.replace("_", ".")
        await tls.send_all(b"GET /v HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await read_response(tls))[1] == b"/v"


@pytest.mark.parametrize(
    ("cipher", "served"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA", False),
    ],
)
async def test_tls_1_2_takes_only_ephemeral_aead_ciphers(
    listening: Listening, cipher: str, served: bool
) -> None:
    async with listening() as running:
        context = running.lab.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher)
        if served:
            tls = await running.connect_tls(context=context)
            assert tls.cipher()[0] == cipher
        else:
            with pytest.raises(trio.BrokenResourceError):
                await running.connect_tls(context=context)
            await running.clients[0].aclose()
            await running.until(lambda now: now.handshakes_failed != {})
            assert running.listener.statistics().handshakes_failed == {"no_shared_cipher": 1}


async def test_the_clients_preference_of_ciphers_wins(listening: Listening) -> None:
    async with listening() as running:
        for order in (
            ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        ):
            context = running.lab.client_context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(":".join(order))
            tls = await running.connect_tls(context=context)
            assert tls.cipher()[0] == order[0]


async def test_tls_1_1_is_refused(listening: Listening) -> None:
    # A ClientHello of TLS 1.1 with one cipher and no extensions (RFC 4346 §7.4.1.2).
    hello = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x0a" + b"\x01\x00"
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
        alert = await read_to_end(raw)
        assert alert[0] == 21
        assert alert[5:] == b"\x02\x46"  # RFC 8446 §6: fatal, protocol_version (70)
        await raw.aclose()
        await running.until(lambda now: now.handshakes_failed != {})
        assert running.listener.statistics().handshakes_failed == {"unsupported_protocol": 1}


async def test_no_session_tickets_are_sent_over_tls_1_3(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await read_response(tls)
        assert not tls._ssl_object.session.has_ticket


def test_renegotiation_is_off_and_contexts_are_strict(lab: Lab) -> None:
    certificates = ServerCertificates((lab.certificate(),))
    context = certificates.wrap(ssl.MemoryBIO(), ssl.MemoryBIO()).context
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0


async def test_plain_http_is_closed_without_a_word_and_counted(
    listening: Listening,
) -> None:
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert await read_to_end(raw) == b""
        assert running.listener.statistics().handshakes_failed == {"plain_http": 1}
        assert running.listener.statistics().open == 0


@pytest.mark.parametrize("garbage", [b"\x00" * 600, b"\x16\x03\x01\x00\x05hello", b"\x80" * 100])
async def test_garbage_ends_that_connection_alone(listening: Listening, garbage: bytes) -> None:
    async with listening() as running:
        good = await running.connect_tls()
        raw = await running.connect()
        await raw.send_all(garbage)
        await read_to_end(raw)
        await raw.aclose()
        await running.until(lambda now: now.open == 1)
        assert sum(running.listener.statistics().handshakes_failed.values()) == 1
        await good.send_all(b"GET /good HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await read_response(good))[1] == b"/good"


async def test_mutilated_hellos_end_their_connections_and_nothing_else(
    listening: Listening, lab: Lab
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lab.client_context("h2").wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    chance = random.Random(20261124)  # noqa: S311 - the same every time
    async with listening() as running:
        for _ in range(150):
            broken = bytearray(hello)
            for _ in range(chance.randint(1, 20)):
                broken[chance.randrange(len(broken))] = chance.randrange(128)
            raw = await running.connect()
            await raw.send_all(bytes(broken[: chance.randint(1, len(broken))]))
            await raw.send_eof()
            await read_to_end(raw)
            await raw.aclose()
        await running.until(lambda now: now.open == 0)
        statistics = running.listener.statistics()
        assert sum(statistics.handshakes_failed.values()) == 150
        assert len(statistics.handshakes_failed) > 1
        assert statistics.handshakes_in_progress == 0
        await running.connect_tls()


async def test_a_broken_handshake_gets_its_alert(listening: Listening) -> None:
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"\x16\x03\x01\x00\x05hello" + b"x" * 5_000)
        alert = await read_to_end(raw)
        assert alert[0] == 21  # RFC 8446 §5.1: content type alert


async def test_garbage_after_the_handshake_gets_an_alert_and_tells_the_waiting(
    listening: Listening,
) -> None:
    async with listening(answer_later) as running:
        tls = await running.connect_tls()
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await running.until(lambda now: now.requests == 1)
        told: list[str] = []
        running.exchanges[0].on_gone = lambda: told.append("gone")
        await tls.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + b"z" * 32)
        with pytest.raises(trio.BrokenResourceError):
            await tls.receive_some()
        assert told == ["gone"]
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        (cause,) = running.listener.statistics().closed
        assert "mac" in cause or "decryption" in cause


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_distrusts_us_is_counted_by_its_alert(
    listening: Listening, other_lab: Lab, version: ssl.TLSVersion
) -> None:
    context = other_lab.client_context()
    context.maximum_version = version

    def distrust(port: int) -> None:  # Trio's stream would keep the alert to itself
        with socket.create_connection(("127.0.0.1", port)) as connected:
            context.wrap_socket(connected, server_hostname="localhost")

    async with listening() as running:
        with pytest.raises(ssl.SSLCertVerificationError):
            await trio.to_thread.run_sync(distrust, running.port)
        await running.until(lambda now: now.handshakes_failed != {})
        assert running.listener.statistics().handshakes_failed == {"tlsv1_alert_unknown_ca": 1}


async def test_a_client_that_leaves_in_the_middle_is_counted(
    listening: Listening,
) -> None:
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"\x16\x03\x01\x02\x00")
        await raw.aclose()
        await running.until(lambda now: now.handshakes_failed != {})
        assert running.listener.statistics().handshakes_failed == {"peer_closed": 1}
        assert running.listener.statistics().handshakes_in_progress == 0


# CPython reports the name that it cannot decode past us, to `sys.unraisablehook`.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_name_that_is_not_ascii_does_no_harm(listening: Listening, lab: Lab) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lab.client_context().wrap_bio(incoming, outgoing, server_hostname="strange.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read().replace(b"strange.example", b"str\xc3\xa4nge.exampl")
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(hello)
        await read_to_end(raw)
        await raw.aclose()
        await running.until(lambda now: now.open == 0)
        assert sum(running.listener.statistics().handshakes_failed.values()) == 1
        good = await running.connect_tls()
        await good.send_all(b"GET /good HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await read_response(good))[1] == b"/good"
