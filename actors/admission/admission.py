"""What may begin: asked for every new connection, authentication and token check; never for more.

Order of shedding: connections of strangers (which cost a handshake before anybody knows what they
want), new authentications, those for emergency calls over Wi-Fi, token checks. An EAP round in
progress is never asked about, and a connection from an address with an exchange under way is let
in. Overload is never told by anything but 503 with Retry-After, or by closing before the handshake:
511 would bring the devices back with a full authentication, and 4xx stops some of them for good.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.admission.aaa_room import AaaRoom, AaaSample
from actors.admission.device_rates import DeviceRates
from actors.admission.pace import COST, Pace, Work
from actors.admission.shares import Shares
from config.model import Config, Overload, Tenant
from protocols.ts43.request import Ts43Request

SHARED_ADDRESS: Final = (
    4  # exchanges under way, above which an address is a network's, not a phone's
)
OUTAGE_SECONDS: Final = 60.0  # of an outage, after which devices are told the longest wait
URGENT: Final = frozenset({"ap2004"})  # VoWiFi: emergency calls depend on it


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    """Admission as it stands now; everything else counts since the start."""

    limiting: bool
    """New work may be refused now."""
    level_max: float
    """The share of new work that is refused now, 0 to 1; of the worker that refuses most."""
    rate_now: float
    """Exchanges a second that may begin now; 0 while nothing is limited."""
    aaa_state: str
    """The AAA for new authentications: able, out, or ramp (slow start after an outage)."""
    aaa_in_flight: int
    """DERs at the last sample and authentications begun since, now."""
    aaa_capacity: float
    """DERs that may be in flight at the rate at which the AAA answers."""
    greedy_now: int
    """Tenants that have more than their share now."""
    device_counters_now: int
    """Devices whose new authentications are counted now."""
    onsets: int
    """How often limiting began."""
    outages: int
    """Outages of the AAA with a slow start after them."""
    turned_away: int
    """Connections closed before the handshake."""


class Admission:
    """Asked by the device listener and by the sessions. In the Trio thread; never waits.

    Attributes:
        sample_aaa: looks at the AAA's peers; None: they are not looked at.
        under_way: how many exchanges of an address are under way.
    """

    def __init__(
        self,
        settings: Overload,
        *,
        sample_aaa: Callable[[], AaaSample] | None = None,
        under_way: Callable[[str], int] = lambda _: 0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Begin without limits.

        Args:
            settings: [overload].
            jitter: a number in [0, 1).
        """
        self.sample_aaa = sample_aaa
        self.under_way = under_way
        self._jitter = jitter
        self._settings = settings
        self._pace = Pace(settings.delay_seconds)
        self._shares = Shares(settings.tenant_weights)
        self._devices = DeviceRates(settings.authentications_per_device)
        self._aaa = AaaRoom(
            settings.aaa_delay_seconds, settings.aaa_least_in_flight, settings.ramp_start
        )
        self._by_host: dict[str, str] = {}
        self._told_apart = False  # there are hosts that tell one tenant from the others
        self._severity = 0.0  # of the last refusal
        self._turned_away = 0

    def reload(self, config: Config) -> None:
        """Use another configuration: its limits, and whose host names are whose."""
        settings = self._settings = config.overload
        self._pace.set_interval(settings.delay_seconds)
        self._shares.set_weights(settings.tenant_weights)
        self._devices.limit = settings.authentications_per_device
        self._aaa.set_limits(
            settings.aaa_delay_seconds, settings.aaa_least_in_flight, settings.ramp_start
        )
        self._by_host = _alone_on_hosts(config.tenants)
        self._told_apart = len(config.tenants) > 1 and any(self._by_host.values())

    # --- what the device listener asks ------------------------------------------------------------

    def round(self, now: float) -> None:
        """The reactor has input to work off."""
        if self._pace.round(now):
            self._shares.judge()

    def caught_up(self, events: int, began: float, now: float) -> None:
        """A round took all the input that there was when it began: so many events."""
        self._pace.caught_up(events, began, now)

    def drained(self) -> None:
        """The reactor found nothing more to read."""
        self._pace.drained()

    def holds(self, now: float) -> bool:
        """Whether new connections stay in the kernel's queue as long as open ones have input."""
        return self._pace.holds(now)

    @property
    def limiting(self) -> bool:
        """Some work may be refused."""
        return self._pace.limiting

    @property
    def wants_host(self) -> bool:
        """Whether it matters which tenant a connection is for."""
        return self._pace.limiting and self._told_apart

    def connection(self, address: str, host: str, now: float) -> bool:
        """Whether a connection may go on to its handshake.

        Args:
            address: of the client.
            host: it asks for (SNI), lower case; empty when that is not known.
        """
        if not (self._pace.limiting and self._settings.enabled):
            return self._pace.takes(Work.CONNECTION, now) or not self._settings.enabled
        if 0 < self.under_way(address) <= SHARED_ADDRESS:
            return self._pace.takes(Work.STARTED, now)
        tenant = self._by_host.get(host, "")
        greedy = tenant in self._shares.greedy
        modest = bool(tenant) and self._shares.modest(tenant)
        if self._pace.takes(Work.CONNECTION, now, greedy=greedy, modest=modest):
            if tenant:
                self._shares.add(tenant, COST[Work.CONNECTION])
            return True
        self._turned_away += 1
        return False

    # --- what the sessions ask --------------------------------------------------------------------

    def authentication(self, tenant: Tenant, request: Ts43Request, address: str, now: float) -> str:
        """Whether a device may begin to authenticate.

        Returns:
            Why not; empty when it may.
        """
        if not self._devices.takes(hash((address, request.eap_id)), now):
            self._severity = 0.0
            return "device rate"
        if not self._settings.enabled:
            return ""
        greedy = tenant.id in self._shares.greedy
        modest = not greedy and self._shares.modest(tenant.id)
        why = self._aaa_refuses(tenant, now, greedy=greedy, modest=modest)
        if why:
            return why
        work = (
            Work.AUTHENTICATION if URGENT.isdisjoint(request.apps) else Work.URGENT_AUTHENTICATION
        )
        if not self._pace.takes(work, now, greedy=greedy, modest=modest):
            self._severity = self._pace.refused_share
            return "overload"
        self._shares.add(tenant.id, COST[work])
        return ""

    def _aaa_refuses(self, tenant: Tenant, now: float, *, greedy: bool, modest: bool) -> str:
        room = self._aaa
        if self.sample_aaa is None:
            return ""
        if room.wants_sample(now, greedy=greedy):
            room.observe(self.sample_aaa(), now)
        why = room.takes(now, greedy=greedy, modest=modest)
        if why == "aaa outage" and tenant.authentication.alternative:
            return ""  # the session sends it to the other method, which the outage does not touch
        if why:
            self._severity = min(1.0, room.out_seconds(now) / OUTAGE_SECONDS)
        return why

    def token(self, tenant: Tenant, now: float) -> str:
        """Whether a request with a token may be served.

        Returns:
            Why not; empty when it may.
        """
        limiting = self._pace.limiting
        greedy = limiting and tenant.id in self._shares.greedy
        modest = limiting and not greedy and self._shares.modest(tenant.id)
        if (
            self._pace.takes(Work.TOKEN, now, greedy=greedy, modest=modest)
            or not self._settings.enabled
        ):
            self._shares.add(tenant.id, COST[Work.TOKEN])
            return ""
        self._severity = self._pace.refused_share
        return "overload"

    def retry_after(self) -> int:
        """Seconds after which the device that was refused last may come back, spread by severity.

        From the least time to twice that for the mildest case, to the most for the worst one.
        """
        least, most = self._settings.retry_after_least, self._settings.retry_after_most
        mildest = min(2 * least, most)
        reach = mildest + self._severity * (most - mildest)
        return least + int((reach - least) * self._jitter())

    def statistics(self) -> AdmissionStatistics:
        """A snapshot."""
        pace, room = self._pace, self._aaa
        return AdmissionStatistics(
            limiting=pace.limiting,
            level_max=round(pace.refused_share, 3),
            rate_now=0.0 if math.isinf(pace.rate) else round(pace.rate, 1),
            aaa_state=room.state.value,
            aaa_in_flight=room.in_flight,
            aaa_capacity=room.limit,
            greedy_now=len(self._shares.greedy),
            device_counters_now=len(self._devices),
            onsets=pace.onsets,
            outages=room.outages,
            turned_away=self._turned_away,
        )


def _alone_on_hosts(tenants: tuple[Tenant, ...]) -> dict[str, str]:
    """Host name to the one tenant that it stands for; hosts of several say nothing."""
    found: dict[str, str] = {}
    for tenant in tenants:
        for host in map(str.lower, tenant.hosts):
            found[host] = tenant.id if found.get(host, tenant.id) == tenant.id else ""
    return found
