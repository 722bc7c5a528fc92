-- Creates three PostgreSQL roles for the tables of catalog-consumer, with no more rights than they need:
--
--   catalog_owner    owns the schema and its tables:    catalog-consumer migrate, and rebuild of a dropped table
--   catalog_writer   runs everything else:              catalog-consumer run, rebuild, verify, runs, dead-letters …
--   catalog_reader   only reads:                        queries, check, verify, runs list, runs show, dead-letters list
--
-- A superuser, or a role with CREATEROLE that owns the database, runs it in the database that holds the tables:
--
--   psql --set ON_ERROR_STOP=1 --dbname mydb --file deploy/roles.sql
--
-- It may be run again at any time. Other names: --set schema=… --set owner=… --set writer=… --set reader=…
-- In a schema that another role has filled, run it as that role or as a superuser: everything in it goes to the owner.
-- The roles get no password here. Set each with psql's \password, so that it does not appear in a file or a log.

\if :{?schema} \else \set schema catalog \endif
\if :{?owner}  \else \set owner  catalog_owner \endif
\if :{?writer} \else \set writer catalog_writer \endif
\if :{?reader} \else \set reader catalog_reader \endif

select format('create role %I login', wanted.name)
from unnest(array[:'owner', :'writer', :'reader']) as wanted (name)
where not exists (select from pg_catalog.pg_roles where rolname = wanted.name)
\gexec

set client_min_messages = warning;
begin;

-- Only a role that has the rights of the owner may create objects for it. From PostgreSQL 16 on, a role that has created
-- another one is a member without its rights. Superusers need not be members.
select format('grant %I to current_user', :'owner')
where not pg_catalog.pg_has_role(current_user, :'owner', 'usage')
\gexec

select format('grant connect on database %I to %I, %I, %I', current_database(), :'owner', :'writer', :'reader')
\gexec

-- For `run --dry-run`, which uses temporary tables, and for `rebuild` and `verify --topics`, which make a schema. Only the owner
-- can `rebuild` a table that was dropped.
select format('grant temporary, create on database %I to %I, %I', current_database(), :'owner', :'writer')
\gexec

create schema if not exists :"schema" authorization :"owner";
alter schema :"schema" owner to :"owner";

-- Everything that is in the schema already gets this owner, because only an owner can migrate it.
select format('alter %s %s owner to %I', case relkind when 'v' then 'view' else 'table' end, pg_class.oid::regclass, :'owner')
from pg_catalog.pg_class
where relnamespace = :'schema'::regnamespace and relkind in ('r', 'p', 'v') and pg_get_userbyid(relowner) <> :'owner'
union all
select format('alter routine %s owner to %I', pg_proc.oid::regprocedure, :'owner')
from pg_catalog.pg_proc
where pronamespace = :'schema'::regnamespace and pg_get_userbyid(proowner) <> :'owner'
\gexec

grant usage on schema :"schema" to :"writer", :"reader";

-- Tables that are there already, and tables that the owner makes later.
grant select, insert, update, delete on all tables in schema :"schema" to :"writer";
grant select on all tables in schema :"schema" to :"reader";
alter default privileges for role :"owner" in schema :"schema"
    grant select, insert, update, delete on tables to :"writer";
alter default privileges for role :"owner" in schema :"schema"
    grant select on tables to :"reader";

commit;
