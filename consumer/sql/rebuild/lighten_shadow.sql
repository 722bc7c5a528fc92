-- A table that is made anew after a crash needs no log, and one that is only read whole no index but its key.
do $$
declare
    statement text;
begin
    for statement in
        select format('alter table %I set unlogged', relname)
        from pg_class
        where relnamespace = current_schema()::regnamespace and relkind = 'r' and relpersistence = 'p'
        union all
        select format('drop index %I', indexes.relname)
        from pg_index
        join pg_class as indexes on indexes.oid = indexrelid
        where indexes.relnamespace = current_schema()::regnamespace
            and not exists (select from pg_constraint where conindid = indexrelid)
    loop
        execute statement;
    end loop;
end
$$
