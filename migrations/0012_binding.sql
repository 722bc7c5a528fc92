-- What the tables were made from, so that a command that reads other topics can be refused. Consumers fill this in when they
-- are first assigned partitions.
alter table installation add column topic_prefix text;
alter table installation add column cluster_id text;
alter table positions add column topic_id text;

comment on column installation.topic_prefix is 'What the names of all topics start with that these tables are made from; null until a consumer has read them';
comment on column installation.cluster_id is 'The id of the Kafka cluster that the topics are in; null until a consumer has read them, or where Kafka has no such id';
comment on column positions.topic_id is 'The id of the topic, which is another one after the topic was deleted and made again; null until a consumer has read it, or where Kafka has no such id';

-- Tables that were filled before this belong to the one prefix that their positions name. Where there are several, the tables
-- are mixed already, and the next consumer decides.
update installation
set topic_prefix = (
    select min(found.prefix collate "C")
    from (
        select distinct regexp_replace(topic, '(datasets|domains|hosts|agencies|dead-letters)$', '') as prefix
        from positions
    ) as found
    having count(*) = 1
);
