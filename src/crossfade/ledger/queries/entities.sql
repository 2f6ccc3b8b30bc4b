-- Entities, their chunks, documents and the audit trail.

-- name: get_entity
SELECT name, generation, mapping_version, coverage, unbound_creates, floor, covered_at,
    held_authority
FROM entities WHERE name = ?;

-- name: put_entity
INSERT INTO entities (
    name, generation, mapping_version, coverage, unbound_creates, floor, covered_at,
    held_authority
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    generation = excluded.generation,
    mapping_version = excluded.mapping_version,
    coverage = excluded.coverage,
    unbound_creates = excluded.unbound_creates,
    floor = excluded.floor,
    covered_at = excluded.covered_at,
    held_authority = excluded.held_authority;

-- name: get_chunk
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM chunks WHERE entity = ? AND token = ?;

-- name: put_chunk
INSERT INTO chunks (entity, token, lower, upper, generation, epoch, owner, is_open)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (entity, token) DO UPDATE SET
    lower = excluded.lower,
    upper = excluded.upper,
    generation = excluded.generation,
    epoch = excluded.epoch,
    owner = excluded.owner,
    is_open = excluded.is_open;

-- name: delete_chunk
DELETE FROM chunks WHERE entity = ? AND token = ?;

-- name: newest_chunk
SELECT coalesce(max(token), 0) FROM chunks WHERE entity = ?;

-- name: chunks_since
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM chunks WHERE entity = ? AND token > ? ORDER BY token;

-- name: open_chunks
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM chunks WHERE is_open = 1 ORDER BY token;

-- name: open_chunks_of
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM chunks WHERE is_open = 1 AND entity = ? ORDER BY token;

-- name: get_document
SELECT value FROM documents WHERE kind = ? AND name = ?;

-- name: put_document
INSERT INTO documents (kind, name, value) VALUES (?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value;

-- name: delete_document
DELETE FROM documents WHERE kind = ? AND name = ?;

-- name: list_documents
SELECT name, value FROM documents WHERE kind = ? ORDER BY name;

-- name: get_audit
SELECT at, actor, action, detail, number FROM audit WHERE number = ?;

-- name: put_audit
INSERT INTO audit (number, at, actor, action, detail) VALUES (?, ?, ?, ?, ?);

-- name: last_audit
SELECT coalesce(max(number), 0) FROM audit;

-- name: newest_audit
SELECT at, actor, action, detail, number FROM audit WHERE number < ?
ORDER BY number DESC LIMIT ?;
