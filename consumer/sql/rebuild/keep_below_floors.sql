-- Keeps rows that were last seen up to the floor and that the topics don't contain: the topics lost their records ($1 to
-- $4: the topics of datasets, domains, hosts and agencies).
with datasets as (
    update differing_datasets as found
    set kind = 'kept'
    from socrata_dataset_stats as stats, run_floors as floors
    where found.kind = 'extra' and stats.region = found.region and stats.domain = found.domain and stats.id = found.id
        and floors.topic = $1 and floors.region = stats.region and stats.last_run <= floors.run
        and not exists (
            select from shadow_dataset_stats as made
            where made.region = found.region and made.domain = found.domain and made.id = found.id
        )
),
dataset_stats as (
    update differing_dataset_stats as found
    set kind = 'kept'
    from socrata_dataset_stats as stats, run_floors as floors
    where found.kind = 'extra' and stats.region = found.region and stats.domain = found.domain and stats.id = found.id
        and floors.topic = $1 and floors.region = stats.region and stats.last_run <= floors.run
        and not exists (
            select from shadow_dataset_stats as made
            where made.region = found.region and made.domain = found.domain and made.id = found.id
        )
),
domains as (
    update differing_domains as found
    set kind = 'kept'
    from socrata_domains as held, run_floors as floors
    where found.kind = 'extra' and held.region = found.region and held.domain = found.domain
        and floors.topic = $2 and floors.region = held.region and held.last_run <= floors.run
),
hosts as (
    update differing_hosts as found
    set kind = 'kept'
    from socrata_hosts as held, run_floors as floors
    where found.kind = 'extra' and held.region = found.region and held.host = found.host
        and floors.topic = $3 and floors.region = held.region and held.last_run <= floors.run
)
update differing_agencies as found
set kind = 'kept'
from socrata_agencies as held, run_floors as floors
where found.kind = 'extra' and held.region = found.region and held.host = found.host and held.agency = found.agency
    and floors.topic = $4 and floors.region = held.region and held.last_run <= floors.run
