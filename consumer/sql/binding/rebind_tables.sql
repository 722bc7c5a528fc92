-- Programs that still read the old topics stop at their next batch, because the identity has changed.
update installation
set identity = gen_random_uuid(), topic_prefix = $1, cluster_id = $2
