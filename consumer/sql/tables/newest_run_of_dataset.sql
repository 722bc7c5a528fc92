coalesce(
            greatest(
                (
                    select stats.last_run
                    from socrata_dataset_stats as stats
                    where stats.region = stored.region and stats.domain = stored.domain and stats.id = stored.id
                ),
                (
                    select stats.last_run
                    from shadow_dataset_stats as stats
                    where stats.region = made.region and stats.domain = made.domain and stats.id = made.id
                )
            ),
            0
        )
