-- What a session finds: the schema that it looks into, and the one that it should ($1).
select
    current_schema()::text as looks_into,
    current_user::text as username,
    to_regnamespace(quote_ident($1)) is not null as is_there,
    coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'usage'), false) as may_use,
    coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'create'), false) as may_create,
    current_setting('server_encoding') as encoding
