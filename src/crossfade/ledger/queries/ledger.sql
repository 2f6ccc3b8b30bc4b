-- Identity, sequence, migration, schema versions and tallies.

-- name: get_ledger
SELECT ledger_id, incarnation, sequence FROM ledger;

-- name: create_ledger
INSERT INTO ledger (only_row, ledger_id, incarnation, sequence) VALUES (1, ?, 1, 0);

-- name: set_sequence
UPDATE ledger SET sequence = ?;

-- name: put_incarnation
UPDATE ledger SET incarnation = ?;

-- name: get_migration
SELECT state FROM migration;

-- name: put_migration
INSERT INTO migration (only_row, state) VALUES (1, ?)
ON CONFLICT (only_row) DO UPDATE SET state = excluded.state;

-- name: schema_number
SELECT max(number) FROM schema_version;

-- name: add_schema_version
INSERT INTO schema_version (number, name) VALUES (?, ?);

-- name: put_tally
-- Adds a difference, which may be negative.
INSERT INTO tallies (entity, what, number) VALUES (?, ?, ?)
ON CONFLICT (entity, what) DO UPDATE SET number = number + excluded.number;

-- name: list_tallies
SELECT entity, what, number FROM tallies WHERE number > 0 ORDER BY entity, what;
