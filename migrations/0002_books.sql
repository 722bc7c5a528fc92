-- The books: where each partition stands, and what each run published and had applied.

create table positions (
    topic text not null,
    partition integer not null,
    position bigint not null,
    counted_to bigint not null,
    updated_at timestamptz not null,
    primary key (topic, partition)
);

comment on table positions is 'Where each partition stands; moved by compare and set in the transaction that applies a batch';
comment on column positions.topic is 'The topic';
comment on column positions.partition is 'The partition';
comment on column positions.position is 'The offset of the next record to apply';
comment on column positions.counted_to is 'Records before this offset are in the ledger; it never goes back, so a replay counts nothing twice';
comment on column positions.updated_at is 'When it last moved';

create table runs (
    region text not null,
    run bigint not null,
    mode text,
    kinds text[],
    state text not null,
    reason text,
    started_at timestamptz,
    ended_at timestamptz,
    published bigint,
    applied bigint,
    dead bigint,
    retired bigint,
    marker jsonb,
    primary key (region, run),
    constraint runs_state check (state in ('open', 'balanced', 'held', 'ended', 'abandoned'))
);

comment on table runs is 'Every crawl whose records have arrived';
comment on column runs.region is 'The region of the Discovery API: us or eu';
comment on column runs.run is 'The run''s number within the region';
comment on column runs.mode is 'full, since or part; null until its first marker';
comment on column runs.kinds is 'Which kinds of records it published; null until its first marker';
comment on column runs.state is 'open; then balanced or held (full runs), ended (others), or abandoned';
comment on column runs.reason is 'Why it is held or abandoned';
comment on column runs.started_at is 'When the crawl began';
comment on column runs.ended_at is 'When the crawl ended';
comment on column runs.published is 'How many records it published, once its last marker is in';
comment on column runs.applied is 'How many of them were applied';
comment on column runs.dead is 'How many of them were dead letters';
comment on column runs.retired is 'How many datasets it retired';
comment on column runs.marker is 'What its marker says';

create table run_partitions (
    region text not null,
    run bigint not null,
    topic text not null,
    partition integer not null,
    published bigint,
    new bigint not null,
    changed bigint not null,
    unchanged bigint not null,
    older bigint not null,
    dead bigint not null,
    marker_offset bigint,
    primary key (region, run, topic, partition)
);

comment on table run_partitions is 'The ledger: what each run published to each partition, and what became of it';
comment on column run_partitions.region is 'The region of the Discovery API: us or eu';
comment on column run_partitions.run is 'The run''s number within the region';
comment on column run_partitions.topic is 'The topic';
comment on column run_partitions.partition is 'The partition';
comment on column run_partitions.published is 'How many records the run''s marker says it published here';
comment on column run_partitions.new is 'Applied records that made a row';
comment on column run_partitions.changed is 'Applied records that changed a row';
comment on column run_partitions.unchanged is 'Applied records whose row held the same already';
comment on column run_partitions.older is 'Applied records that a newer version had overtaken';
comment on column run_partitions.dead is 'Records that became dead letters';
comment on column run_partitions.marker_offset is 'The offset of the run''s marker';
