-- Drops what was found at a snapshot.
drop table
    candidates_datasets, candidates_dataset_stats, candidates_domains, candidates_hosts, candidates_agencies,
    unknown_runs, row_counts
