-- Entities, their chunks, documents, the audit trail, and open intents.

-- name: all_entities
SELECT name, generation, mapping_version, coverage, unbound_creates, floor, covered_at,
    held_authority
FROM {schema}.crossfade_entities;

-- name: get_entity
SELECT name, generation, mapping_version, coverage, unbound_creates, floor, covered_at,
    held_authority
FROM {schema}.crossfade_entities WHERE name = %s;

-- name: put_entity
INSERT INTO {schema}.crossfade_entities (
    name, generation, mapping_version, coverage, unbound_creates, floor, covered_at,
    held_authority
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    generation = excluded.generation,
    mapping_version = excluded.mapping_version,
    coverage = excluded.coverage,
    unbound_creates = excluded.unbound_creates,
    floor = excluded.floor,
    covered_at = excluded.covered_at,
    held_authority = excluded.held_authority;

-- name: get_chunks
SELECT c.entity, c.token, c.lower, c.upper, c.generation, c.epoch, c.owner, c.is_open
FROM unnest(%s::text[], %s::bigint[]) AS w (entity, token)
JOIN {schema}.crossfade_chunks c ON c.entity = w.entity COLLATE "C" AND c.token = w.token;

-- name: put_chunk
INSERT INTO {schema}.crossfade_chunks
    (entity, token, lower, upper, generation, epoch, owner, is_open)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (entity, token) DO UPDATE SET
    lower = excluded.lower,
    upper = excluded.upper,
    generation = excluded.generation,
    epoch = excluded.epoch,
    owner = excluded.owner,
    is_open = excluded.is_open;

-- name: delete_chunk
DELETE FROM {schema}.crossfade_chunks WHERE entity = %s AND token = %s;

-- name: newest_chunks
SELECT entity, max(token) FROM {schema}.crossfade_chunks GROUP BY entity;

-- name: chunks_since
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM {schema}.crossfade_chunks WHERE entity = %s AND token > %s ORDER BY token;

-- name: open_chunks
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM {schema}.crossfade_chunks WHERE is_open = 1 ORDER BY token;

-- name: open_chunks_of
SELECT entity, token, lower, upper, generation, epoch, owner, is_open
FROM {schema}.crossfade_chunks WHERE is_open = 1 AND entity = %s ORDER BY token;

-- name: get_documents
SELECT d.kind, d.name, d.value
FROM unnest(%s::text[], %s::text[]) AS w (kind, name)
JOIN {schema}.crossfade_documents d
    ON d.kind = w.kind COLLATE "C" AND d.name = w.name COLLATE "C";

-- name: put_document
INSERT INTO {schema}.crossfade_documents (kind, name, value) VALUES (%s, %s, %s)
ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value;

-- name: delete_document
DELETE FROM {schema}.crossfade_documents WHERE kind = %s AND name = %s;

-- name: list_documents
SELECT name, value FROM {schema}.crossfade_documents WHERE kind = %s ORDER BY name;

-- name: put_audit
INSERT INTO {schema}.crossfade_audit (number, at, actor, action, detail)
VALUES (%s, %s, %s, %s, %s);

-- name: last_audit
SELECT coalesce(max(number), 0) FROM {schema}.crossfade_audit;

-- name: newest_audit
SELECT at, actor, action, detail, number FROM {schema}.crossfade_audit WHERE number < %s
ORDER BY number DESC LIMIT %s;

-- name: get_intents
SELECT id, entity, keys, unbound, epoch, authority, node, operation, doubt
FROM {schema}.crossfade_intents WHERE id = ANY(%s::bigint[]);

-- name: put_intents
INSERT INTO {schema}.crossfade_intents
    (id, entity, keys, unbound, epoch, authority, node, operation, doubt)
SELECT * FROM unnest(
    %s::bigint[], %s::text[], %s::text[], %s::int[], %s::bigint[], %s::text[], %s::text[],
    %s::text[], %s::text[]
)
ON CONFLICT (id) DO UPDATE SET
    keys = excluded.keys, unbound = excluded.unbound, doubt = excluded.doubt;

-- name: delete_intents
DELETE FROM {schema}.crossfade_intents WHERE id = ANY(%s::bigint[]);

-- name: list_intents
SELECT id, entity, keys, unbound, epoch, authority, node, operation, doubt
FROM {schema}.crossfade_intents ORDER BY id LIMIT %s;

-- name: count_intents
SELECT count(*), count(*) FILTER (WHERE doubt <> 'none'), coalesce(sum(unbound), 0)
FROM {schema}.crossfade_intents WHERE %s::text IS NULL OR entity = %s;
