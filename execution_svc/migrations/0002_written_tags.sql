-- What policies have written, or found there as they would have written it, and what they have deleted: the newest of it
-- for each policy and place.
--
-- Prune deletes what was written and nothing else, deletions that name a digest are looked up here, an event that our own
-- copy or deletion has caused is known by it, and no policy deletes what another one has here. It outlives the executions,
-- but not the policy.

CREATE TABLE written_tags (
    policy                 text        NOT NULL, -- uid of the policy, or its name; empty for inline policies
    destination_registry   text        NOT NULL,
    destination_repository text        NOT NULL,
    tag                    text        NOT NULL,
    digest                 text        NOT NULL, -- at the destination; empty when it is not known
    source_registry        text        NOT NULL,
    source_repository      text        NOT NULL,
    source_tag             text        NOT NULL,
    source_digest          text        NOT NULL,
    execution_id           text        NOT NULL, -- that wrote or deleted it; it may be gone
    write_time             timestamptz NOT NULL, -- or when it was found, or deleted
    found                  boolean     NOT NULL DEFAULT false, -- whether it was there without the policy
    deleted                boolean     NOT NULL DEFAULT false,
    changed                boolean     NOT NULL DEFAULT false, -- whether something else was seen at the place since
    missing_since          timestamptz, -- when the source was first seen without it
    CONSTRAINT written_tags_pkey PRIMARY KEY (policy, destination_registry, destination_repository, tag)
);

CREATE INDEX written_tags_at ON written_tags (destination_registry, destination_repository, tag);
CREATE INDEX written_tags_of_digest ON written_tags (destination_registry, destination_repository, digest);
CREATE INDEX written_tags_from ON written_tags (policy, source_registry, source_repository);
CREATE INDEX written_tags_deleted ON written_tags (write_time) WHERE deleted;
CREATE INDEX tasks_open_at ON tasks (destination_registry, destination_repository)
 WHERE state IN ('PENDING', 'RUNNING');
