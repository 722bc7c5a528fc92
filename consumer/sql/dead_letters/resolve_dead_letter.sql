-- Marks a dead letter as replayed. Its run no longer counts it as dead but by its effect: in the ledger, and in the
-- sums of the run if the run was already judged.
with resolved as (
    update dead_letters
    set state = 'replayed', settled_at = now(), value = null
    where id = $1
    returning region, run, topic, partition, counted
),

moved as (
    update run_partitions as stored
    set
        dead = stored.dead - 1,
        new = stored.new + $2,
        changed = stored.changed + $3,
        unchanged = stored.unchanged + $4,
        older = stored.older + $5
    from resolved
    where resolved.counted
        and stored.region = resolved.region and stored.run = resolved.run
        and stored.topic = resolved.topic and stored.partition = resolved.partition
    returning stored.region, stored.run
)

update runs
set dead = runs.dead - 1, applied = runs.applied + 1
from moved
where runs.region = moved.region and runs.run = moved.run and runs.applied is not null
