-- The letter leaves the dead of its run for what became of it, in the ledger and, once the run was judged,
-- in its sums.
with settled as (
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
    from settled
    where settled.counted
        and held.region = settled.region and held.run = settled.run
        and held.topic = settled.topic and held.partition = settled.partition
    returning held.region, held.run
)

update runs
set dead = runs.dead - 1, applied = runs.applied + 1
from moved
where runs.region = moved.region and runs.run = moved.run and runs.applied is not null
