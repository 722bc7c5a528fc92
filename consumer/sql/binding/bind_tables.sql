-- Existing values stay.
update installation
set topic_prefix = coalesce(topic_prefix, $1), cluster_id = coalesce(cluster_id, $2)
where topic_prefix is null or (cluster_id is null and $2 is not null)
