-- Open intents.

-- name: get_intent
SELECT id, entity, keys, unbound, epoch, authority, node, operation, doubt
FROM intents WHERE id = ?;

-- name: put_intent
INSERT INTO intents (id, entity, keys, unbound, epoch, authority, node, operation, doubt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    keys = excluded.keys, unbound = excluded.unbound, doubt = excluded.doubt;

-- name: delete_intent
DELETE FROM intents WHERE id = ?;

-- name: list_intents
SELECT id, entity, keys, unbound, epoch, authority, node, operation, doubt
FROM intents ORDER BY id LIMIT ?;
