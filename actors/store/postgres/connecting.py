"""Opening connections to PostgreSQL under Trio, host by host, each within its own time."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from psycopg import Error, OperationalError, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ConnStatus, ExecStatus, PGconn, PollingStatus
from psycopg.pq.abc import PGconn as AnyConnection

from actors.store.database import DatabaseRefused
from actors.store.postgres.link import ConnectionLost


def attempts(conninfo: str) -> list[str]:
    """The servers to try, in order: libpq alone would wait for the first one for ever.

    Raises:
        DatabaseRefused: it is no connection string; it is not quoted, for it may hold a password.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except ProgrammingError:
        raise DatabaseRefused("the connection string of PostgreSQL is not one") from None
    given.setdefault("application_name", "entitlement-node")
    given["client_encoding"] = "utf8"
    many = {name: str(given[name]).split(",") for name in ("host", "hostaddr") if given.get(name)}
    count = max(map(len, many.values()), default=1)
    ports = str(given.get("port") or "").split(",")
    found = []
    for at in range(count):
        one = given | {name: values[at] for name, values in many.items() if at < len(values)}
        if ports != [""]:
            one["port"] = ports[at] if at < len(ports) else ports[0]
        found.append(make_conninfo("", **one))
    return found


async def connect(conninfo: str, seconds: float) -> AnyConnection:
    """Connect to the first server that takes it.

    Args:
        seconds: for each server. Looking up its name may take longer: that cannot be interrupted.

    Raises:
        ConnectionLost: nobody did; the text is the last one's reason.
        DatabaseRefused: see `attempts`.
    """
    reason = "no server"
    for attempt in attempts(conninfo):
        try:
            with trio.fail_after(seconds):
                return await _connect(attempt.encode())
        except trio.TooSlowError:
            reason = f"no connection within {seconds:g} s"
        except ConnectionLost as error:
            reason = str(error)
    raise ConnectionLost(reason)


async def _connect(conninfo: bytes) -> AnyConnection:
    # In threads: libpq looks names up, reads certificates and computes SCRAM proofs in there.
    connection = await trio.to_thread.run_sync(PGconn.connect_start, conninfo)
    with _closed_on_failure(connection):
        if connection.status == ConnStatus.BAD:
            raise ConnectionLost(reason_of(connection))
        status = PollingStatus.WRITING
        while status != PollingStatus.OK:
            if status == PollingStatus.FAILED:
                raise ConnectionLost(reason_of(connection))
            if status == PollingStatus.READING:
                await trio.lowlevel.wait_readable(connection.socket)
            else:
                await trio.lowlevel.wait_writable(connection.socket)
            status = PollingStatus(await trio.to_thread.run_sync(connection.connect_poll))
        return connection


async def ask(connection: AnyConnection, sql: str, seconds: float) -> list[tuple[str, ...]]:
    """Carry out one statement without values, outside of pipeline mode; text rows.

    Raises:
        ConnectionLost: it failed, or took too long.
    """
    rows: list[tuple[str, ...]] = []
    try:
        with trio.fail_after(seconds):
            connection.nonblocking = 1
            connection.send_query(sql.encode())
            while connection.flush():
                await trio.lowlevel.wait_writable(connection.socket)
            while True:
                while connection.is_busy():
                    await trio.lowlevel.wait_readable(connection.socket)
                    connection.consume_input()
                result = connection.get_result()
                if result is None:
                    return rows
                if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
                    raise ConnectionLost(result.get_error_message())
                for row in range(result.ntuples):
                    values = (result.get_value(row, at) for at in range(result.nfields))
                    rows.append(tuple((value or b"").decode() for value in values))
    except trio.TooSlowError:
        raise ConnectionLost(f"no answer within {seconds:g} s") from None
    except OperationalError as error:
        raise ConnectionLost(str(error).strip().splitlines()[0]) from None


def reason_of(connection: AnyConnection) -> str:
    """Why it is no use, on one line; libpq's texts hold no passwords."""
    return " ".join(connection.get_error_message().split())


@contextmanager
def _closed_on_failure(connection: AnyConnection) -> Iterator[None]:
    try:
        yield
    except Error as error:
        connection.finish()
        raise ConnectionLost(" ".join(str(error).split())) from None
    except BaseException:
        connection.finish()
        raise
