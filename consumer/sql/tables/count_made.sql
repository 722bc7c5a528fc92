-- Counts the rows that the topics define.
select count(*) from shadow_{name}
