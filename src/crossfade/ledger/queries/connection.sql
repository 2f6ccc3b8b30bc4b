-- What every connection says: settings, transactions, checkpoints.

-- name: use_wal
PRAGMA journal_mode = WAL;

-- name: be_durable
-- Every commit is on the disk before it is acknowledged.
PRAGMA synchronous = FULL;

-- name: checkpoint_size
-- Pages in the write-ahead log after which a commit copies them into the file.
PRAGMA wal_autocheckpoint = 2000;

-- name: shrink_wal
-- Bytes that the write-ahead log may keep after it was started anew.
PRAGMA journal_size_limit = 16777216;

-- name: only_read
PRAGMA query_only = ON;

-- name: application_id
PRAGMA application_id;

-- name: mark_as_ledger
-- "xfLG" in ASCII.
PRAGMA application_id = 2019970119;

-- name: data_version
-- Changes whenever another connection has committed.
PRAGMA data_version;

-- name: begin_write
BEGIN IMMEDIATE;

-- name: begin_read
BEGIN;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: begin_transition
SAVEPOINT transition;

-- name: keep_transition
RELEASE transition;

-- name: undo_transition
ROLLBACK TO transition;

-- name: tables
SELECT name FROM sqlite_master LIMIT 1;
