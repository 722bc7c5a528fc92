-- Dead letters: records that could not be applied, whole, until somebody has looked at them.

create table dead_letters (
    id bigint generated always as identity primary key,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    key bytea,
    value bytea,
    headers jsonb not null,
    region text,
    run bigint,
    reason text not null,
    state text not null default 'open',
    counted boolean not null,
    ordinal bigint not null,
    seen_at timestamptz not null default now(),
    settled_at timestamptz,
    unique (topic, partition, "offset"),
    constraint dead_letters_state check (state in ('open', 'replayed', 'discarded'))
);

create index dead_letters_open on dead_letters (topic, partition, ordinal) where state = 'open';

comment on table dead_letters is 'Records that could not be applied, as they came, and objects that a producer could not make a record of';
comment on column dead_letters.id is 'Its number, in the order of arrival';
comment on column dead_letters.topic is 'The topic that it came from; the topic dead-letters holds what producers could not make a record of';
comment on column dead_letters.partition is 'Its partition';
comment on column dead_letters."offset" is 'Its offset';
comment on column dead_letters.key is 'Its key; null where it has none';
comment on column dead_letters.value is 'Its value; null where it has none';
comment on column dead_letters.headers is 'Its headers, a list of name and value; a value that is not text is an object with its bytes in hex';
comment on column dead_letters.region is 'The region that its headers name; null where that can not be read';
comment on column dead_letters.run is 'The run that its headers name; null where that can not be read';
comment on column dead_letters.reason is 'Why it could not be applied, when it was last tried';
comment on column dead_letters.state is 'open; then replayed (it was applied after all) or discarded';
comment on column dead_letters.counted is 'Whether its run''s ledger counts it: as dead, and once it is replayed as what became of it';
comment on column dead_letters.ordinal is 'Its place among all records that this partition has had applied, by which the limits for dead letters are told';
comment on column dead_letters.seen_at is 'When it arrived here';
comment on column dead_letters.settled_at is 'When it was replayed or discarded';

alter table positions add column records bigint not null default 0;

comment on column positions.records is 'How many records were applied here, dead letters and replays among them';
