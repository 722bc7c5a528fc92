select topic_prefix, cluster_id, current_schema()::text as schema
from installation
