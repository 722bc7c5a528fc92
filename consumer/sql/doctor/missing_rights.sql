-- Those of the tables $2 on which this user lacks a right that `run` needs, with these rights.
select pg_class.relname || ' (' || string_agg(lower(needed.privilege), ', ' order by needed.privilege) || ')'
from pg_catalog.pg_class
cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as needed (privilege)
where pg_class.relnamespace = to_regnamespace(quote_ident($1)) and pg_class.relkind in ('r', 'p')
    and pg_class.relname = any($2::text[])
    and (needed.privilege = 'SELECT' or pg_class.relname <> '_sqlx_migrations')
    and not has_table_privilege(pg_class.oid, needed.privilege)
group by pg_class.relname
order by pg_class.relname
