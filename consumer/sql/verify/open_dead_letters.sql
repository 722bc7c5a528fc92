select
    topic || '[' || partition || ']' as what,
    count(*) || ' open dead letters, such as number ' || min(id) || ': ' || (array_agg(reason order by id))[1]
        as finding
from dead_letters
where state = 'open'
group by topic, partition
