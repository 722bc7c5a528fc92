-- Moves the record from the dead letters of its run to its effect: in the ledger and, after the decision about the run,
-- in the run's totals.
with resolved as (
    update dead_letters
    set state = 'replayed', settled_at = now(), value = null
    where id = $1
    returning region, run, topic, partition, counted
),

moved as (
    update run_partitions as held
    set
        dead = held.dead - 1,
        new = held.new + $2,
        changed = held.changed + $3,
        unchanged = held.unchanged + $4,
        older = held.older + $5
    from resolved
    where resolved.counted
        and held.region = resolved.region and held.run = resolved.run
        and held.topic = resolved.topic and held.partition = resolved.partition
    returning held.region, held.run
)

update runs
set dead = runs.dead - 1, applied = runs.applied + 1
from moved
where runs.region = moved.region and runs.run = moved.run and runs.applied is not null
