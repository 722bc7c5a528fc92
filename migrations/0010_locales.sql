-- Lower case by the rules of ASCII, whatever the database's locale: a host has no other letters, and in a Turkish
-- locale the lower case of I is a letter that no host has. Everything else is as before.
create or replace function asset_host(permalink text, domain text) returns text
language sql immutable parallel safe
return lower(
    case
        when asset_host.permalink like 'http%://_%' then split_part(split_part(asset_host.permalink, '/', 3), ':', 1)
        else asset_host.domain
    end collate "C"
);
