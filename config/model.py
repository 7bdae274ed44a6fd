"""Every setting of the node, typed, with its default. One class per section of the TOML file.

Keys in TOML are the field names with `-` for `_`. Times are float seconds, sizes are octets.
Defaults say why where the reason is not plain. Checks across fields are in `config/load.py`.
"""

import msgspec


class Section(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """A section of the file: unknown keys are errors, so that a typing mistake is seen."""


class Certificate(Section, frozen=True, kw_only=True):
    """A PEM chain and its key, for the host names given (empty: the default certificate)."""

    chain: str
    key: str
    hosts: tuple[str, ...] = ()


class DeviceListener(Section, frozen=True, kw_only=True):
    """[device]: where phones connect, and what one of them may cost."""

    listen: tuple[str, ...] = ("127.0.0.1:8443",)
    certificates: tuple[Certificate, ...] = ()
    backlog: int = 1024
    max_connections: int = 20_000
    max_handshakes: int = 500  # each costs half a millisecond of CPU
    handshake_seconds: float = 10.0
    idle_seconds: float = 15.0  # phones come back on a new connection anyway
    request_seconds: float = 15.0  # from the first octet of a request to its last
    max_streams: int = 32
    max_header_octets: int = 16_384
    max_body_octets: int = 32_768  # below the initial HTTP/2 window: 413 instead of a stall
    max_queued_octets: int = 262_144  # a peer that never reads
    paths: tuple[str, ...] = ("/",)  # besides the paths of the tenants
    gzip_from_octets: int = 8_000


class Partner(Section, frozen=True, kw_only=True):
    """[partner]: where SM-DP+ report profile downloads, over mutual TLS."""

    listen: str = ""  # empty: nowhere
    certificate: str = ""  # the server's PEM chain
    key: str = ""
    max_connections: int = 500
    handshake_seconds: float = 10.0
    idle_seconds: float = 75.0
    request_seconds: float = 10.0  # from the first octet of a body to its last


class Management(Section, frozen=True, kw_only=True):
    """[management]: /live, /ready, /metrics and the trace, for operators only."""

    listen: str = "127.0.0.1:8081"


class Store(Section, frozen=True, kw_only=True):
    """[store]: the embedded SQLite database `path`, in `node.data`, or PostgreSQL (`postgres`)."""

    path: str = "node.db"
    queue_bound: int = 4_096  # operations waiting for the database actor; above it: 503
    busy_seconds: float = 5.0  # how long a write waits for another process, such as an import
    # A killed node loses no token either way. True: nor does a power cut, at an fsync a batch;
    # false: after a power cut some devices may have to authenticate once more.
    tokens_survive_power_cut: bool = False
    # libpq's connection string of the role that the node works as; empty: SQLite.
    postgres: str = ""
    postgres_owner: str = ""  # of the role that owns the tables: the node then migrates by itself
    connect_seconds: float = 3.0  # to one server
    statement_seconds: float = 2.0  # for one statement; a server that says nothing is given up
    answer_seconds: float = 5.0  # for one operation, connecting again and repeating included
    cache_entries: int = 50_000  # tokens, and as many subscribers, in memory: 1 kB each
    cache_seconds: float = 60.0  # how long such a row is trusted while changes are heard of
    stale_seconds: float = 600.0  # and how long it is served when the database is away; 0: never


class DiameterPeer(Section, frozen=True, kw_only=True):
    """[[diameter.peers]]: one AAA server or Diameter agent that the node connects to."""

    host: str  # its Origin-Host; the CEA must carry it
    address: str = "127.0.0.1"
    port: int = 3868
    transport: str = "tcp"  # or "tls"
    realms: tuple[str, ...] = ()  # Destination-Realms it serves; empty: every realm
    priority: int = 1  # lower is asked first
    weight: int = 1
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_server_name: str = ""  # empty: the host
    plain_application_id: bool = True  # Auth-Application-Id in the CER
    vendor_specific_application_id: bool = True  # Vendor-Specific-Application-Id in the CER


class Diameter(Section, frozen=True, kw_only=True):
    """[diameter]: the node's own identity and the timers of its peers."""

    origin_host: str
    origin_realm: str
    peers: tuple[DiameterPeer, ...] = ()
    product_name: str = "entitlement-node"
    connect_seconds: float = 5.0
    capabilities_seconds: float = 5.0
    watchdog_seconds: float = 30.0  # Tw; RFC 3539 allows no less than 6
    reconnect_seconds: float = 30.0  # Tc
    first_reconnect_seconds: float = 1.0  # ours: the first tries come quicker than Tc
    disconnect_seconds: float = 5.0
    answer_seconds: float = 1.5  # then the next peer is asked, if there is one: 2 s in all
    exchange_seconds: float = 6.0  # for one DER at all peers: far under the clients' 30 s
    max_pending: int = 10_000  # DERs in flight per peer
    max_message_octets: int = 65_536
    overload_control: bool = True  # announce OC-Supported-Features, obey OC-OLR and Load


class Sessions(Section, frozen=True, kw_only=True):
    """[sessions]: limits of the subscriber sessions."""

    challenge_seconds: float = 45.0  # longer than the 30 s for which the device itself waits
    finished_seconds: float = 5.0  # kept for a repeated POST
    capacity: int = 200_000
    mailbox_bound: int = 32
    max_challenges: int = 4  # AOSP answers four, then gives up
    max_resynchronisations: int = 2
    max_requests_per_device: int = 8  # at the same time, for one terminal
    answer_seconds: float = 12.0  # whole budget of one HTTP leg
    retry_after_seconds: int = 10  # jittered by up to the same again


class Overload(Section, frozen=True, kw_only=True):
    """[overload]: what may begin when not everything can be finished. Per process."""

    enabled: bool = True  # false: nothing is refused for load
    delay_seconds: float = 0.03  # input that waits longer, again and again, is congestion
    # The longest wait for an answer of the AAA, reckoned from DERs in flight and answers a second.
    aaa_delay_seconds: float = 1.0  # well below diameter.answer_seconds
    aaa_least_in_flight: int = 256  # DERs, whatever the rate of answers
    ramp_start: float = 50.0  # new authentications a second after an outage; doubles each second
    authentications_per_device: int = 12  # new ones in a minute; 0: no limit
    retry_after_least: int = 30  # seconds, for the mildest case; spread over as much again
    retry_after_most: int = 300  # for the worst case
    tenant_weights: dict[str, float] = {}  # of what the node can do; a tenant not named has 1


class Authentication(Section, frozen=True, kw_only=True, cache_hash=True):
    """[tenants.authentication]: how this tenant's devices are authenticated."""

    application: str = "swm"  # or "swa"
    destination_realm: str = ""  # empty: epc.<realm of the subscriber's PLMN>
    auth_request_type: int = 3  # AUTHORIZE_AUTHENTICATE; 1 is AUTHENTICATE_ONLY
    rat_type: int | None = 0  # WLAN; none: the AVP is left out
    visited_network_identifier: str = ""  # empty: the AVP is left out
    terminal_information: bool = False  # send the IMEI to the AAA
    service_selection: str = ""  # the APN; empty: the AVP is left out
    session_termination: bool = True  # STR after success, unless NO_STATE_MAINTAINED
    token_skips_aaa: bool = True  # EAP_ID together with a valid token: the token is enough
    alternative: bool = False  # another method exists (OpenID, SMS code): 511 instead of 503


class Tokens(Section, frozen=True, kw_only=True):
    """[tenants.tokens]: the fast-authentication tokens (TS.43 §2.8.5)."""

    validity_seconds: int = 172_800
    grace_seconds: int = 600  # for the token that a new one replaced


class Versions(Section, frozen=True, kw_only=True):
    """[tenants.versions]: entitlement_version and the VERS characteristic."""

    first: int = 1
    last: int = 12
    lenient: bool = False  # a missing entitlement_version is taken as 2.0
    validity_seconds: int = 172_800
    barred: int = -1  # VERS of a barred subscriber: 0, -1 or -2 (TS.43 §2.9; validity equals it)


class VoWifi(Section, frozen=True, kw_only=True):
    """[tenants.vowifi]: where the web sheets of ap2004 are."""

    service_flow_url: str = ""
    emergency_address_required: bool = True  # false: AddrStatus is 2, whatever the record says
    terms_required: bool = True  # false: TC_Status is 2


class DataBoost(Section, frozen=True, kw_only=True):
    """[tenants.data-boost]: where the web sheet of ap2010 sells a boost (TS.43 §9.5)."""

    service_flow_url: str = ""  # empty: a boost that the plan has needs no purchase
    # How phones hand over the user data: empty by GET, "json" or "xml" by POST.
    service_flow_contents_type: str = ""


class Voice(Section, frozen=True, kw_only=True):
    """[tenants.voice]: ap2003."""

    irat_5g: str = "EPS-Fallback"  # NetworkVoiceIRATCapability of NG-RAN rows; empty: left out
    irat_4g: str = ""


class SmdpPlus(Section, frozen=True, kw_only=True):
    """[[tenants.smdp-plus]]: one SM-DP+ that this tenant orders eSIM profiles from (ES2+).

    What the standard leaves open or vendors do otherwise is the driver's; the fields here that say
    so override it for one SM-DP+.
    """

    name: str  # with the tenant's id the key of orders and inventory, so never change it
    url: str  # https://host:port, without the standard's path
    requester: str  # functionRequesterIdentifier: an OID, or what was agreed
    driver: str = "standard"
    address: str = ""  # of activation codes; empty: the host of the url
    oid: str = ""  # of activation codes; empty: left out
    profile_types: tuple[str, ...] = ()  # that it serves; empty: any
    ca: str  # that its server certificate must come from
    certificate: str  # the tenant's own client certificate, with its chain
    key: str
    server_name: str = ""  # in its certificate; empty: the host of the url
    inside_vpn: bool = False  # allows a url with http://, with empty ca, certificate and key
    basic_user: str = ""  # HTTP Basic besides the client certificate; empty: none
    basic_password: str = ""
    http2: bool = False  # offer h2 by ALPN; the standard binds HTTP/1.1
    version: str = ""  # of X-Admin-Protocol, such as 2.2.0; empty: the driver's
    path_prefix: str = ""  # before /gsma/rsp2/es2plus/; empty: the driver's
    iccid_form: str = "driver"  # "padded" with F to 20 symbols, or "plain"
    # notificationPointId -> event: eligibility, cc_fail, downloaded, installed, enabled, disabled,
    # deleted or unknown; besides those of the driver.
    notification_points: dict[str, str] = {}
    connect_seconds: float = 3.0  # name look-up, TCP and TLS
    # From the connection to the last octet of the answer, for one attempt.
    download_order_seconds: float = 10.0
    confirm_order_seconds: float = 10.0
    release_profile_seconds: float = 10.0
    cancel_order_seconds: float = 10.0
    profile_status_seconds: float = 10.0
    max_calls: int = 8  # at the same time
    max_calls_per_second: float = 0.0  # 0: no limit
    # UTC, such as "02:00-04:00" each day or "sun 22:00-02:00"; meanwhile nothing is sent.
    maintenance: tuple[str, ...] = ()
    # Who it is when it reports to [partner]: a client certificate that one of this file issued,
    notification_ca: str = ""
    notification_names: tuple[str, ...] = ()  # and that has one of these as DNS name, URI or CN
    # in front of the standard's path; needed when one certificate reports for several tenants
    notification_prefix: str = ""


class UserInput(Section, frozen=True, kw_only=True):
    """[tenants.odsa.user-input]: what is asked without a web sheet (MSG, TS.43 §6.5.5).

    The texts are odsa-input-title, odsa-input, odsa-input-hint and odsa-input-failed of
    [tenants.messages].
    """

    operations: tuple[str, ...] = ()  # of subscribe, transfer, recover; empty: nothing is asked
    free_text: bool = False  # the user types something; else accepting is enough
    pattern: str = ""  # regular expression for the whole of what is typed
    expected: str = ""  # "msisdn-end": the last four digits of the line's number; empty: anything


class Odsa(Section, frozen=True, kw_only=True):
    """[tenants.odsa]: eSIM activation on devices (TS.43 §6), for tenants that have an SM-DP+."""

    companion: bool = True  # ap2006: watches and other companions
    primary: bool = True  # ap2009: phones
    server: bool = False  # ap2011: servers of enterprises
    cross_platform: bool = False  # ap2017: transfers between platforms
    companion_services: tuple[str, ...] = ("SharedNumber", "DiffNumber")  # and FamilyNumber
    companion_plans: tuple[str, ...] = ()  # ids of the plans that may have companions; empty: any
    primary_plans: tuple[str, ...] = ()  # and eSIM lines
    max_companions: int = 5  # of one subscriber
    inline_seconds: float = 8.0  # a device waits so long for its profile, then it polls
    eligibility_polling_minutes: int = 0  # beside a no to primary devices; 0: they do not poll
    activation_code_prefix: bool = False  # LPA: before the activation code
    manage_service: bool = True  # ManageService; false: OperationResult 103
    companion_transfer: bool = False  # old_companion_terminal_*; false: 406
    companion_device_info: bool = False  # list all companions, for devices without web view
    redownloadable_only: bool = False  # transfers need devices that can fetch a profile again
    eid_check_digits: bool = False  # an EID whose check digits are wrong is refused
    # What a temporary token may be issued for: the operations of a transfer.
    temporary_token_operations: tuple[str, ...] = (
        "CheckEligibility",
        "ManageSubscription",
        "AcquireConfiguration",
    )
    portal_url: str = ""  # the web sheet
    portal_contents_type: str = ""  # how phones hand over the user data: empty, "json" or "xml"
    # What is done there: subscribe, unsubscribe, change, transfer, recover.
    portal_operations: tuple[str, ...] = ()
    not_enabled_url: str = ""  # explains why the application cannot be used
    error_url: str = ""  # explains an operation that failed
    user_input: UserInput = UserInput()


class PhoneNumber(Section, frozen=True, kw_only=True):
    """[tenants.phone-number]: ap2014, which tells and verifies phone numbers (TS.43 §13)."""

    offered: bool = False
    encoded: bool = False  # MSISDN in base64
    sim_id: str = "hash"  # SimID: "hash" (HMAC-SHA256 of the IMSI), "uuid" (made of it) or "imsi"
    sim_id_key: str = ""  # of the HMAC; needed for hash and uuid
    mvno_name: str = ""
    requestors: tuple[str, ...] = ()  # requestor_id that may bring temporary tokens; empty: any


class Tenant(Section, frozen=True, kw_only=True):
    """[[tenants]]: an operator, or a virtual operator on the same network.

    A request belongs to the tenant whose `hosts` hold its host name; among several, or with none,
    its own `paths`, then the realm's PLMN, then `imsi_ranges`, then `gid1` decide. The most
    specific match wins.
    """

    id: str  # lower-case letters, digits and `-`; the first part of every key
    name: str = ""
    plmns: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    imsi_ranges: tuple[str, ...] = ()  # "001010000000001-001010000999999", ends included
    gid1: tuple[str, ...] = ()  # hexadecimal, compared without case
    paths: tuple[str, ...] = ()  # its own, besides device.paths, which say nothing of a tenant
    default_language: str = "en"
    prefer_json: bool = False  # when Accept allows both
    authentication: Authentication = Authentication()
    tokens: Tokens = Tokens()
    versions: Versions = Versions()
    vowifi: VoWifi = VoWifi()
    data_boost: DataBoost = DataBoost()
    voice: Voice = Voice()
    # How long a web sheet may be opened with the user data of a document.
    web_sheet_seconds: int = 600
    smdp_plus: tuple[SmdpPlus, ...] = ()
    odsa: Odsa = Odsa()
    phone_number: PhoneNumber = PhoneNumber()
    # message id -> language -> text; ids are in protocols/ts43/messages.py
    messages: dict[str, dict[str, str]] = {}


class Logging(Section, frozen=True, kw_only=True):
    """[logging]: one JSON object a line on standard error."""

    level: str = "info"
    format: str = "json"  # or "console"


class ProfileTypes(Section, frozen=True, kw_only=True):
    """[[orders.profile-types]]: which profile a device gets; the first row that fits decides.

    Every condition that is not empty must hold.
    """

    profile_types: tuple[str, ...] = ()  # in the order of preference; empty: any
    tenant: str = ""
    app: str = ""  # such as ap2006
    service: str = ""  # companion_terminal_service
    device_class: str = ""
    vendor: str = ""
    model: str = ""
    tac: str = ""  # the first digits of the IMEI
    eid_prefix: str = ""
    plan: str = ""


class Orders(Section, frozen=True, kw_only=True):
    """[orders]: how long eSIM orders wait for what, and which profiles they take."""

    poll_minutes: int = 1  # PollingInterval of TS.43; 0: devices wait for a push
    max_polls: int = 240  # MaxRefreshRequest: then the device is told to give up
    call_seconds: float = 30.0  # for one call to an SM-DP+ with its repetitions
    user_seconds: int = 3_600  # for the web sheet
    order_seconds: int = 86_400  # what is repeated in the background
    reservation_seconds: int = 1_800
    download_seconds: int = 1_209_600  # from the release; the user has the activation code
    install_seconds: int = 86_400
    bss_callback_seconds: int = 900  # then the BSS is asked
    first_retry_seconds: int = 1
    longest_retry_seconds: int = 900
    profiles_per_order: int = 3  # more are not tried for one order
    swap_at: str = "install"  # or "release", for a BSS that can move a number only before
    recovery: str = "reuse"  # the line's own profile again, or "new"
    recovery_after_seconds: int = 600  # a SUBSCRIBE so long after the installation means it is lost
    failed_profile: str = "burn"  # after a failed installation; or "reuse"
    temporary_token_seconds: int = 300
    low_water: int = 10  # profiles left in a pool: alarm
    parallel: int = 32  # orders that a process works on at the same time
    lease_seconds: int = 60  # after a crash other processes take over; more than call-seconds
    look_seconds: float = 1.0  # between looks for orders that are due
    profile_types: tuple[ProfileTypes, ...] = ()


class Node(Section, frozen=True, kw_only=True):
    """[node]: the box itself."""

    name: str = "ecs1"
    data: str = "var"  # folder of the database; relative to the working directory
    cookie_keys: tuple[
        str, ...
    ] = ()  # base64url of 32 octets each, the first one seals; empty: random
    drain_seconds: float = 10.0
    workers: int = 0  # processes that serve devices; 0: one for each core; 1: no supervisor
    # With several workers each is a Diameter peer of its own: this is put behind the first label of
    # diameter.origin-host, with the worker's number (from 1) for `{}`.
    worker_suffix: str = "-{}"


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    diameter: Diameter
    tenants: tuple[Tenant, ...]
    node: Node = Node()
    device: DeviceListener = DeviceListener()
    management: Management = Management()
    partner: Partner = Partner()
    store: Store = Store()
    sessions: Sessions = Sessions()
    overload: Overload = Overload()
    orders: Orders = Orders()
    logging: Logging = Logging()
