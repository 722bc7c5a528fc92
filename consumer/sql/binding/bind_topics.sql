update positions
set topic_id = found.topic_id
from unnest($1::text[], $2::text[]) as found (topic, topic_id)
where positions.topic = found.topic and positions.topic_id is null
