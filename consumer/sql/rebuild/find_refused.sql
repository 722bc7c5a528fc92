-- Candidates whose newest record the live database refused, because of a constraint that the shadow does not have. The
-- live row is correct then, unless it has stored the record since: a dead letter may stay open although its record came
-- again and was applied.
create temporary table refused_keys on commit drop as
with assets as (
    select region, domain, id from candidates_datasets
    union
    select region, domain, id from candidates_dataset_stats
),
newest (kind, key, run, page) as (
    select 'datasets', concat_ws('/', region, domain, id), last_run, last_page
    from assets join shadow_dataset_stats using (region, domain, id)
    union all
    select 'domains', concat_ws('/', region, domain), last_run, last_page
    from candidates_domains join shadow_domains using (region, domain)
    union all
    select 'hosts', concat_ws('/', region, host), last_run, last_page
    from candidates_hosts join shadow_hosts using (region, host)
    union all
    select 'agencies', concat_ws('/', region, host, agency), last_run, last_page
    from candidates_agencies join shadow_agencies using (region, host, agency)
),
stored (kind, key, run, page) as (
    select 'datasets', concat_ws('/', region, domain, id), last_run, last_page
    from assets join socrata_dataset_stats using (region, domain, id)
    union all
    select 'domains', concat_ws('/', region, domain), last_run, last_page
    from candidates_domains join socrata_domains using (region, domain)
    union all
    select 'hosts', concat_ws('/', region, host), last_run, last_page
    from candidates_hosts join socrata_hosts using (region, host)
    union all
    select 'agencies', concat_ws('/', region, host, agency), last_run, last_page
    from candidates_agencies join socrata_agencies using (region, host, agency)
)
select dead.topic, dead.key
from dead_letters as dead
join newest on dead.key = convert_to(newest.key, 'UTF8') and dead.run = newest.run
where dead.state <> 'replayed' and dead.refused
    and dead.topic like '%' || newest.kind
    and dead.headers @> jsonb_build_array(jsonb_build_array('page', newest.page::text))
    and not exists (
        select from stored
        where stored.kind = newest.kind and stored.key = newest.key
            and (stored.run, stored.page) >= (newest.run, newest.page)
    )
