-- Like drop_below_floors.sql, but limited to the candidates.
with datasets as (
    delete from shadow_datasets as made
    using candidates_datasets as found, shadow_dataset_stats as stats, run_floors as floors
    where stats.region = found.region and stats.domain = found.domain and stats.id = found.id
        and floors.topic = $1 and floors.region = stats.region and stats.last_run <= floors.run
        and made.region = found.region and made.domain = found.domain and made.id = found.id
),
dataset_stats as (
    delete from shadow_dataset_stats as made
    using candidates_dataset_stats as found, run_floors as floors
    where made.region = found.region and made.domain = found.domain and made.id = found.id
        and floors.topic = $1 and floors.region = made.region and made.last_run <= floors.run
),
domains as (
    delete from shadow_domains as made
    using candidates_domains as found, run_floors as floors
    where made.region = found.region and made.domain = found.domain
        and floors.topic = $2 and floors.region = made.region and made.last_run <= floors.run
),
hosts as (
    delete from shadow_hosts as made
    using candidates_hosts as found, run_floors as floors
    where made.region = found.region and made.host = found.host
        and floors.topic = $3 and floors.region = made.region and made.last_run <= floors.run
)
delete from shadow_agencies as made
using candidates_agencies as found, run_floors as floors
where made.region = found.region and made.host = found.host and made.agency = found.agency
    and floors.topic = $4 and floors.region = made.region and made.last_run <= floors.run
