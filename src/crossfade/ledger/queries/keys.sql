-- Rows of keys, and the lists of them.

-- name: get_key
SELECT entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing
FROM keys WHERE entity = ? AND key = ?;

-- name: put_key
INSERT INTO keys (
    entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing, shelf, aged
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (entity, key) DO UPDATE SET
    seq = excluded.seq,
    clean_seq = excluded.clean_seq,
    open_intents = excluded.open_intents,
    lease_owner = excluded.lease_owner,
    lease_token = excluded.lease_token,
    reason = excluded.reason,
    dirty_since = excluded.dirty_since,
    tries = excluded.tries,
    quarantine = excluded.quarantine,
    waived = excluded.waived,
    held_authority = excluded.held_authority,
    releasing = excluded.releasing,
    shelf = excluded.shelf,
    aged = excluded.aged;

-- name: touch_key
-- For a row whose age is as it was: the index by age is not touched.
UPDATE keys SET
    seq = ?, clean_seq = ?, open_intents = ?, lease_owner = ?, lease_token = ?, reason = ?,
    tries = ?, quarantine = ?, waived = ?, held_authority = ?, releasing = ?, shelf = ?
WHERE entity = ? AND key = ?;

-- name: delete_key
DELETE FROM keys WHERE entity = ? AND key = ?;

-- name: keys_on_shelf
SELECT entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing
FROM keys
WHERE entity = ? AND shelf = ? AND seq > ?
ORDER BY seq
LIMIT ?;

-- name: dirty_keys_on_shelf
SELECT entity, key, seq, clean_seq, open_intents, lease_owner, lease_token, reason,
    dirty_since, tries, quarantine, waived, held_authority, releasing
FROM keys
WHERE entity = ? AND shelf = ? AND seq > ? AND seq > clean_seq
ORDER BY seq
LIMIT ?;

-- name: oldest_dirty_since
SELECT min(dirty_since) FROM keys WHERE entity = ? AND aged = 1;

-- name: last_on_shelf
-- The highest sequence number on one list of an entity's keys.
SELECT max(seq) FROM keys WHERE entity = ? AND shelf = ?;
