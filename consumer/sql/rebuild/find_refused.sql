-- Keys whose newest record violates a constraint that somebody added to the live tables. The shadow does not have the
-- constraint. The live tables can't store the record, so their row is correct. The exception is a record that was
-- applied later: its dead letter may still be open.
create temporary table refused_keys on commit drop as
with newest (kind, key, run, page) as (
    select 'datasets', concat_ws('/', region, domain, id), last_run, last_page from shadow_dataset_stats
    union all
    select 'domains', concat_ws('/', region, domain), last_run, last_page from shadow_domains
    union all
    select 'hosts', concat_ws('/', region, host), last_run, last_page from shadow_hosts
    union all
    select 'agencies', concat_ws('/', region, host, agency), last_run, last_page from shadow_agencies
),
held (kind, key, run, page) as (
    select 'datasets', concat_ws('/', region, domain, id), last_run, last_page from socrata_dataset_stats
    union all
    select 'domains', concat_ws('/', region, domain), last_run, last_page from socrata_domains
    union all
    select 'hosts', concat_ws('/', region, host), last_run, last_page from socrata_hosts
    union all
    select 'agencies', concat_ws('/', region, host, agency), last_run, last_page from socrata_agencies
)
select dead.topic, dead.key
from dead_letters as dead
join newest on dead.key = convert_to(newest.key, 'UTF8') and dead.run = newest.run
where dead.state <> 'replayed' and dead.refused
    and dead.topic like '%' || newest.kind
    and dead.headers @> jsonb_build_array(jsonb_build_array('page', newest.page::text))
    and not exists (
        select from held
        where held.kind = newest.kind and held.key = newest.key
            and (held.run, held.page) >= (newest.run, newest.page)
    )
