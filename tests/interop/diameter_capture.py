"""What passed over a wire to an AAA, as a capture for tshark; made by Wireshark's text2pcap."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.interop.programs import run

DIAMETER_PORT: Final = 3868
NODE_PORT: Final = 40_000
WARNING: Final = 0x00600000  # of tshark's expert information; errors are above


async def capture(carried: Sequence[tuple[bool, bytes]], path: Path) -> Path:
    """Write one connection, (from the node, octets) in order, as a TCP conversation."""
    text = path.with_suffix(".txt")
    with text.open("w") as file:
        for from_node, octets in carried:
            file.write("O\n" if from_node else "I\n")
            for at in range(0, len(octets), 16):
                row = " ".join(f"{octet:02x}" for octet in octets[at : at + 16])
                file.write(f"{at:06x} {row}\n")
    # Outbound packets get the ports as given, inbound ones the other way round.
    ports = f"{NODE_PORT},{DIAMETER_PORT}"
    await run("text2pcap", "-q", "-D", "-T", ports, str(text), str(path))
    return path


async def tshark(path: Path, *options: str) -> str:
    """What tshark says of a capture."""
    return await run("tshark", "-r", str(path), *options)


async def commands(path: Path) -> list[tuple[int, bool]]:
    """(Command-Code, is a request) of every message, in order."""
    said = await tshark(
        path, "-Y", "diameter", "-T", "fields", "-e", "diameter.cmd.code", "-e",
        "diameter.flags.request", "-E", "aggregator=,",
    )  # fmt: skip
    found = []
    for row in said.splitlines():
        codes, requests = (column.split(",") for column in row.split("\t"))
        pairs = zip(codes, requests, strict=True)
        found += [(int(code), flag.lower() in ("1", "true")) for code, flag in pairs]
    return found
