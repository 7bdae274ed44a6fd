-- Subscribers, what they bought, their devices, tokens and push registrations.
-- The tenants themselves are in the configuration file; their id is the first column of every key.
-- The columns of a key stand first, in its order (integrity_check of SQLite 3.40 reports NULLs that
-- are none otherwise). Times are Unix seconds, 0 means never. The SQL is the subset that SQLite and
-- PostgreSQL share, but for the words that actors/store/postgres/statements.py rewrites; what only
-- one of them needs is in the files beside this one.

-- body: JSON of services, data plans and boosts (actors/store/plans.py).
CREATE TABLE plans (
    tenant TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, plan_id)
) WITHOUT ROWID;

-- overrides: `service=override` pairs, sorted, joined by `;`.
CREATE TABLE subscribers (
    tenant TEXT NOT NULL,
    imsi TEXT NOT NULL,
    msisdn TEXT NOT NULL,
    iccid TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    status TEXT NOT NULL,
    overrides TEXT NOT NULL,
    vowifi_tc_status INTEGER NOT NULL,
    vowifi_addr_status INTEGER NOT NULL,
    vowifi_prov_status INTEGER NOT NULL,
    vowifi_addr_expiry TEXT NOT NULL,
    vowifi_addr_identifier TEXT NOT NULL,
    token_generation INTEGER NOT NULL,
    PRIMARY KEY (tenant, imsi)
) WITHOUT ROWID;

CREATE INDEX subscribers_by_msisdn ON subscribers (tenant, msisdn);

-- One row for each terminal that a card was seen in.
CREATE TABLE devices (
    tenant TEXT NOT NULL,
    imsi TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    sw_version TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (tenant, imsi, terminal_id)
) WITHOUT ROWID;

CREATE INDEX devices_by_terminal ON devices (tenant, terminal_id);

-- One row for everything that tokens can be issued for: the token, and the one before it, which the
-- device may still hold. What a write costs is the number of pages that it touches, so a new token
-- takes the place of an old one; only the entries of its session move. owner: actors/store/tokens.py,
-- owner_key; each token carries it, so that the hash needs no index. token_hash: SHA-256 of the
-- token. apps: application ids, sorted, joined by `,`. previous_until: the end of the grace for a
-- predecessor, be there one or not; NULL is where there is none.
CREATE TABLE tokens (
    owner INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    imsi TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    apps TEXT NOT NULL,
    app_name TEXT NOT NULL,
    method TEXT NOT NULL,
    token_hash BLOB NOT NULL,
    issued INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    diameter_session_id BLOB NOT NULL,
    previous_method TEXT,
    previous_hash BLOB,
    previous_issued INTEGER,
    previous_until INTEGER NOT NULL,
    previous_revoked INTEGER,
    previous_generation INTEGER,
    previous_session BLOB
);

CREATE INDEX tokens_by_subscriber ON tokens (tenant, imsi);
CREATE INDEX tokens_by_session ON tokens (diameter_session_id);
CREATE INDEX tokens_by_previous_session ON tokens (previous_session)
    WHERE previous_session IS NOT NULL;

CREATE TABLE registrations (
    tenant TEXT NOT NULL,
    imsi TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    app TEXT NOT NULL,
    app_name TEXT NOT NULL,
    action INTEGER NOT NULL,
    push_token TEXT NOT NULL,
    registered INTEGER NOT NULL,
    PRIMARY KEY (tenant, imsi, terminal_id, app, app_name)
) WITHOUT ROWID;

-- kind: actors/store/records.py, Identity. Kept for the swap questions of other systems.
CREATE TABLE identity_changes (
    tenant TEXT NOT NULL,
    kind INTEGER NOT NULL,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL,
    new TEXT NOT NULL,
    old TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, subject, at, new)
) WITHOUT ROWID;
