-- Runs are judged by domain. A run covers the domains that it crawled completely, and shields those of them whose
-- absences must not be believed. Names of domains are compared in lower case.

create table domain_first_runs (
    region text collate "C" not null,
    domain text collate "C" not null,
    first_run bigint not null,
    primary key (region, domain)
);

comment on table domain_first_runs is 'Every domain that a full crawl has listed or seen. Full crawls before that say nothing about the domain''s assets';
comment on column domain_first_runs.region is 'The region of the Discovery API: us or eu';
comment on column domain_first_runs.domain is 'The domain, in lower case';
comment on column domain_first_runs.first_run is 'The first full crawl that listed or saw it, whatever became of that run';

insert into domain_first_runs (region, domain, first_run)
select runs.region, lower(named.domain collate "C"), min(runs.run)
from runs
cross join lateral (
    select jsonb_object_keys(runs.marker -> 'declared')
    union
    select jsonb_object_keys(runs.marker -> 'seen')
) as named (domain)
where runs.mode = 'full' and runs.marker is not null
group by runs.region, lower(named.domain collate "C");

alter table runs add column scope text[];

comment on column runs.scope is 'The domains that it was limited to and crawled completely, in lower case; null for other runs';

update runs
set scope = array(
    select distinct lower(named.domain collate "C")
    from jsonb_array_elements_text(marker -> 'domains') as named (domain)
    order by 1
)
where mode = 'part' and 'datasets' = any (kinds) and marker ->> 'limit' is null and marker ->> 'from' is null
    and jsonb_array_length(marker -> 'domains') > 0;

comment on column runs.state is 'open; then balanced or held (crawls of the whole catalog or of whole domains), ended (others) or abandoned; a held one may become released, rejected or superseded';

create table run_shields (
    region text collate "C" not null,
    run bigint not null,
    domain text collate "C" not null,
    reason text not null,
    confirmed_below bigint,
    lifted boolean not null,
    primary key (region, run, domain)
);

comment on table run_shields is 'Domains in which a run retires nothing. It follows from the verdicts';
comment on column run_shields.region is 'The region of the Discovery API: us or eu';
comment on column run_shields.run is 'The run';
comment on column run_shields.domain is 'The domain, in lower case';
comment on column run_shields.reason is 'Why the run''s absences are not believed there';
comment on column run_shields.confirmed_below is 'Assets whose last run is below this one are retired all the same, because several crawls confirm their absence; null where none is confirmed';
comment on column run_shields.lifted is 'Whether a person has lifted the shield';

-- Verdicts become whole records, because those of several installations are merged. The old programs name columns
-- that are gone, and so stop. What was superseded is held with a derived state.
alter table verdicts add column verdict jsonb;

update verdicts
set verdict = jsonb_build_object(
    'region', verdicts.region,
    'run', verdicts.run,
    'ended_at', rtrim(rtrim(to_char(verdicts.ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z',
    'mode', (select mode from runs where runs.region = verdicts.region and runs.run = verdicts.run),
    'kinds', coalesce(
        (select to_jsonb(kinds) from runs where runs.region = verdicts.region and runs.run = verdicts.run), '[]'
    ),
    'scope', '[]'::jsonb,
    'revision', 0,
    'judged', jsonb_build_object(
        'state', case when state in ('superseded', 'released', 'rejected') then 'held' else state end,
        'reason', regexp_replace(reason, '^run [0-9]+ was accepted; it was held: ', ''),
        'shields', '{}'::jsonb,
        'confirmed', '{}'::jsonb
    ),
    'decided', case
        when state in ('released', 'rejected') then jsonb_build_object(
            'what', state,
            'domains', '[]'::jsonb,
            'when', rtrim(rtrim(to_char(decided_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'
        )
    end
);

alter table verdicts
    drop column state,
    drop column reason,
    drop column ended_at,
    drop column decided_at,
    alter column verdict set not null;
alter table verdicts add column state text not null generated always as (
    case when verdict #>> '{judged,state}' = 'held' then coalesce(verdict #>> '{decided,what}', 'held')
        else verdict #>> '{judged,state}'
    end
) stored;

comment on table verdicts is 'What the rules and people say about each run, here or elsewhere: the outbox and the mirror of the verdicts topic';
comment on column verdicts.verdict is 'The record of the verdicts topic: what the rules say (judged), what a person decided (decided), and the revision, which each undone decision raises';
comment on column verdicts.published is 'Whether the topic has this record';
comment on column verdicts.state is 'The state that follows from the record alone; a held run may be superseded by a later one';

drop function retired_at(text, bigint);

-- Bound to its tables when it is made (a body that is not a string), so the caller's search path does not matter.
create function retired_at(region text, domain text, last_run bigint) returns timestamptz
language sql stable
return (
    select runs.ended_at
    from runs
    where runs.region = retired_at.region
        and runs.run > retired_at.last_run
        and runs.state in ('balanced', 'released')
        and (
            lower(retired_at.domain collate "C") = any (runs.scope)
            or (
                runs.mode = 'full'
                and 'datasets' = any (runs.kinds)
                and exists (
                    select from domain_first_runs as known
                    where known.region = retired_at.region
                        and known.domain = lower(retired_at.domain collate "C")
                        and known.first_run <= runs.run
                )
            )
        )
        and not exists (
            select from run_shields as shields
            where shields.region = retired_at.region
                and shields.run = runs.run
                and shields.domain = lower(retired_at.domain collate "C")
                and not shields.lifted
                and (shields.confirmed_below is null or retired_at.last_run >= shields.confirmed_below)
        )
    order by runs.run
    limit 1
);

comment on function retired_at(text, text, bigint) is 'When a dataset of this domain was retired that was last seen in this run: the end of the first accepted run after it that covers the domain and does not shield it; null if there is none';

with due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from (select distinct region, domain, last_run from socrata_dataset_stats) as seen
)
update socrata_datasets as held
set retired_at = due.retired_at
from socrata_dataset_stats as stats
join due using (region, domain, last_run)
where stats.region = held.region and stats.domain = held.domain and stats.id = held.id
    and held.retired_at is distinct from due.retired_at;
