-- Whether the copied rows ($1: their number) are those of the shadow.
select (select count(*) from shadow_datasets) = $1
    and not exists (
        select from shadow_datasets as made
        left join socrata_datasets as held using (region, domain, id)
        where (held.content_hash, held.retired_at) is distinct from (made.content_hash, made.retired_at)
    )
