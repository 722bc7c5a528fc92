-- The keys of a run's datasets that became dead letters.
select key
from dead_letters
where region = $1 and run = $2 and topic like '%datasets' and counted and state <> 'replayed'
