-- Records of runs up to the floor belong to another history than these tables ($1 to $4: the topics of
-- datasets, domains, hosts and agencies).
with datasets as (
    delete from shadow_datasets as made
    using shadow_dataset_stats as stats, run_floors as floors
    where floors.topic = $1 and floors.region = stats.region and stats.last_run <= floors.run
        and made.region = stats.region and made.domain = stats.domain and made.id = stats.id
),
dataset_stats as (
    delete from shadow_dataset_stats as made
    using run_floors as floors
    where floors.topic = $1 and floors.region = made.region and made.last_run <= floors.run
),
domains as (
    delete from shadow_domains as made
    using run_floors as floors
    where floors.topic = $2 and floors.region = made.region and made.last_run <= floors.run
),
hosts as (
    delete from shadow_hosts as made
    using run_floors as floors
    where floors.topic = $3 and floors.region = made.region and made.last_run <= floors.run
)
delete from shadow_agencies as made
using run_floors as floors
where floors.topic = $4 and floors.region = made.region and made.last_run <= floors.run
