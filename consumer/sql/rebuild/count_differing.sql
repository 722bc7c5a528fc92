-- The expected number of rows of each table, and the number of differing rows.
select
    'socrata_datasets' as name,
    (select count(*) from shadow_datasets) as rows,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_datasets
union all
select
    'socrata_dataset_stats' as name,
    (select count(*) from shadow_dataset_stats) as rows,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_dataset_stats
union all
select
    'socrata_domains' as name,
    (select count(*) from shadow_domains) as rows,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_domains
union all
select
    'socrata_hosts' as name,
    (select count(*) from shadow_hosts) as rows,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_hosts
union all
select
    'socrata_agencies' as name,
    (select count(*) from shadow_agencies) as rows,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_agencies
