select state, reason
from verdicts
where region = $1 and run = $2
