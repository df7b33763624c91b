-- Open sessions of large blobs, so that another worker can go on after a crash. May be lost: then a blob starts anew.
CREATE TABLE uploads (
    registry_uid text NOT NULL,
    repository   text NOT NULL,
    digest       text NOT NULL,
    url          text NOT NULL,
    held_bytes   bigint NOT NULL,
    saved_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uploads_pkey PRIMARY KEY (registry_uid, repository, digest),
    CONSTRAINT uploads_held_bytes_check CHECK (held_bytes >= 0)
);

CREATE INDEX uploads_saved_at_idx ON uploads (saved_at);

-- Until when a registry asks to be left alone. All workers read it.
CREATE TABLE registry_holds (
    registry_uid text NOT NULL,
    held_until   timestamptz NOT NULL,
    CONSTRAINT registry_holds_pkey PRIMARY KEY (registry_uid)
);
