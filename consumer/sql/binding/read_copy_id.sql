-- A restored copy has the identity of the original, but another database or schema.
select
    identity::text,
    current_database()::text as database,
    (select oid::bigint from pg_database where datname = current_database()) as database_oid,
    current_schema()::text as schema,
    coalesce(
        has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()'), 'execute'), false
    ) as may_read_server
from installation
