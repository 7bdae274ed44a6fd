"""A node at rest, as its own /statistics tells: nothing alive, open or pending."""

from typing import Any

import trio

from tests.node.whole.workers_node import ServedNode


async def by_worker(node: ServedNode) -> dict[int, dict[str, Any]]:
    """Every part's statistics of each worker; a node of one process has number 1."""
    body = await node.json("/statistics")
    if "workers" not in body:
        return {1: body}
    return {int(number): parts for number, parts in body["workers"].items()}


async def left_over(node: ServedNode) -> dict[str, int]:
    """What is not at rest: name and number over all workers."""
    found: dict[str, int] = {}
    for parts in (await by_worker(node)).values():
        counts = {
            "connections": parts["devices"]["open"],
            "handshakes": parts["devices"]["handshakes_in_progress"],
            "sessions": parts["sessions"]["alive"],
            "mail": parts["sessions"]["ready"],
            "DERs": sum(peer["in_flight"] for peer in parts["diameter"]["peers"]),
            "writes": parts["store"]["waiting"],
            "forwarded": parts.get("forwarding", {}).get("waiting", 0),
            "taken": parts.get("forwarding", {}).get("serving", 0),
            **parts["session_indexes"],
        }
        for name, count in counts.items():
            found[name] = found.get(name, 0) + count
    return {name: count for name, count in found.items() if count}


async def at_rest(node: ServedNode) -> None:
    """Until it is.

    Raises:
        AssertionError: something stays, or a part crashed; it says what.
    """

    async def nothing_left() -> bool:
        return not await left_over(node)

    try:
        await node.wait(nothing_left)
    except trio.TooSlowError:
        raise AssertionError(f"not at rest: {await left_over(node)}") from None
    assert not node.logged("bug")
    assert not node.logged("session crashed")
    assert not node.logged("actor crashed")
