-- A statement sees the rows of one tenant, as in 0001_subscribers_and_tokens.postgres.sql.
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON orders
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE order_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON order_steps
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE profiles FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON profiles
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE profile_notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE profile_notifications FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON profile_notifications
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE temporary_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE temporary_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON temporary_tokens
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE lines FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON lines
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));

ALTER TABLE line_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE line_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON line_changes
    USING (tenant = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant = nullif(current_setting('app.tenant', true), ''));
