-- A statement sees the rows of one tenant: the one that its transaction named (`app.tenant`), and
-- none before that. FORCE: also when the owner of the tables asks.
ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE plans FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON plans
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE subscribers ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscribers FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON subscribers
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON devices
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON tokens
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE registrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE registrations FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON registrations
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE identity_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON identity_changes
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

-- What every node forgets at once (actors/store/postgres/listener.py): `t OWNER` a row of tokens,
-- `s TENANT IMSI` a subscriber, `a TENANT` all subscribers of a tenant. Triggers, so that a person
-- with psql is heard as well. A new token is no news, unless it ends the validity of one before it
-- sooner than nodes forget it by themselves (60 s). PostgreSQL lets one transaction with
-- notifications commit at a time, so the frequent ones have none.
CREATE FUNCTION notify_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('entitlement_store', 't ' || OLD.owner);
    RETURN NULL;
END $$;

CREATE TRIGGER tokens_changed AFTER UPDATE ON tokens FOR EACH ROW
    WHEN ((NEW.token_hash = OLD.token_hash AND (NEW.revoked <> OLD.revoked
            OR NEW.previous_revoked IS DISTINCT FROM OLD.previous_revoked
            OR NEW.valid_until < OLD.valid_until OR NEW.previous_until < OLD.previous_until))
        OR (NEW.token_hash <> OLD.token_hash AND (OLD.previous_until > NEW.issued
            OR (NEW.previous_until < OLD.valid_until AND NEW.previous_until < NEW.issued + 60))))
    EXECUTE FUNCTION notify_token();

CREATE TRIGGER tokens_gone AFTER DELETE ON tokens FOR EACH ROW
    WHEN (OLD.valid_until > extract(epoch FROM now()) OR OLD.previous_until > extract(epoch FROM now()))
    EXECUTE FUNCTION notify_token();

CREATE FUNCTION notify_subscribers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT 1 FROM gone LIMIT 101) many) > 100 THEN
        PERFORM pg_notify('entitlement_store', 'a ' || tenant)
            FROM (SELECT DISTINCT tenant FROM gone) tenants;
    ELSE
        PERFORM pg_notify('entitlement_store', 's ' || tenant || ' ' || imsi) FROM gone;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER subscribers_changed AFTER UPDATE ON subscribers REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION notify_subscribers();

CREATE TRIGGER subscribers_gone AFTER DELETE ON subscribers REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION notify_subscribers();

CREATE FUNCTION notify_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('entitlement_store', 'a ' || coalesce(NEW.tenant, OLD.tenant));
    RETURN NULL;
END $$;

-- Also a new plan: a subscriber may have had its name before.
CREATE TRIGGER plans_changed AFTER INSERT OR UPDATE OR DELETE ON plans FOR EACH ROW
    EXECUTE FUNCTION notify_plan();
