insert into verdicts (region, run, verdict, published)
values ($1, $2, $3, $4)
on conflict (region, run) do update
set verdict = excluded.verdict, published = excluded.published
