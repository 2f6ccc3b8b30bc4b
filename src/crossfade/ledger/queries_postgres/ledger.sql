-- Transactions, identity, sequence, migration and schema of a ledger on PostgreSQL.

-- name: begin_write
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

-- name: begin_read
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: begin_transition
SAVEPOINT transition;

-- name: keep_transition
RELEASE SAVEPOINT transition;

-- name: undo_transition
ROLLBACK TO SAVEPOINT transition;

-- name: begin_create
-- In a user's transaction: a create that raises leaves nothing behind, since nobody knows its id.
SAVEPOINT crossfade_create;

-- name: undo_create
ROLLBACK TO SAVEPOINT crossfade_create;

-- name: setting
SELECT set_config(%s, %s, false);

-- name: be_durable
-- A server that answers before the disk does is told not to for this ledger.
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off';

-- name: lock_wait
-- How long the present transaction waits for a lock.
SELECT set_config('lock_timeout', %s, true);

-- name: lock_ledger
SELECT version FROM {schema}.crossfade_ledger FOR UPDATE;

-- name: lock_alone
-- Waits for users' transactions that rely on the migration's row, and keeps new ones out.
SELECT pg_advisory_xact_lock(%s);

-- name: lock_shared
-- Also tells whether the transaction sees what was committed since it began.
SELECT pg_advisory_xact_lock_shared(%s), current_setting('transaction_isolation');

-- name: lock_schema
SELECT pg_advisory_xact_lock(%s);

-- name: raise_version
UPDATE {schema}.crossfade_ledger SET version = version + 1;

-- name: note_commit
INSERT INTO {schema}.crossfade_commits (writer, batch) VALUES (%s, %s)
ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch;

-- name: committed_batch
SELECT batch FROM {schema}.crossfade_commits WHERE writer = %s;

-- name: forget_commits
DELETE FROM {schema}.crossfade_commits WHERE writer = %s;

-- name: get_identity
SELECT ledger_id, incarnation FROM {schema}.crossfade_ledger;

-- name: create_ledger
INSERT INTO {schema}.crossfade_ledger (only_row, ledger_id, incarnation, version)
VALUES (1, %s, 1, 1);

-- name: put_incarnation
UPDATE {schema}.crossfade_ledger SET incarnation = %s;

-- name: last_number
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {schema}.crossfade_sequence;

-- name: take_numbers
SELECT nextval('{schema_text}.crossfade_sequence') FROM generate_series(1, %s);

-- name: set_number
-- Only while nobody else can take one.
SELECT setval('{schema_text}.crossfade_sequence', greatest(%s::bigint, 1), %s::bigint > 0);

-- name: get_migration
SELECT state FROM {schema}.crossfade_migration;

-- name: create_migration
INSERT INTO {schema}.crossfade_migration (only_row, number, state) VALUES (1, 1, %s);

-- name: share_migration
SELECT state FROM {schema}.crossfade_migration FOR SHARE;

-- name: put_migration
UPDATE {schema}.crossfade_migration SET number = number + 1, state = %s RETURNING number;

-- name: get_route
SELECT m.state, m.number, EXISTS (
    SELECT 1 FROM {schema}.crossfade_nodes n WHERE n.node = %s AND n.registration = %s
) FROM {schema}.crossfade_migration m;

-- name: changed_migration
-- Nothing where nobody has committed since: each statement of a group sees what is committed then.
SELECT m.state, m.number FROM {schema}.crossfade_migration m, {schema}.crossfade_ledger l
WHERE l.version <> %s;

-- name: changed_entities
SELECT e.name, e.generation, e.mapping_version, e.coverage, e.unbound_creates, e.floor,
    e.covered_at, e.held_authority
FROM {schema}.crossfade_entities e, {schema}.crossfade_ledger l WHERE l.version <> %s;

-- name: changed_chunks
SELECT c.entity, max(c.token) FROM {schema}.crossfade_chunks c, {schema}.crossfade_ledger l
WHERE l.version <> %s GROUP BY c.entity;

-- name: migration_number
SELECT number FROM {schema}.crossfade_migration;

-- name: tell_route
SELECT pg_notify(%s, '');

-- name: current_schema
SELECT current_schema();

-- name: server_encoding
SELECT current_setting('server_encoding');

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: has_schema
SELECT to_regnamespace('{schema_text}') IS NOT NULL;

-- name: has_ledger
-- Reads a catalogue, too: otherwise a session that has waited for another one to make the ledger
-- answers from its own cache, which says that there is none.
SELECT to_regclass('{schema_text}.crossfade_schema_version') IS NOT NULL
FROM pg_catalog.pg_namespace LIMIT 1;

-- name: schema_number
SELECT coalesce(max(number), 0) FROM {schema}.crossfade_schema_version;

-- name: add_schema_version
INSERT INTO {schema}.crossfade_schema_version (number, name) VALUES (%s, %s);

-- name: drop_ledger
DROP TABLE {schema}.crossfade_schema_version, {schema}.crossfade_ledger,
    {schema}.crossfade_migration, {schema}.crossfade_entities, {schema}.crossfade_keys,
    {schema}.crossfade_intents, {schema}.crossfade_chunks, {schema}.crossfade_documents,
    {schema}.crossfade_audit, {schema}.crossfade_nodes, {schema}.crossfade_worker,
    {schema}.crossfade_commits;

-- name: drop_sequence
DROP SEQUENCE {schema}.crossfade_sequence;

-- name: place
-- Which server and which of its databases this is.
SELECT system_identifier, current_database() FROM pg_control_system();
