-- The queries of `make demo`. They are a starting point for your own queries.
\set ON_ERROR_STOP on
\pset footer off
\pset pager off
\pset linestyle ascii
\pset null '-'
set search_path = catalog;

\pset title 'Assets by type'
select type, count(*) as assets, count(distinct domain) as domains,
       sum(page_views_total) as page_views, sum(download_count) as downloads
from active_datasets
group by type
order by assets desc, type;

\pset title 'The latest updates'
select to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as updated, type, left(name, 46) as name, domain
from active_datasets
where updated_at is not null
order by updated_at desc, id
limit 5;

\pset title 'New this week'
select to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as created, type, left(name, 46) as name, domain
from recent_changes
where what = 'new' and changed_at > now() - interval '7 days'
order by changed_at desc, id
limit 5;

\pset title 'The most used tags'
select tag, count(*) as assets, count(distinct domain) as domains
from active_datasets, unnest(domain_tags) as tag
group by tag
order by assets desc, tag
limit 5;

\pset title 'Hosts with the most assets'
select host, domain, assets
from host_summary
order by assets desc, host
limit 5;

\pset title 'Agencies with the most assets'
select left(agency, 46) as agency, sum(assets) as assets, count(*) as hosts
from agency_summary
group by agency_summary.agency
order by assets desc, agency
limit 5;

\pset title 'The last run''s ledger: the records of each topic by their effect'
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
