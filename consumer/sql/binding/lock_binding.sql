-- The lock serialises the first consumers: one binds the tables, and the others see the binding.
select topic_prefix, cluster_id, current_schema()::text as schema
from installation
for update
