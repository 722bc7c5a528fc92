-- Keeps rows that were last seen up to the floor and that the topics don't contain: the topics lost their records ($1 to
-- $4: the topics of datasets, domains, hosts and agencies).
with assets as (
    select region, domain, id from differing_datasets where kind = 'extra'
    union
    select region, domain, id from differing_dataset_stats where kind = 'extra'
),
unseen as (
    select stats.region, stats.domain, stats.id
    from assets
    join socrata_dataset_stats as stats using (region, domain, id)
    join run_floors as floors on floors.topic = $1 and floors.region = stats.region
    where stats.last_run <= floors.run
        and not exists (
            select from shadow_dataset_stats as made
            where made.region = stats.region and made.domain = stats.domain and made.id = stats.id
        )
),
datasets as (
    update differing_datasets as found
    set kind = 'kept'
    from unseen
    where found.kind = 'extra' and found.region = unseen.region
        and found.domain = unseen.domain and found.id = unseen.id
),
dataset_stats as (
    update differing_dataset_stats as found
    set kind = 'kept'
    from unseen
    where found.kind = 'extra' and found.region = unseen.region
        and found.domain = unseen.domain and found.id = unseen.id
),
domains as (
    update differing_domains as found
    set kind = 'kept'
    from socrata_domains as stored, run_floors as floors
    where found.kind = 'extra' and stored.region = found.region and stored.domain = found.domain
        and floors.topic = $2 and floors.region = stored.region and stored.last_run <= floors.run
),
hosts as (
    update differing_hosts as found
    set kind = 'kept'
    from socrata_hosts as stored, run_floors as floors
    where found.kind = 'extra' and stored.region = found.region and stored.host = found.host
        and floors.topic = $3 and floors.region = stored.region and stored.last_run <= floors.run
)
update differing_agencies as found
set kind = 'kept'
from socrata_agencies as stored, run_floors as floors
where found.kind = 'extra' and stored.region = found.region and stored.host = found.host and stored.agency = found.agency
    and floors.topic = $4 and floors.region = stored.region and stored.last_run <= floors.run
