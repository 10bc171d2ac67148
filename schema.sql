-- The one statement of the tables, at schema version 3; it makes a new database.
-- An older one is brought here by the numbered steps in enhanced_memory/store/sqlite/schema.py, and a test compares the
-- two results column by column. Times are text: UTC, ISO 8601 with microseconds and Z.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    description TEXT NOT NULL,
    applied_at TIMESTAMP NOT NULL
);

CREATE TABLE namespaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at TIMESTAMP NOT NULL
);

-- Preset dictionaries of the codec; a blob names the one it was made with. Only a purge removes one, one that holds
-- a piece of what was erased, once all that it packed is packed anew.
CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    checksum TEXT NOT NULL,
    trained_on INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL
);

-- compressed_data holds what the entity says now, on the branch it is on. updated_at and last_accessed are there once it
-- was changed or read; until then created_at stands for both, which spares every memory that is written once 70 bytes.
CREATE TABLE entities (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    tier TEXT NOT NULL DEFAULT 'working' CHECK (tier IN ('working', 'episodic', 'semantic', 'procedural')),
    compressed_data BLOB NOT NULL,
    original_size INTEGER NOT NULL,
    compressed_size INTEGER NOT NULL,
    compression_ratio REAL NOT NULL,
    checksum TEXT NOT NULL,
    access_count INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    last_accessed TIMESTAMP,
    current_version INTEGER NOT NULL DEFAULT 1,
    current_branch TEXT NOT NULL DEFAULT 'main',
    always_include BOOLEAN NOT NULL DEFAULT 0,
    source_session TEXT,
    source_timestamp TIMESTAMP,
    extraction_method TEXT NOT NULL DEFAULT 'manual',
    last_confirmed TIMESTAMP,
    relevance_score REAL NOT NULL DEFAULT 1.0,
    parent_entity_id INTEGER REFERENCES entities (id),
    conflict_resolution_method TEXT,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP
);
CREATE UNIQUE INDEX idx_entities_name ON entities (namespace_id, name) WHERE deleted_at IS NULL;
CREATE INDEX idx_entities_deleted ON entities (namespace_id, name) WHERE deleted_at IS NOT NULL;
CREATE INDEX idx_entities_type ON entities (namespace_id, entity_type) WHERE deleted_at IS NULL;
CREATE INDEX idx_entities_tier ON entities (namespace_id, tier) WHERE deleted_at IS NULL AND tier <> 'working';
CREATE INDEX idx_entities_accessed ON entities (namespace_id, last_accessed)
    WHERE deleted_at IS NULL AND last_accessed IS NOT NULL;
CREATE INDEX idx_entities_always_include ON entities (namespace_id) WHERE always_include AND deleted_at IS NULL;
CREATE INDEX idx_entities_session ON entities (namespace_id, source_session)
    WHERE source_session IS NOT NULL AND deleted_at IS NULL;

-- A version is a keyframe (delta_depth 0: all of the content) or a delta against its parent; delta_bytes is what the
-- deltas since the keyframe take together. A keyframe without data is the entity's current version: its bytes lie in
-- the entities row until the next version is appended. entity_type is there on keyframes and where it changed; what an
-- entity was called at any time is told by its renames. A first version made by hand has no action, method, created_at
-- or entity_type of its own: it is 'created', 'manual', and as old and of the type as its entity, whose row tells the
-- last two until the next version is appended. If it has no message, author and session either, it has no row at all
-- before that: all_versions tells it. That spares every memory that is written once up to 95 bytes.
CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    version_number INTEGER NOT NULL,
    branch_name TEXT NOT NULL,
    compressed_data BLOB,
    commit_message TEXT,
    created_at TIMESTAMP,
    action TEXT,
    parent_version INTEGER,
    merged_version INTEGER,
    delta_depth INTEGER NOT NULL,
    delta_bytes INTEGER NOT NULL,
    checksum BLOB,
    entity_type TEXT,
    author TEXT,
    session TEXT,
    method TEXT
);
CREATE UNIQUE INDEX idx_versions_entity ON versions (entity_id, version_number);

-- Every version: those that have a row, and the first one of an entity that has none, under the number that the row
-- gets when it is written. What reads the history of entities reads this. The casts give both parts columns of one kind,
-- or else SQLite would not look through the view to the rows that are asked for.
CREATE VIEW all_versions AS
    SELECT * FROM versions
    UNION ALL
    SELECT CAST(id - 1099511627776 AS INTEGER), id, CAST(1 AS INTEGER), CAST('main' AS TEXT), CAST(NULL AS BLOB),
        CAST(NULL AS TEXT), CAST(NULL AS TIMESTAMP), CAST(NULL AS TEXT), CAST(NULL AS INTEGER), CAST(NULL AS INTEGER),
        CAST(0 AS INTEGER), CAST(0 AS INTEGER), CAST(NULL AS BLOB), CAST(NULL AS TEXT), CAST(NULL AS TEXT),
        CAST(NULL AS TEXT), CAST(NULL AS TEXT)
    FROM entities
    WHERE current_version = 1 AND NOT EXISTS (SELECT 1 FROM versions WHERE entity_id = entities.id);

