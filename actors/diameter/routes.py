"""Which peers may serve a request: realm -> priority groups -> weighted choice.

Source: RFC 6733 §6.1.6 (realm routing) and §6.1.5 (a peer that is the destination), RFC 8583
(load); the weights, priorities and the order of preference are ours.
"""

import random
from collections.abc import Callable, Collection, Sequence
from typing import Final

from actors.diameter.peer import Peer
from config.model import DiameterPeer
from protocols.diameter.load import factors

MAX_REALMS: Final = 1_000  # cached; realms come from subscribers' identities
MAX_PATHS: Final = 10_000  # AAA hosts that were seen behind agents


class Route:
    """One configured peer in the table."""

    __slots__ = ("config", "peer", "realms")

    def __init__(self, config: DiameterPeer, peer: Peer) -> None:
        self.config = config
        self.peer = peer
        self.realms = frozenset(realm.lower().encode() for realm in config.realms)

    def serves(self, realm: bytes) -> bool:
        """Whether requests for that realm may go there."""
        return not self.realms or realm in self.realms


Group = tuple[Route, ...]


class Routes:
    """The table of the configured peers, and what was learned about who is behind them."""

    def __init__(self, generator: random.Random) -> None:
        self._random = generator
        self._by_host: dict[str, Route] = {}
        self._groups: dict[bytes, tuple[Group, ...]] = {}
        self._paths: dict[bytes, list[Peer]] = {}

    def set(self, routes: Sequence[Route]) -> None:
        """Replace the table."""
        self._by_host = {route.peer.host: route for route in routes}
        self._groups = {}
        gone = [host for host, peers in self._paths.items() if not self._kept(peers)]
        for host in gone:
            del self._paths[host]

    def _kept(self, peers: list[Peer]) -> bool:
        peers[:] = [peer for peer in peers if self.peer(peer.host) is peer]
        return bool(peers)

    def peer(self, host: str) -> Peer | None:
        """The configured peer of that identity (lower case)."""
        route = self._by_host.get(host)
        return route.peer if route is not None else None

    def groups(self, realm: bytes) -> tuple[Group, ...]:
        """The priority groups that serve a realm, the preferred one first."""
        realm = realm.lower()
        found = self._groups.get(realm)
        if found is None:
            if len(self._groups) >= MAX_REALMS:
                self._groups = {}
            routes = [route for route in self._by_host.values() if route.serves(realm)]
            priorities = sorted({route.config.priority for route in routes})
            found = self._groups[realm] = tuple(
                tuple(route for route in routes if route.config.priority == priority)
                for priority in priorities
            )
        return found

    def first_round(
        self, realm: bytes, tried: Collection[Peer], now: float, accepts: Callable[[Peer], bool]
    ) -> Peer | None:
        """The peer for a new session.

        Every priority group is asked for a peer that is in good standing before any for one that is
        merely open (silent, on probation, busy): an answer from the second choice beats a time-out
        at the first.

        Args:
            accepts: asked last, for what may change by asking (overload dice).
        """
        groups = self.groups(realm)
        for good in (True, False):
            for group in groups:
                usable = [
                    route
                    for route in group
                    if route.peer.is_open
                    and (route.peer.is_good and now >= route.peer.breaker.busy_until) is good
                    and not route.peer.is_full
                    and route.peer not in tried
                    and route.peer.breaker.allows(now)
                ]
                while usable:
                    route = usable[0] if len(usable) == 1 else self._weighted(usable, now)
                    if accepts(route.peer):
                        return route.peer
                    usable.remove(route)
        return None

    def _weighted(self, routes: list[Route], now: float) -> Route:
        """By weight, against the number of requests that wait already and the load reported."""
        weights = [route.config.weight / (1 + route.peer.in_flight) for route in routes]
        loads = [route.peer.load for route in routes]
        if any(loads):
            changed = factors(loads, now)
            weights = [one * two for one, two in zip(weights, changed, strict=True)]
        return self._random.choices(routes, weights)[0]

    def learn(self, origin_host: bytes, peer: Peer) -> None:
        """An answer of `origin_host` came over `peer`: it is an agent if that is another host."""
        host = origin_host.lower()
        if host == peer.identity:
            return
        peer.answers_for_others()
        peers = self._paths.get(host)
        if peers is None:
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            self._paths[host] = [peer]
        elif peer not in peers:
            peers.append(peer)

    def next_round(
        self, destination_host: bytes, realm: bytes, tried: Collection[Peer]
    ) -> Peer | None:
        """The peer for a session that is pinned to an AAA: itself, or an agent before it."""
        host = destination_host.lower()
        itself = self.peer(host.decode(errors="replace"))
        if itself is not None and itself.is_good and not (itself.is_full or itself in tried):
            return itself
        candidates: list[Peer | None] = [itself]
        candidates += self._paths.get(host, [])
        routes = [route for group in self.groups(realm) for route in group]
        candidates += [route.peer for route in routes if route.peer.is_agent]
        if candidates[0] is None:
            # Nobody is known to lead there, as after a restart: any peer of the realm may.
            candidates += [route.peer for route in routes]
        usable = [
            peer
            for peer in candidates
            if peer is not None and peer.is_open and not peer.is_full and peer not in tried
        ]
        return next((peer for peer in usable if peer.is_good), usable[0] if usable else None)
