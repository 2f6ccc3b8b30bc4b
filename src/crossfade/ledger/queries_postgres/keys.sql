-- Rows of keys, and the lists of them. A row is written only over the one that was read (`seq`
-- is never the same twice): a user's transaction may have changed it meanwhile.

-- name: get_keys
SELECT k.entity, k.key, k.seq, k.clean_seq, k.open_intents, k.lease_owner, k.lease_token,
    k.reason, k.dirty_since, k.tries, k.quarantine, k.waived, k.held_authority, k.releasing
FROM unnest(%s::text[], %s::text[]) AS w (entity, key)
JOIN {schema}.crossfade_keys k ON k.entity = w.entity COLLATE "C" AND k.key = w.key COLLATE "C";

-- name: insert_keys
INSERT INTO {schema}.crossfade_keys (
    entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing, shelf, aged
)
SELECT * FROM unnest(
    %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
    %s::bigint[], %s::text[], %s::float8[], %s::bigint[], %s::text[], %s::int[], %s::text[],
    %s::int[], %s::int[], %s::int[]
)
ON CONFLICT (entity, key) DO NOTHING;

-- name: update_keys
UPDATE {schema}.crossfade_keys k SET
    seq = n.seq, clean_seq = n.clean_seq, open_intents = n.open_intents,
    lease_owner = n.lease_owner, lease_token = n.lease_token, reason = n.reason,
    dirty_since = n.dirty_since, tries = n.tries, quarantine = n.quarantine,
    waived = n.waived, held_authority = n.held_authority, releasing = n.releasing,
    shelf = n.shelf, aged = n.aged
FROM unnest(
    %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
    %s::bigint[], %s::text[], %s::float8[], %s::bigint[], %s::text[], %s::int[], %s::text[],
    %s::int[], %s::int[], %s::int[], %s::bigint[]
) AS n (
    entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing, shelf, aged, seq_before
)
WHERE k.entity = n.entity COLLATE "C" AND k.key = n.key COLLATE "C" AND k.seq = n.seq_before;

-- name: delete_keys
DELETE FROM {schema}.crossfade_keys k
USING unnest(%s::text[], %s::text[], %s::bigint[]) AS n (entity, key, seq_before)
WHERE k.entity = n.entity COLLATE "C" AND k.key = n.key COLLATE "C" AND k.seq = n.seq_before;

-- name: claim_keys
-- For a user's transaction: locks the rows and returns them; a key without a row gets a quiet one.
INSERT INTO {schema}.crossfade_keys (
    entity, key, seq, clean_seq, open_intents, reason, dirty_since, tries, waived, releasing,
    shelf, aged
)
SELECT w.entity, w.key, w.floor, w.floor, 0, 'write', 0, 0, 0, 0, 0, 0
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS w (entity, key, floor)
ORDER BY w.entity COLLATE "C", w.key COLLATE "C"
ON CONFLICT (entity, key) DO UPDATE SET seq = {schema}.crossfade_keys.seq
RETURNING entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing;

-- name: keys_on_shelves
WITH RECURSIVE names AS (
    (SELECT entity FROM {schema}.crossfade_keys ORDER BY entity LIMIT 1)
    UNION ALL
    SELECT (
        SELECT k.entity FROM {schema}.crossfade_keys k
        WHERE k.entity > n.entity ORDER BY k.entity LIMIT 1
    )
    FROM names n WHERE n.entity IS NOT NULL
)
SELECT k.entity, k.key, k.seq, k.clean_seq, k.open_intents, k.lease_owner, k.lease_token,
    k.reason, k.dirty_since, k.tries, k.quarantine, k.waived, k.held_authority, k.releasing
FROM names e
CROSS JOIN unnest(%(shelves)s::int[]) AS s (shelf)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.crossfade_keys k
    WHERE k.entity = e.entity AND k.shelf = s.shelf AND k.seq > %(after)s
        AND (NOT %(dirty)s OR k.seq > k.clean_seq)
    ORDER BY k.seq LIMIT %(limit)s
) AS k
WHERE e.entity IS NOT NULL
    AND (%(entity)s::text IS NULL OR e.entity = %(entity)s::text COLLATE "C")
ORDER BY k.seq LIMIT %(limit)s;

-- name: count_keys
WITH RECURSIVE names AS (
    (SELECT entity FROM {schema}.crossfade_keys ORDER BY entity LIMIT 1)
    UNION ALL
    SELECT (
        SELECT k.entity FROM {schema}.crossfade_keys k
        WHERE k.entity > n.entity ORDER BY k.entity LIMIT 1
    )
    FROM names n WHERE n.entity IS NOT NULL
)
SELECT s.shelf, sum(c.number)::bigint
FROM names e
CROSS JOIN unnest(%(shelves)s::int[]) AS s (shelf)
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM {schema}.crossfade_keys k
    WHERE k.entity = e.entity AND k.shelf = s.shelf
) AS c
WHERE e.entity IS NOT NULL
    AND (%(entity)s::text IS NULL OR e.entity = %(entity)s::text COLLATE "C")
GROUP BY s.shelf;

-- name: count_leases
SELECT count(*) FROM {schema}.crossfade_keys
WHERE lease_token IS NOT NULL AND (%s::text IS NULL OR entity = %s::text COLLATE "C");

-- name: oldest_dirty_since
SELECT min(dirty_since) FROM {schema}.crossfade_keys
WHERE aged = 1 AND (%s::text IS NULL OR entity = %s::text COLLATE "C");

-- name: last_touched
SELECT max(m.seq)
FROM unnest(%s::int[]) AS s (shelf)
CROSS JOIN LATERAL (
    SELECT max(k.seq) AS seq FROM {schema}.crossfade_keys k
    WHERE k.entity = %s AND k.shelf = s.shelf
) AS m;
