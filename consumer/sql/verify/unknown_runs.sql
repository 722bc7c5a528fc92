-- Each batch inserts its runs before its rows.
select
    table_name || ': run ' || last_run || ' of ' || region as what,
    rows || ' rows were last seen in it, but the table runs does not contain it' as finding
from (
    select 'socrata_dataset_stats' as table_name, region, last_run, count(*) as rows
    from socrata_dataset_stats group by region, last_run
    union all
    select 'socrata_domains', region, last_run, count(*) from socrata_domains group by region, last_run
    union all
    select 'socrata_hosts', region, last_run, count(*) from socrata_hosts group by region, last_run
    union all
    select 'socrata_agencies', region, last_run, count(*) from socrata_agencies group by region, last_run
) as seen
where not exists (select from runs where runs.region = seen.region and runs.run = seen.last_run)
