-- Moves: tables that go on from the topics of another Kafka cluster, or from a topic that was deleted and made again.

create table run_floors (
    topic text collate "C" not null,
    region text collate "C" not null,
    run bigint not null,
    primary key (topic, region)
);

comment on table run_floors is 'Up to which run a topic knows nothing of these tables, because they were moved to it: `rebuild` and `verify --topics` leave rows that were last seen up to there as they are';
comment on column run_floors.topic is 'The topic that the tables were moved to';
comment on column run_floors.region is 'The region of the Discovery API: us or eu';
comment on column run_floors.run is 'The last run of the region that the tables knew when they were moved';

-- Offsets of two clusters, or of a topic and the one that was made again, name different records.
alter table dead_letters add column cluster text not null default '';
alter table dead_letters drop constraint dead_letters_topic_partition_offset_key;
alter table dead_letters add constraint dead_letters_place unique (cluster, topic, partition, "offset");

comment on column dead_letters.cluster is 'Empty for the topics that these tables are filled from now. Otherwise where its topic was: the Kafka cluster, and until when these tables were filled from it';

comment on column run_partitions.marker_offset is 'The offset of the run''s marker; -1 for one in a topic that these tables were filled from before a move';
