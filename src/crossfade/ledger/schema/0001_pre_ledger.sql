-- The first schema of a ledger: identity, migration, entities, keys, intents, chunks, documents, audit.
CREATE TABLE schema_version (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- One row. `sequence` is the highest number handed out by a committed transition.
CREATE TABLE ledger (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    ledger_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL
);

-- One row. Stage, epoch, flip and holds are read and written as a whole, so they are one document.
CREATE TABLE migration (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    state TEXT NOT NULL
);

-- `coverage` is a list of [lower key, upper key]; null is no bound.
CREATE TABLE entities (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    mapping_version TEXT NOT NULL,
    coverage TEXT NOT NULL,
    unbound_creates INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    covered_at INTEGER NOT NULL,
    held_authority TEXT
) WITHOUT ROWID;

-- `key` is a JSON list of its columns. `shelf` is the list that the row is on (key_shelf.py).
CREATE TABLE keys (
    entity TEXT NOT NULL,
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    clean_seq INTEGER NOT NULL,
    open_intents INTEGER NOT NULL,
    lease_owner TEXT,
    lease_token INTEGER,
    reason TEXT NOT NULL,
    dirty_since REAL NOT NULL,
    tries INTEGER NOT NULL,
    quarantine TEXT,
    waived INTEGER NOT NULL,
    held_authority TEXT,
    releasing INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    aged INTEGER NOT NULL,
    PRIMARY KEY (entity, key)
) WITHOUT ROWID;

-- Every list of keys is one range of this index, however many keys are on the other lists.
CREATE INDEX keys_by_shelf ON keys (entity, shelf, seq);

-- The age of the oldest dirty key is one look. `aged` is 1 on the shelves of dirty keys; a key that
-- only moves between them leaves this index alone, which is most of what happens to keys.
CREATE INDEX keys_by_age ON keys (entity, dirty_since) WHERE aged = 1;

-- Open intents only; `keys` is a JSON list of keys.
CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    keys TEXT NOT NULL,
    unbound INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    authority TEXT NOT NULL,
    node TEXT NOT NULL,
    operation TEXT NOT NULL,
    doubt TEXT NOT NULL
);

CREATE TABLE chunks (
    entity TEXT NOT NULL,
    token INTEGER NOT NULL,
    lower TEXT,
    upper TEXT,
    generation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    PRIMARY KEY (entity, token)
) WITHOUT ROWID;

CREATE INDEX chunks_open ON chunks (entity) WHERE is_open = 1;

CREATE TABLE documents (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- How many rows of an entity count as `what`; kept by the transaction that changes the rows,
-- so that a flip that waits for zero never counts a million keys.
CREATE TABLE tallies (
    entity TEXT NOT NULL,
    what TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (entity, what)
) WITHOUT ROWID;
