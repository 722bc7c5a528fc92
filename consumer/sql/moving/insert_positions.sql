insert into positions (topic, partition, position, counted_to, moved_at)
select topic, partition, position, position, now()
from unnest($1::text[], $2::integer[], $3::bigint[]) as given (topic, partition, position)
