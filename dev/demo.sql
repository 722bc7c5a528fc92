-- What `make demo` shows of the catalog: a first look, and a place to start your own queries from.
\set ON_ERROR_STOP on
\pset footer off
\pset pager off
\pset linestyle ascii
\pset null '-'
set search_path = catalog;

\pset title 'Assets by type'
select type, count(*) as assets, count(distinct domain) as domains,
       sum(page_views_total) as page_views, sum(download_count) as downloads
from socrata_datasets
join socrata_dataset_stats using (region, domain, id)
where retired_at is null
group by type
order by assets desc, type;

\pset title 'The newest'
select to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as updated, type, left(name, 46) as name, domain
from socrata_datasets
where retired_at is null and updated_at is not null
order by updated_at desc, id
limit 5;

\pset title 'Hosts with the most assets'
select hosts.host, hosts.domain, count(*) as assets
from socrata_datasets as assets
join socrata_hosts as hosts
  on hosts.region = assets.region
 and hosts.host = lower(substring(assets.permalink from '^[a-z]+://([^/:]+)'))
where assets.retired_at is null
group by hosts.host, hosts.domain
order by assets desc, hosts.host
limit 5;

\pset title 'Agencies with the most assets'
select left(btrim(attribution), 46) as agency, count(*) as assets, count(distinct domain) as domains
from socrata_datasets
where retired_at is null and btrim(attribution) <> ''
group by 1
order by assets desc, agency
limit 5;

\pset title 'The last run''s ledger: what was published to each topic, and what became of it'
select run, topic, count(*) as partitions, sum(published) as published, sum(new) as new, sum(changed) as changed,
       sum(unchanged) as unchanged, sum(older) as older, sum(dead) as dead
from run_partitions
where (region, run) in (select region, run from runs order by ended_at desc nulls last limit 1)
group by run, topic
order by published desc, topic;

\pset title 'The last runs'
select region, run, mode, state, published, applied, dead,
       to_char(ended_at - started_at, 'HH24:MI:SS') as took, reason
from runs
order by ended_at desc nulls last
limit 3;
