-- A run that is counted here after a later one has ended: in this partition, or, for a partition that the
-- later run didn't know, in the whole topic. Other topics don't tell: a run may leave kinds out, and so
-- end while records of an earlier one still wait here.
select given.run
from unnest($3::text[], $4::bigint[]) as given (region, run)
where exists (
    select
    from run_partitions as later
    join runs using (region, run)
    where later.topic = $1 and later.region = given.region and later.run > given.run
        and later.marker_offset is not null
        and (later.partition = $2 or runs.state not in ('open', 'abandoned'))
)
limit 1
