//! One damage per check of `verify`.

/// For each check of `verify`, a statement whose damage only this check finds.
pub(super) const DAMAGES: [(&str, &str); 33] = [
    ("datasets_without_stats", "delete from socrata_dataset_stats where (domain, id) = (select domain, id from one)"),
    ("stats_without_dataset", "delete from socrata_datasets where (domain, id) = (select domain, id from one)"),
    (
        "datasets_without_host",
        "with moved as (
            update socrata_datasets set permalink = 'https://Elsewhere.example/d/x', attribution = null, record = record #- '{resource,attribution}'
            where (domain, id) = (select domain, id from one)
         ) select",
    ),
    (
        "datasets_without_agency",
        "update socrata_datasets set attribution = 'Nobody' where (domain, id) = (select domain, id from one)",
    ),
    (
        "agencies_without_host",
        "insert into socrata_agencies values ('us', 'nowhere.example', 'Nobody', 2, 1, now())",
    ),
    (
        "foreign_records",
        "update socrata_datasets set record = jsonb_set(record, '{resource,download_count}', '1')
         where (domain, id) = (select domain, id from one)",
    ),
    ("lost_values", "update socrata_datasets set created_at = null where (domain, id) = (select domain, id from one)"),
    (
        "different_hashes",
        r"update socrata_datasets set content_hash = '\x04' where (domain, id) = (select domain, id from one)",
    ),
    ("wrongly_retired", "update socrata_datasets set retired_at = now() where (domain, id) = (select domain, id from one)"),
    ("unknown_runs", "update socrata_domains set last_run = 3 where domain = (select domain from one)"),
    (
        "unbalanced_runs",
        "update run_partitions set unchanged = unchanged + partition * 2 - 1
         where run = 2 and topic like '%.datasets'",
    ),
    (
        "torn_pages",
        "with reported as (delete from verdicts where run = 1),
            more as (
                update run_partitions set new = new + 1
                where run = 1 and topic like '%.datasets' and partition = 0
            )
         update runs set state = 'ended', applied = applied + 1 where run = 1",
    ),
    ("wrong_sums", "update runs set applied = applied + 1 where run = 1"),
    (
        "missing_markers",
        "update run_partitions set marker_offset = null where run = 2 and topic like '%.hosts'",
    ),
    ("markers_beyond_positions", "update run_partitions set marker_offset = marker_offset + 1000 where run = 2 and topic like '%.hosts'"),
    (
        "different_verdicts",
        r#"update verdicts set verdict = jsonb_set(verdict, '{judged,state}', '"held"') where run = 2"#,
    ),
    ("wrong_first_runs", "update domain_first_runs set first_run = 2 where domain = (select lower(domain) from one)"),
    (
        "shielded_domains",
        "update socrata_dataset_stats set last_run = 1 where (domain, id) = (select domain, id from one);
         insert into run_shields select 'us', 2, lower(domain), 'a test', null, false from one;
         update verdicts
         set verdict = jsonb_set(verdict, '{judged,shields}', jsonb_build_object(lower(domain), 'a test'))
         from one where run = 2",
    ),
    (
        "beyond_reach",
        "update runs set marker = marker #- array['declared', domain] #- array['seen', domain] from one;
         delete from domain_first_runs where domain = (select lower(domain) from one)",
    ),
    ("scoped_runs", "update runs set scope = array['elsewhere.example'] where run = 1"),
    ("bad_domains", "update runs set marker = jsonb_set(marker, '{bad_domains}', '1') where run = 2"),
    ("held_runs", "with reported as (delete from verdicts where run = 1) update runs set state = 'held' where run = 1"),
    ("abandoned_runs", "insert into runs (region, run, state) values ('us', 3, 'abandoned')"),
    ("open_runs", "insert into runs (region, run, state) values ('us', 3, 'open')"),
    (
        "short_books",
        "with fewer as (
            update run_partitions set new = new - 1
            where run = 1 and topic like '%.datasets' and partition = 0
         ) update runs set applied = applied - 1 where run = 1",
    ),
    (
        "open_dead_letters",
        "insert into dead_letters (topic, partition, \"offset\", headers, reason, counted, ordinal)
         values ('x.hosts', 0, 7, '[]', 'a test', false, 1)",
    ),
    (
        "unpublished_verdicts",
        "update verdicts set published = false where run = 2",
    ),
    ("replays", "update positions set position = position - 1 where topic like '%.hosts'"),
    ("skipped_records", "update positions set position = position + 1 where topic like '%.hosts'"),
    (
        "declared_counts",
        "update runs set marker = jsonb_set(marker, array['declared', domain], '9999') from one where run = 2",
    ),
    ("unlisted_domains", "delete from socrata_domains where domain = (select domain from one)"),
    (
        "unreadable_fields",
        "update socrata_datasets set unreadable = array['metadata.license'] where (domain, id) = (select domain, id from one)",
    ),
    (
        "other_revisions",
        "update socrata_dataset_stats set content_hash = null where (domain, id) = (select domain, id from one)",
    ),
];
