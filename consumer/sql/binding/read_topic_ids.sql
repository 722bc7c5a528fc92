select distinct topic, topic_id
from positions
where topic_id is not null
