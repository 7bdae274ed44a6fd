-- eSIM orders, the profiles they take, what SM-DP+ reported, and the lines of the embedded BSS.
-- Times are Unix seconds, 0 means never.

-- state, reached: actors/orders/transitions.py. busy: 1 while another order about the same subject
-- would be in its way. body: JSON of what nobody searches for (actors/store/order_rows.py).
CREATE TABLE orders (
    tenant TEXT NOT NULL,
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    request_key TEXT NOT NULL,
    subject TEXT NOT NULL,
    busy INTEGER NOT NULL,
    kind TEXT NOT NULL,
    app TEXT NOT NULL,
    service TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    imsi TEXT NOT NULL,
    line_imsi TEXT NOT NULL,
    old_imsi TEXT NOT NULL,
    target_eid TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    smdp TEXT NOT NULL,
    profile_type TEXT NOT NULL,
    iccid TEXT NOT NULL,
    device_vendor TEXT NOT NULL,
    device_model TEXT NOT NULL,
    state TEXT NOT NULL,
    reached TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    released_at INTEGER NOT NULL,
    downloaded_at INTEGER NOT NULL,
    installed_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, order_id)
);

CREATE UNIQUE INDEX orders_busy ON orders (tenant, subject) WHERE busy = 1;
CREATE INDEX orders_due ON orders (tenant, next_at) WHERE next_at > 0;
CREATE INDEX orders_by_subject ON orders (tenant, subject);
CREATE INDEX orders_by_imsi ON orders (tenant, imsi);
CREATE INDEX orders_by_line ON orders (tenant, line_imsi);
CREATE INDEX orders_by_eid ON orders (tenant, target_eid);
CREATE INDEX orders_by_iccid ON orders (tenant, iccid);

-- What happened, step by step; number is the version that the order had afterwards, so that of two
-- who change one order at the same time only one can.
CREATE TABLE order_steps (
    tenant TEXT NOT NULL,
    order_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    given TEXT NOT NULL,
    action TEXT NOT NULL,
    state TEXT NOT NULL,
    call_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (tenant, order_id, number)
) WITHOUT ROWID;

-- The pools. state: actors/orders/machine.py, StockState. matching_id: empty: chosen by each order.
-- order_id: of the order that has it, or had it last.
CREATE TABLE profiles (
    tenant TEXT NOT NULL,
    iccid TEXT NOT NULL,
    smdp TEXT NOT NULL,
    profile_type TEXT NOT NULL,
    state TEXT NOT NULL,
    imsi TEXT NOT NULL,
    msisdn TEXT NOT NULL,
    matching_id TEXT NOT NULL,
    batch TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (tenant, iccid)
) WITHOUT ROWID;

CREATE INDEX profiles_by_pool ON profiles (tenant, smdp, state, profile_type, iccid);
CREATE INDEX profiles_by_imsi ON profiles (tenant, imsi);

-- given: the input of the order that it is, empty: none. done: 1 when the order has taken it.
-- order_id: empty: no profile of ours (an orphan).
CREATE TABLE profile_notifications (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    smdp TEXT NOT NULL,
    iccid TEXT NOT NULL,
    order_id TEXT NOT NULL,
    point TEXT NOT NULL,
    given TEXT NOT NULL,
    reason TEXT NOT NULL,
    happened_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    done INTEGER NOT NULL,
    raw BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
) WITHOUT ROWID;

CREATE INDEX profile_notifications_open ON profile_notifications (tenant, received_at)
    WHERE done = 0;
CREATE INDEX profile_notifications_by_iccid ON profile_notifications (tenant, iccid);

-- token_hash: SHA-256. eid: of the first device that used it; empty: none yet.
CREATE TABLE temporary_tokens (
    tenant TEXT NOT NULL,
    token_hash BLOB NOT NULL,
    imsi TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    iccid TEXT NOT NULL,
    app TEXT NOT NULL,
    operations TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    consumed_at INTEGER NOT NULL,
    eid TEXT NOT NULL,
    PRIMARY KEY (tenant, token_hash)
) WITHOUT ROWID;

CREATE INDEX temporary_tokens_by_imsi ON temporary_tokens (tenant, imsi);

-- The embedded BSS: lines that orders made, beside the subscribers that they are. owner_imsi: the
-- subscriber who pays. state: active or ended.
CREATE TABLE lines (
    tenant TEXT NOT NULL,
    imsi TEXT NOT NULL,
    owner_imsi TEXT NOT NULL,
    app TEXT NOT NULL,
    service TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    iccid TEXT NOT NULL,
    eid TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, imsi)
) WITHOUT ROWID;

CREATE INDEX lines_by_owner ON lines (tenant, owner_imsi);
CREATE INDEX lines_by_iccid ON lines (tenant, iccid);
CREATE INDEX subscribers_by_iccid ON subscribers (tenant, iccid) WHERE iccid <> '';

-- What the embedded BSS was asked before, by idempotency key. refused: why; empty: done.
CREATE TABLE line_changes (
    tenant TEXT NOT NULL,
    change_key TEXT NOT NULL,
    verb TEXT NOT NULL,
    at INTEGER NOT NULL,
    refused TEXT NOT NULL,
    PRIMARY KEY (tenant, change_key)
) WITHOUT ROWID;
