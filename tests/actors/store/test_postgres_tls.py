"""PostgreSQL over TLS with a password, as in production: everything is in the connection string."""

import datetime
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from actors.store.store import StoreUnavailable
from node.device.certificates import make_lab_certificates
from tests.actors.store.kit import TEMPLATE, Asker, PostgresKit, make_template, opened
from tests.actors.store.postgres_server import PostgresServer, postgres_folder
from tests.actors.store.samples import new_token

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_lab_certificates(folder, ["localhost"], datetime.datetime.now(datetime.UTC))
    return folder


@pytest.fixture(scope="module")
def secured(tls: Path) -> Iterator[PostgresServer]:
    """Over TCP only with TLS and a password."""
    if postgres_folder() is None:
        pytest.skip("postgres is not installed")
    server = PostgresServer()
    try:
        make_template(server)
        server.create_database("secured", TEMPLATE)
        with server.connect("postgres", "postgres") as connection:
            connection.execute(f"ALTER ROLE application PASSWORD '{PASSWORD}'")
        owner = server.data.stat()
        for name in ("device.pem", "device.key"):
            copy = server.data / name
            shutil.copy(tls / name, copy)
            os.chown(copy, owner.st_uid, owner.st_gid)
            copy.chmod(0o600)
        (server.data / "pg_hba.conf").write_text(
            "local all all trust\nhostssl all application 127.0.0.1/32 scram-sha-256\n"
        )
        server.stop()
        server.settings |= {
            "ssl": "on",
            "ssl_cert_file": "device.pem",
            "ssl_key_file": "device.key",
        }
        server.start()
        yield server
    finally:
        server.remove()


def conninfo(server: PostgresServer, tls: Path, **changes: str) -> str:
    parts = {
        "host": "localhost",
        "hostaddr": "127.0.0.1",
        "port": str(server.port),
        "user": "application",
        "dbname": "secured",
        "password": f"'{PASSWORD}'",
        "sslmode": "verify-full",
        "sslrootcert": str(tls / "ca.pem"),
    } | changes
    return " ".join(f"{name}={value}" for name, value in parts.items())


async def test_a_store_works_over_tls_with_a_password(secured: PostgresServer, tls: Path) -> None:
    kit = PostgresKit(secured, "secured")
    settings = replace(kit.settings, postgres=conninfo(secured, tls))
    async with opened(kit, settings=settings) as asker:
        assert await asker.ask("save_token", new_token()) is None
        assert await asker.ask("find_token", "mno", new_token().token_hash) is not None
        encrypted = kit.execute(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE usename = 'application'"
        )
        assert encrypted == [(True,)]
    kit.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "db.example"}, "server certificate for .* does not match host name"),
        ({"password": "wrong-secret"}, "password authentication failed"),
        ({"sslmode": "disable"}, "no pg_hba.conf entry"),
    ],
)
async def test_what_is_not_secure_is_not_used_and_the_reason_is_told(
    secured: PostgresServer,
    tls: Path,
    changes: dict[str, str],
    reason: str,
) -> None:
    kit = PostgresKit(secured, "secured")
    settings = replace(kit.settings, postgres=conninfo(secured, tls, **changes), answer_seconds=0.5)
    store = kit.store(settings=settings, end_turn=lambda: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        assert not store.ready
        answer = await Asker(store).ask("save_token", new_token())
        assert isinstance(answer, StoreUnavailable)
        reads, _ = store.statistics().connections
        assert reads.connects == 0
        assert re.search(reason, store._reader._reason)
        assert "wrong-secret" not in store._reader._reason
        nursery.cancel_scope.cancel()
