-- What the copy engine remembers of destinations. All of it may be lost: that costs requests, never a copy.

-- Which repositories hold a blob: candidates for a mount. The engine corrects it when a registry says otherwise.
CREATE TABLE blob_locations (
    registry_uid text NOT NULL,
    digest       text NOT NULL,
    repository   text NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT blob_locations_pkey PRIMARY KEY (registry_uid, digest, repository)
);

-- Which worker is sending a blob just now. A lease that ran out belongs to a worker that is gone.
CREATE TABLE blob_claims (
    registry_uid text NOT NULL,
    digest       text NOT NULL,
    owner        text NOT NULL,
    leased_until timestamptz NOT NULL,
    CONSTRAINT blob_claims_pkey PRIMARY KEY (registry_uid, digest)
);

CREATE INDEX blob_claims_owner_idx ON blob_claims (owner);
