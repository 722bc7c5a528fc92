-- The row is held, so that of two first consumers one binds the tables and the other one sees it.
select topic_prefix, cluster_id, current_schema()::text as schema
from installation
for update
