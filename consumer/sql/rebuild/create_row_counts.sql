-- Counts the rows by table, region and (for assets) domain.
create temporary table row_counts as
select 'socrata_datasets' as name, region, domain, count(*) as rows
from socrata_datasets
group by region, domain
union all
select 'socrata_dataset_stats', region, domain, count(*)
from socrata_dataset_stats
group by region, domain
union all
select 'socrata_domains', region, null, count(*)
from socrata_domains
group by region
union all
select 'socrata_hosts', region, null, count(*)
from socrata_hosts
group by region
union all
select 'socrata_agencies', region, null, count(*)
from socrata_agencies
group by region
