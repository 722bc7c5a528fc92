-- Writes datasets of a shadow whose rows are copied later. The columns that are left out or empty are read by nobody.
insert into socrata_datasets (region, domain, id, record, unreadable, content_hash, retired_at)
select region, domain, id, 'null', '{}', content_hash, retired_at
from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
    as given (region, domain, id, content_hash, retired_at)
on conflict (region, domain, id) do update
set
    content_hash = excluded.content_hash,
    retired_at = excluded.retired_at
