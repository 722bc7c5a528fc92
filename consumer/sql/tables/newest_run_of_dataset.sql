coalesce(
            greatest(
                (
                    select stats.last_run
                    from socrata_dataset_stats as stats
                    where stats.region = held.region and stats.domain = held.domain and stats.id = held.id
                ),
                (
                    select stats.last_run
                    from shadow_dataset_stats as stats
                    where stats.region = made.region and stats.domain = made.domain and stats.id = made.id
                )
            ),
            0
        )
