-- A run that is counted here after it or a later one has ended: in this partition, or, for a partition that
-- the ended run didn't know, in the whole topic. Other topics don't tell: a run may leave kinds out, and so
-- end while records of an earlier one still wait here.
select given.region, given.run, max(ended.run) as ended
from unnest($3::text[], $4::bigint[]) as given (region, run)
join run_partitions as ended on ended.region = given.region and ended.run >= given.run
join runs on runs.region = ended.region and runs.run = ended.run
where ended.topic = $1 and ended.marker_offset is not null
    and (ended.partition = $2 or runs.state not in ('open', 'abandoned'))
group by given.region, given.run
order by given.region, given.run
limit 1
