-- The processes that share a ledger.

-- name: register_node
INSERT INTO {schema}.crossfade_nodes
    (node, registration, started, beat, seen, untracked, serving, route_seconds)
VALUES (%s, %s, %s, 1, %s, %s, %s, %s)
ON CONFLICT (node) DO UPDATE SET
    registration = excluded.registration, started = excluded.started,
    beat = {schema}.crossfade_nodes.beat + 1, seen = excluded.seen,
    untracked = excluded.untracked, serving = excluded.serving, route_seconds = excluded.route_seconds;

-- name: beat_node
UPDATE {schema}.crossfade_nodes SET beat = beat + 1, seen = %s, untracked = %s, serving = %s
WHERE node = %s AND registration = %s;

-- name: remove_node
DELETE FROM {schema}.crossfade_nodes WHERE node = %s AND registration = %s;

-- name: evict_node
-- Takes a process for dead whose beat has not moved.
WITH gone AS (
    DELETE FROM {schema}.crossfade_nodes
    WHERE node = %s AND registration = %s AND beat = %s RETURNING 1
)
UPDATE {schema}.crossfade_worker SET dead = dead + 1 WHERE EXISTS (SELECT 1 FROM gone);

-- name: bury_node
-- This process ends in the midst of something, or began under the name of one that has.
WITH gone AS (
    DELETE FROM {schema}.crossfade_nodes
    WHERE node = %s AND (registration = %s) = %s RETURNING 1
)
UPDATE {schema}.crossfade_worker SET dead = dead + 1 WHERE EXISTS (SELECT 1 FROM gone);

-- name: list_nodes
SELECT n.node, n.registration, n.started, n.beat, n.seen, n.untracked, n.serving, n.route_seconds,
    m.number
FROM {schema}.crossfade_nodes n, {schema}.crossfade_migration m ORDER BY n.node;

-- name: count_dead
SELECT dead FROM {schema}.crossfade_worker;

-- name: claim_work
-- The first row is there from the start; a holder that is no longer registered has lost it.
UPDATE {schema}.crossfade_worker w SET node = %s, registration = %s
WHERE NOT EXISTS (
    SELECT 1 FROM {schema}.crossfade_nodes n
    WHERE n.node = w.node AND n.registration = w.registration
);

-- name: create_worker
INSERT INTO {schema}.crossfade_worker (only_row, node, registration, dead)
VALUES (1, '', '', 0);

-- name: holds_work
SELECT node = %s AND registration = %s FROM {schema}.crossfade_worker;

-- name: leave_work
UPDATE {schema}.crossfade_worker SET node = '', registration = ''
WHERE node = %s AND registration = %s;
