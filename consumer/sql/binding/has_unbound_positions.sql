select exists (
    select from positions
    where topic = any ($1) and topic_id is null
)