CREATE TABLE renames (
    id INTEGER PRIMARY KEY,
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    old_name TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX idx_renames_entity ON renames (entity_id);
CREATE INDEX idx_renames_name ON renames (old_name);

-- Which branch reads saw from when on: one row a checkout, with the branch's newest version of then.
CREATE TABLE checkouts (
    id INTEGER PRIMARY KEY,
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    branch_name TEXT NOT NULL,
    version_number INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX idx_checkouts_entity ON checkouts (entity_id);

-- Rows exist once an entity has more than the branch main.
CREATE TABLE branches (
    id INTEGER PRIMARY KEY,
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    name TEXT NOT NULL,
    head_version INTEGER NOT NULL,
    created_from_version INTEGER NOT NULL,
    description TEXT,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (entity_id, name)
);
CREATE INDEX idx_branches_name ON branches (name);

-- A relation lives from created_at to deleted_at; made again, it is a new row.
CREATE TABLE relations (
    id INTEGER PRIMARY KEY,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    from_entity_id INTEGER NOT NULL REFERENCES entities (id),
    to_entity_id INTEGER NOT NULL REFERENCES entities (id),
    relation_type TEXT NOT NULL,
    strength REAL,
    metadata TEXT,
    created_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE UNIQUE INDEX idx_relations_live ON relations (from_entity_id, to_entity_id, relation_type)
    WHERE deleted_at IS NULL;
CREATE INDEX idx_relations_to ON relations (to_entity_id);
CREATE INDEX idx_relations_ended ON relations (from_entity_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- undo is what reopening a resolved conflict puts back: plain JSON. run is when the search of the whole namespace began
-- that found it last.
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_id INTEGER REFERENCES entities (id),
    conflicting_entity_id INTEGER REFERENCES entities (id),
    conflict_type TEXT NOT NULL,
    confidence REAL NOT NULL,
    suggested_action TEXT,
    resolution_status TEXT NOT NULL DEFAULT 'pending',
    detected_at TIMESTAMP NOT NULL,
    resolved_at TIMESTAMP,
    resolution_notes TEXT,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    evidence TEXT,
    strategy TEXT,
    undo TEXT,
    run TEXT
);
CREATE INDEX idx_conflicts_run ON conflicts (run) WHERE run IS NOT NULL;
CREATE INDEX idx_conflicts_status ON conflicts (namespace_id, resolution_status);
CREATE INDEX idx_conflicts_entity ON conflicts (entity_id);
CREATE INDEX idx_conflicts_other ON conflicts (conflicting_entity_id);

CREATE TABLE skills (
    id INTEGER PRIMARY KEY,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    description TEXT NOT NULL,
    code TEXT NOT NULL,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    run_count INTEGER NOT NULL DEFAULT 0,
    success_count INTEGER NOT NULL DEFAULT 0,
    total_ms REAL NOT NULL DEFAULT 0,
    last_error TEXT,
    UNIQUE (namespace_id, name, version)
);

CREATE TABLE tier_transitions (
    id INTEGER PRIMARY KEY,
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    from_tier TEXT NOT NULL,
    to_tier TEXT NOT NULL,
    reason TEXT,
    run_id TEXT,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX idx_transitions_entity ON tier_transitions (entity_id);
CREATE INDEX idx_transitions_run ON tier_transitions (run_id, entity_id) WHERE run_id IS NOT NULL;

CREATE TABLE curation_runs (
    run_id TEXT PRIMARY KEY,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    author TEXT,
    began_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    undone_at TIMESTAMP
) WITHOUT ROWID;

-- What each write of a curation did to a semantic entity, so that it can be put back and is not done twice. Without
-- before_version it made the entity; added and sources (numbers of entities) are JSON lists.
CREATE TABLE consolidations (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES curation_runs (run_id),
    entity_id INTEGER NOT NULL REFERENCES entities (id),
    before_version INTEGER,
    after_version INTEGER NOT NULL,
    before_score REAL NOT NULL,
    after_score REAL NOT NULL,
    added TEXT NOT NULL,
    sources TEXT NOT NULL,
    undone_at TIMESTAMP
);
CREATE INDEX idx_consolidations_run ON consolidations (run_id);
CREATE INDEX idx_consolidations_entity ON consolidations (entity_id);

-- The first reply to a write that carried a request id, kept for an hour in the transaction that made it.
CREATE TABLE requests (
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    request_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reply BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (namespace_id, request_id)
) WITHOUT ROWID;
CREATE INDEX idx_requests_created ON requests (created_at);

-- What an observation means, by its row in the index: as many little-endian numbers of 16 bits as the model has
-- dimensions. Rows are made in the background, and only where a model is; meta tells which (vector_model).
CREATE TABLE vectors (
    row INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- One row an observation, and one for the name and type of its entity; the words are the analyser's tokens, so the
-- tokenizer only splits them at spaces. The row's number tells entity and place (index.py). The column with the most
-- words comes first, since FTS5 spends two bytes a word to name any other; the lengths of rows are not kept.
CREATE VIRTUAL TABLE search_index
    USING fts5 (body, who, name, type, content = '', columnsize = 0, tokenize = 'ascii');
CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab (search_index, col);
