select
    verdicts.region, verdicts.run, verdicts.state, verdicts.reason, runs.mode, runs.kinds,
    verdicts.ended_at, verdicts.decided_at
from verdicts
left join runs using (region, run)
where not verdicts.published
order by verdicts.region, verdicts.run
