select verdicts.verdict, runs.ended_at
from verdicts
left join runs using (region, run)
where region = $1 and run = $2
