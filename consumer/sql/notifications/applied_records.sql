select coalesce(sum(records), 0)::bigint from positions
