-- Verdicts: which runs may retire what they did not see, and what follows from that for a row.

alter table runs drop constraint runs_state;
alter table runs add constraint runs_state check (
    state in ('open', 'balanced', 'held', 'ended', 'abandoned', 'released', 'rejected', 'superseded')
);

comment on column runs.state is 'open; then balanced or held (whole crawls of datasets), ended (others) or abandoned; a held one may become released, rejected or superseded';
comment on column runs.reason is 'Why it is held, superseded or abandoned';

create table verdicts (
    region text not null,
    run bigint not null,
    state text not null,
    reason text,
    ended_at timestamptz,
    decided_at timestamptz not null,
    published boolean not null,
    primary key (region, run),
    constraint verdicts_state check (
        state in ('balanced', 'held', 'ended', 'abandoned', 'released', 'rejected', 'superseded')
    )
);

create index verdicts_unpublished on verdicts (region, run) where not published;

comment on table verdicts is 'What was decided of each run, here or elsewhere: the outbox and the mirror of the verdicts topic';
comment on column verdicts.region is 'The region of the Discovery API: us or eu';
comment on column verdicts.run is 'The run''s number within the region';
comment on column verdicts.state is 'What was decided, as runs.state has it';
comment on column verdicts.reason is 'Why';
comment on column verdicts.ended_at is 'When the crawl ended';
comment on column verdicts.decided_at is 'When it was decided';
comment on column verdicts.published is 'Whether the verdicts topic says the same';

-- Bound to its table when it is made (a body that is not a string), so that it gives the same whatever the
-- search path of who asks.
create function retired_at(region text, last_run bigint) returns timestamptz
language sql stable
return (
    select runs.ended_at
    from runs
    where runs.region = retired_at.region
        and runs.run > retired_at.last_run
        and runs.mode = 'full'
        and 'datasets' = any (runs.kinds)
        and runs.state in ('balanced', 'released')
    order by runs.run
    limit 1
);

comment on function retired_at(text, bigint) is 'When a dataset was retired that was last seen in this run: the end of the first accepted whole crawl after it, null if there is none';

-- Runs that were judged before this: what they did not see is retired, and the topic will hear of them.
insert into verdicts (region, run, state, ended_at, reason, decided_at, published)
select region, run, state, ended_at, reason, now(), false
from runs
where state in ('balanced', 'held', 'ended');

update socrata_datasets as held
set retired_at = retired_at(stats.region, stats.last_run)
from socrata_dataset_stats as stats
where stats.region = held.region and stats.domain = held.domain and stats.id = held.id
    and retired_at(stats.region, stats.last_run) is not null;
