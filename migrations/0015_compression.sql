-- The wide columns are compressed with lz4 where the server has it, like the record since 0001. It is faster than pglz and
-- about as small. Only new values are affected: no row is rewritten.
do $$
begin
    if exists (
        select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)
    ) then
        alter table socrata_datasets
            alter column description set compression lz4,
            alter column domain_metadata set compression lz4,
            alter column columns set compression lz4;
    end if;
end
$$;
