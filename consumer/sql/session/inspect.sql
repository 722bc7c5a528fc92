-- The state of a session: its current schema, and the user's privileges on the configured schema ($1).
select
    current_schema()::text as current_schema,
    current_user::text as username,
    to_regnamespace(quote_ident($1)) is not null as schema_exists,
    coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'usage'), false) as may_use,
    coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'create'), false) as may_create,
    current_setting('server_encoding') as encoding
