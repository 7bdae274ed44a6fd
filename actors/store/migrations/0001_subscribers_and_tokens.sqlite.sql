-- Without statistics SQLite takes the tenant alone for a good key and reads all of its rows.
-- What is true at 1,000,000 rows of one tenant: the columns are the table's rows, then the rows
-- that each further column of the index leaves. Nobody else runs ANALYZE on this database.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('plans', 'plans', '100 50 1'),
    ('subscribers', 'subscribers', '1000000 500000 1'),
    ('subscribers', 'subscribers_by_msisdn', '1000000 500000 1'),
    ('devices', 'devices', '1000000 500000 2 1'),
    ('devices', 'devices_by_terminal', '1000000 500000 2'),
    ('tokens', 'tokens_by_subscriber', '1000000 500000 3'),
    ('tokens', 'tokens_by_session', '1000000 2'),
    ('tokens', 'tokens_by_previous_session', '1000000 2'),
    ('registrations', 'registrations', '1000000 500000 4 3 1 1'),
    ('identity_changes', 'identity_changes', '1000000 500000 250000 2 1 1');
