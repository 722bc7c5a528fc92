-- A run that is counted here although it or a later run has ended: in this partition or, for a partition that the ended
-- run did not have, in the whole topic. Other topics don't count: a run may omit record types, and so end while records
-- of an earlier run are still unread here.
select given.region, given.run, max(ended.run) as ended
from unnest($3::text[], $4::bigint[]) as given (region, run)
join run_partitions as ended on ended.region = given.region and ended.run >= given.run
join runs on runs.region = ended.region and runs.run = ended.run
where ended.topic = $1 and ended.marker_offset is not null
    and (ended.partition = $2 or runs.state not in ('open', 'abandoned'))
group by given.region, given.run
order by given.region, given.run
limit 1
