-- The first schema of a ledger on PostgreSQL; {schema} is the schema that it lives in.
-- Text is compared by its bytes (COLLATE "C"), as everywhere else in a ledger.
CREATE TABLE {schema}.crossfade_schema_version (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- One row. Whoever commits a group of transitions holds its lock; `version` tells the others.
CREATE TABLE {schema}.crossfade_ledger (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    ledger_id TEXT NOT NULL,
    incarnation BIGINT NOT NULL,
    version BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The one global sequence. A number is taken under the lock of a group commit, or under the
-- shared advisory lock of a user's transaction; never twice.
CREATE SEQUENCE {schema}.crossfade_sequence AS BIGINT MINVALUE 1 NO CYCLE;

-- One row. `number` goes up with every change, so that a process can say what it has seen.
CREATE TABLE {schema}.crossfade_migration (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number BIGINT NOT NULL,
    state TEXT NOT NULL
);

CREATE TABLE {schema}.crossfade_entities (
    name TEXT COLLATE "C" PRIMARY KEY,
    generation BIGINT NOT NULL,
    mapping_version TEXT NOT NULL,
    coverage TEXT NOT NULL,
    unbound_creates BIGINT NOT NULL,
    floor BIGINT NOT NULL,
    covered_at BIGINT NOT NULL,
    held_authority TEXT
);

-- `key` is a JSON list of its columns. `shelf` is the list that the row is on (key_shelf.py).
CREATE TABLE {schema}.crossfade_keys (
    entity TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    clean_seq BIGINT NOT NULL,
    open_intents BIGINT NOT NULL,
    lease_owner TEXT,
    lease_token BIGINT,
    reason TEXT NOT NULL,
    dirty_since DOUBLE PRECISION NOT NULL,
    tries BIGINT NOT NULL,
    quarantine TEXT,
    waived INTEGER NOT NULL,
    held_authority TEXT,
    releasing INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    aged INTEGER NOT NULL,
    PRIMARY KEY (entity, key)
) WITH (fillfactor = 80);

-- Every list of keys is one range of this index. Nothing counts along: writers of different keys
-- share no row, so what is open is counted where somebody asks, on these indexes.
CREATE INDEX crossfade_keys_by_shelf ON {schema}.crossfade_keys (entity, shelf, seq);

CREATE INDEX crossfade_keys_by_age ON {schema}.crossfade_keys (entity, dirty_since)
    WHERE aged = 1;

CREATE INDEX crossfade_keys_leased ON {schema}.crossfade_keys (entity)
    WHERE lease_token IS NOT NULL;

-- Open intents only; `keys` is a JSON list of keys.
CREATE TABLE {schema}.crossfade_intents (
    id BIGINT PRIMARY KEY,
    entity TEXT COLLATE "C" NOT NULL,
    keys TEXT NOT NULL,
    unbound INTEGER NOT NULL,
    epoch BIGINT NOT NULL,
    authority TEXT NOT NULL,
    node TEXT NOT NULL,
    operation TEXT NOT NULL,
    doubt TEXT NOT NULL
);

CREATE TABLE {schema}.crossfade_chunks (
    entity TEXT COLLATE "C" NOT NULL,
    token BIGINT NOT NULL,
    lower TEXT,
    upper TEXT,
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    owner TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    PRIMARY KEY (entity, token)
);

CREATE INDEX crossfade_chunks_open ON {schema}.crossfade_chunks (entity) WHERE is_open = 1;

CREATE TABLE {schema}.crossfade_documents (
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE {schema}.crossfade_audit (
    number BIGINT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- The processes that serve. `beat` moves while one lives; the others judge that by their own
-- clocks. `seen` is the number of the migration's row that it routes by.
CREATE TABLE {schema}.crossfade_nodes (
    node TEXT COLLATE "C" PRIMARY KEY,
    registration TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL,
    beat BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    untracked INTEGER NOT NULL,
    serving INTEGER NOT NULL,
    route_seconds DOUBLE PRECISION NOT NULL
) WITH (fillfactor = 50);

-- One row: the process that runs the workers, as long as it is registered. `dead` counts the
-- processes that were found dead: what they had under way may end at any time.
CREATE TABLE {schema}.crossfade_worker (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    node TEXT NOT NULL,
    registration TEXT NOT NULL,
    dead BIGINT NOT NULL
);

-- The newest group that each writer has committed, so that a commit whose answer was lost can be
-- looked up.
CREATE TABLE {schema}.crossfade_commits (
    writer TEXT PRIMARY KEY,
    batch BIGINT NOT NULL
) WITH (fillfactor = 50);
