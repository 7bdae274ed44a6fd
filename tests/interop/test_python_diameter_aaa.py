"""The whole node with python-diameter's Node as its AAA, and a scripted Android device before it.

Neither end is ours: the AAA's stack is python-diameter, the packets are Android's published ones.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scripts.lab.device_http import Response
from scripts.lab.phone_habits import EAP_RELAY
from tests.interop import aosp_vector
from tests.interop.programs import first_line, running_python
from tests.node.whole.device_legs import ACCEPT_BOTH, relay
from tests.node.whole.whole_node import HOST, REALM, LabFolder, WholeNode, free_port, serving
from tests.protocols.ts43.document_readers import read_xml

pytestmark = [pytest.mark.interop, pytest.mark.slow]

AAA = Path(__file__).with_name("python_diameter_aaa.py")
CHANGES = {
    "tenants": {
        0: {
            "plmns": ["23410", "234010", "00101"],
            "authentication": {"destination-realm": REALM},
        }
    },
    "sessions": {"finished-seconds": 0.05, "answer-seconds": 9.0},
    "diameter": {"answer-seconds": 3.0, "exchange-seconds": 8.0},
}


@asynccontextmanager
async def node_with_aaa(lab: LabFolder, folder: Path, port: int) -> AsyncIterator[WholeNode]:
    """The node of a folder, connected to the AAA of that port."""
    async with serving(lab, lab.prepare(folder, [(HOST, port)], CHANGES)) as node:
        await node.until(lambda: node.node.router.ready)
        yield node


def identity(last_two: str) -> str:
    return aosp_vector.IDENTITY.replace("79@", f"{last_two}@")


async def exchange(
    node: WholeNode, nai: str, *packets: bytes, http2: bool = True
) -> list[Response]:
    """EAP_ID, then these packets one by one while challenges come."""
    query = (
        f"/?EAP_ID={nai.replace('@', '%40')}&terminal_id=356000000000018&app=ap2004"
        "&entitlement_version=2.0&vers=0"
    )
    async with node.connected(http2=http2) as connection:
        responses = [await connection.request(b"GET", query.encode(), (ACCEPT_BOTH,))]
        cookies = responses[0].all(b"set-cookie")
        for packet in packets:
            cookie = cookies[0].partition(b";")[0]
            responses.append(await relay(packet, connection, (b"cookie", cookie)))
        return responses


def statuses(responses: list[Response]) -> list[int]:
    return [one.status for one in responses]


async def test_androids_own_vector_is_authenticated(lab: LabFolder, tmp_path: Path) -> None:
    """EAP-13, EAP-14, EAP-15: byte for byte to the phone and back."""
    port = free_port()
    async with running_python(AAA, str(port)) as process:
        assert await first_line(process) == "ready"
        async with node_with_aaa(lab, tmp_path, port) as node:
            for http2 in (True, False):
                challenge, final = await exchange(
                    node, aosp_vector.IDENTITY, aosp_vector.ANSWER, http2=http2
                )
                assert challenge.header(b"content-type") == EAP_RELAY
                assert challenge.body == relay_body_of(aosp_vector.CHALLENGE)
                assert final.status == 200
                assert len(read_xml(final.body)["TOKEN"]["token"]) > 40
            packets = (aosp_vector.SYNCHRONISATION_FAILURE, aosp_vector.ANSWER)
            first, second, final = await exchange(node, aosp_vector.IDENTITY, *packets)
            assert second.body == first.body
            assert "TOKEN" in read_xml(final.body)
            statistics = node.node.router.statistics().peers[0]
            assert (statistics.malformed, statistics.unexpected) == (0, 0)
            await node.at_rest()


def relay_body_of(packet: bytes) -> bytes:
    """The exact body of a challenge: standard base64, one line, nothing else (Q-DOC-2)."""
    return b'{"eap-relay-packet":"' + base64.b64encode(packet) + b'"}'


async def test_its_results_become_the_status_of_table_7(lab: LabFolder, tmp_path: Path) -> None:
    """EAP-16 to EAP-18, in the first round and in the last."""
    port = free_port()
    expected = {
        "11": [403], "12": [403], "13": [503], "14": [503], "15": [403], "16": [503],
        "01": [200, 403], "02": [200, 403], "03": [200, 503], "04": [200, 503],
        "05": [200, 403], "20": [403],
    }  # fmt: skip
    async with running_python(AAA, str(port)) as process:
        assert await first_line(process) == "ready"
        async with node_with_aaa(lab, tmp_path, port) as node:
            found = {}
            for digits, wanted in expected.items():
                packets = (aosp_vector.ANSWER,) * (len(wanted) - 1)
                found[digits] = statuses(await exchange(node, identity(digits), *packets))
            assert found == expected
            await node.at_rest()


async def test_an_aaa_process_that_is_killed_and_started_again(
    lab: LabFolder, tmp_path: Path
) -> None:
    """EAP-18a: between the legs; 503, and everything works as soon as it is back."""
    port = free_port()
    async with running_python(AAA, str(port)) as process:
        assert await first_line(process) == "ready"
        async with node_with_aaa(lab, tmp_path, port) as node:
            good = await exchange(node, aosp_vector.IDENTITY, aosp_vector.ANSWER)
            assert statuses(good) == [200, 200]
            process.kill()
            await node.until(lambda: not node.node.router.ready)
            assert statuses(await exchange(node, aosp_vector.IDENTITY)) == [503]
            async with running_python(AAA, str(port)) as another:
                assert await first_line(another) == "ready"
                await node.until(lambda: node.node.router.ready)
                good = await exchange(node, aosp_vector.IDENTITY, aosp_vector.ANSWER)
                assert statuses(good) == [200, 200]
