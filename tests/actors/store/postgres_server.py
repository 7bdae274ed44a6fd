"""A PostgreSQL server for the tests: its own data in /tmp, a Unix socket and a loopback port.

The superuser is `postgres`; `owner` owns the tables, `application` is what the node connects as.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/usr/pgsql")
USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
START_SECONDS = 20.0
SETTINGS = {
    "fsync": "off",  # what a killed process loses does not depend on it
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
    "deadlock_timeout": "100ms",
    "log_min_messages": "fatal",
}


def postgres_folder() -> Path | None:
    """Where `initdb` and `postgres` are; None: not installed."""
    found = shutil.which("postgres")
    if found and shutil.which("initdb"):
        return Path(found).parent
    for place in PLACES:
        for folder in sorted(Path(place).glob("**/bin"), reverse=True):
            if (folder / "initdb").exists():
                return folder
    return None


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class PostgresServer:
    """Started, killed and started again by the test that has it.

    Attributes:
        settings: of postgresql.conf, from the next start on.
    """

    def __init__(self, **settings: str) -> None:
        """Make an empty cluster and start it."""
        programs = postgres_folder()
        assert programs is not None
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="ecs-postgres-", dir="/tmp"))
        self.port = free_port()
        self._as = self._unprivileged()
        self.data = self.folder / "data"
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
            "--no-locale", "--no-instructions",
        )  # fmt: skip
        self.settings = SETTINGS | settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        with self.connect("postgres", "postgres") as connection:
            connection.execute("CREATE ROLE owner LOGIN")
            connection.execute("CREATE ROLE application LOGIN")

    def conninfo(self, user: str, database: str, *, host: str = "", port: int = 0) -> str:
        """How `user` connects; over the Unix socket unless a host is given."""
        where = f"host={host or self.folder} port={port or self.port}"
        return f"{where} user={user} dbname={database}"

    def connect(self, user: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """A connection in which each statement is a transaction."""
        return psycopg.connect(self.conninfo(user, database), autocommit=True)

    def create_database(self, name: str, template: str = "template0") -> None:
        """An empty database of `owner`, or a copy of another one."""
        with self.connect("postgres", "postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER owner TEMPLATE {template}")

    def drop_database(self, name: str) -> None:
        """Whoever is connected to it is disconnected."""
        with self.connect("postgres", "postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        arguments = [str(self.programs / "postgres"), "-D", str(self.data)]
        settings = self.settings | {
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
        }
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [*self._as, *arguments], stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect("postgres", "postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()[-2_000:]) from None
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL for the server and all of its processes, as if the machine had died."""
        assert self._process is not None
        pids = [self._process.pid, *self._children()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in pids:
            while _runs(pid):  # until then the data is taken
                time.sleep(0.005)

    def stop(self) -> None:
        """Disconnect everybody and end in order."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def remove(self) -> None:
        """Stop and delete."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # nothing of it is needed any more
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _children(self) -> list[int]:
        assert self._process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self._process.pid)], capture_output=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def _unprivileged(self) -> list[str]:
        if os.getuid() != 0:
            return []
        import pwd

        for user in USERS:
            with suppress(KeyError):
                entry = pwd.getpwnam(user)
                os.chown(self.folder, entry.pw_uid, entry.pw_gid)
                ids = (f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}")
                return ["setpriv", *ids, "--clear-groups"]
        raise RuntimeError("no user to run PostgreSQL as")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.programs / program), *arguments],
            capture_output=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
