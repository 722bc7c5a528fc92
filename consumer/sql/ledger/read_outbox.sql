select verdict
from verdicts
where not published
order by region, run
