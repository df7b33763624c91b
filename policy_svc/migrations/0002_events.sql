-- What registries have told. Registries are resource names, registries/{registry}.
CREATE TABLE events (
    number       bigint GENERATED ALWAYS AS IDENTITY,
    uid          text NOT NULL,
    registry     text COLLATE "C" NOT NULL,
    -- As its sender gave it.
    id           text NOT NULL,
    kind         text NOT NULL,
    repository   text NOT NULL,
    -- Empty: the event is about a digest alone.
    tag          text NOT NULL,
    -- Empty: its sender did not tell it.
    digest       text NOT NULL,
    occur_time   timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    state        text NOT NULL,
    -- Whether it is known which policies it concerns; they are in event_deliveries then.
    routed       boolean NOT NULL DEFAULT false,
    route_token  text,
    routed_until timestamptz,
    CONSTRAINT events_pkey PRIMARY KEY (number),
    CONSTRAINT events_uid_key UNIQUE (uid),
    CONSTRAINT events_registry_id_key UNIQUE (registry, id),
    CONSTRAINT events_kind_check CHECK (kind IN ('PUSH', 'DELETE')),
    CONSTRAINT events_state_check CHECK (state IN ('PENDING', 'DELIVERED', 'EXPIRED')),
    CONSTRAINT events_subject_check CHECK (tag <> '' OR digest <> ''),
    CONSTRAINT events_final_check CHECK (routed OR state = 'PENDING'),
    CONSTRAINT events_route_check CHECK ((route_token IS NULL) = (routed_until IS NULL))
);

CREATE INDEX events_registry_idx ON events (registry, number);
CREATE INDEX events_unrouted_idx ON events (number) WHERE NOT routed;
CREATE INDEX events_pending_idx ON events (receive_time) WHERE state = 'PENDING';
CREATE INDEX events_final_idx ON events (number) INCLUDE (receive_time) WHERE state <> 'PENDING';

-- The policies that an event concerns, by uid. No foreign key: a policy that is deleted leaves what it was started with.
CREATE TABLE event_deliveries (
    event_number bigint NOT NULL,
    policy_uid   text NOT NULL,
    -- That of the event.
    registry     text COLLATE "C" NOT NULL,
    -- DROPPED: the policy no longer waits for it.
    state        text NOT NULL,
    -- Whether it is one of the events with which its policy is to be started next. These stay together until they are
    -- delivered, so that a start is repeated with the same ones.
    in_batch     boolean NOT NULL DEFAULT false,
    -- executions/{execution}, or empty.
    execution    text NOT NULL DEFAULT '',
    problem      text NOT NULL DEFAULT '',
    CONSTRAINT event_deliveries_pkey PRIMARY KEY (event_number, policy_uid),
    CONSTRAINT event_deliveries_event_number_fkey FOREIGN KEY (event_number) REFERENCES events ON DELETE CASCADE,
    CONSTRAINT event_deliveries_state_check CHECK (state IN ('PENDING', 'STARTED', 'DROPPED', 'EXPIRED')),
    CONSTRAINT event_deliveries_batch_check CHECK (state = 'PENDING' OR NOT in_batch),
    CONSTRAINT event_deliveries_execution_check CHECK ((state = 'STARTED') = (execution <> ''))
);

CREATE INDEX event_deliveries_waiting_idx ON event_deliveries (policy_uid, registry, event_number)
    WHERE state = 'PENDING';

-- A row for each policy that has deliveries of a registry waiting: who works on them, and when the next try is due.
CREATE TABLE event_queues (
    policy_uid   text NOT NULL,
    registry     text COLLATE "C" NOT NULL,
    due_time     timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    lease_token  text,
    leased_until timestamptz,
    CONSTRAINT event_queues_pkey PRIMARY KEY (policy_uid, registry),
    CONSTRAINT event_queues_attempts_check CHECK (attempts >= 0),
    CONSTRAINT event_queues_lease_check CHECK ((lease_token IS NULL) = (leased_until IS NULL))
);

CREATE INDEX event_queues_due_idx ON event_queues (due_time);

-- Registries that may send notifications.
CREATE TABLE event_sources (
    registry          text COLLATE "C" NOT NULL,
    -- SHA-256 of the secret.
    secret_hash       bytea NOT NULL,
    create_time       timestamptz NOT NULL,
    last_receive_time timestamptz,
    CONSTRAINT event_sources_pkey PRIMARY KEY (registry),
    CONSTRAINT event_sources_secret_hash_check CHECK (length(secret_hash) = 32)
);
