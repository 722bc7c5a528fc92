-- Whether the database refused a dead letter is a column, so that nothing has to read the words of a reason.
alter table dead_letters add column refused boolean not null default false;

-- Earlier programs wrote every such reason with these words.
update dead_letters
set refused = true
where starts_with(reason, 'the database refuses it: ');

comment on column dead_letters.refused is 'Whether the database refused its row, by a constraint or trigger for example, when it was last tried; otherwise the record itself can not be read';
