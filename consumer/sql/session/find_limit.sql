-- The connection limit of this user in this database; null if there is none.
select least(
    case when pg_roles.rolconnlimit >= 0 then pg_roles.rolconnlimit end,
    case when pg_database.datconnlimit >= 0 then pg_database.datconnlimit end
)
from pg_catalog.pg_roles
cross join pg_catalog.pg_database
where pg_roles.rolname = session_user and not pg_roles.rolsuper and pg_database.datname = current_database()
