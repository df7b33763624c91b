-- Which processes move bytes under a limit just now: each gets an equal share of it.

CREATE TABLE bandwidth_users (
    name         text NOT NULL,
    owner        text NOT NULL,
    leased_until timestamptz NOT NULL,
    CONSTRAINT bandwidth_users_pkey PRIMARY KEY (name, owner)
);
