-- The number of open dead letters of each topic that has any.
select topic, count(*)
from dead_letters
where state = 'open'
group by topic
