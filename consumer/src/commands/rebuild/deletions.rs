//! The guard on deletions. If topics lost records unnoticed, such as a mirror that started late, a rebuild would delete most
//! rows.

use std::fmt;

use catalog_shared::exit::Stop;
use sqlx::{FromRow, PgConnection};

use crate::config::thresholds::LARGE_DOMAIN;

/// The number of exceeded thresholds that the message names.
const MAX_NAMED: usize = 10;

/// The rows that a repair would delete in one region of a table, or in one domain of a region.
#[derive(Debug, FromRow)]
struct Deletion {
    name: String,
    region: String,
    domain: Option<String>,
    is_region: bool,
    deleted: i64,
    rows: i64,
}

impl Deletion {
    /// A region may lose this share of its rows, and a domain with 20 or more rows half of them. Except in the table of
    /// assets, a region with fewer than 20 rows is not checked, because a few wrong names would be a large share.
    fn is_too_much(&self, max_share: f64) -> bool {
        let is_large = self.rows >= LARGE_DOMAIN;
        if self.is_region {
            let is_checked = is_large || self.name == "socrata_datasets";
            return is_checked && self.deleted as f64 > max_share * self.rows as f64;
        }
        self.domain.is_some() && is_large && self.deleted * 2 > self.rows
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, region, domain, deleted, rows, .. } = self;
        write!(f, "{deleted} of {rows} rows of {name} in {region}")?;
        domain.iter().filter(|_| !self.is_region).try_for_each(|domain| write!(f, " on {domain}"))
    }
}

/// Checks how many rows a repair would delete, as shares of the rows when all rows were compared.
///
/// # Errors
/// [`Stop::Guard`] if there are too many, or an error of the database.
pub(super) async fn check(tx: &mut PgConnection, max_share: f64) -> anyhow::Result<()> {
    let deletions: Vec<Deletion> =
        sqlx::query_as(include_str!("../../../sql/rebuild/count_deletions.sql")).fetch_all(tx).await?;
    let excessive: Vec<Deletion> =
        deletions.into_iter().filter(|deletion| deletion.is_too_much(max_share)).collect();
    if excessive.is_empty() { Ok(()) } else { Err(refuse(&excessive, max_share).into()) }
}

fn refuse(excessive: &[Deletion], max_share: f64) -> Stop {
    let named: Vec<String> = excessive.iter().take(MAX_NAMED).map(Deletion::to_string).collect();
    let more = match excessive.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Stop::Guard(format!(
        "the rebuild would delete {}{more}, because the topics don't contain them. The thresholds are a share of {max_share} \
         of a region (--max-retire-share) and half of a domain of {LARGE_DOMAIN} or more. Nothing was changed. \
         `catalog-consumer verify --topics` lists such rows as extra. If the topics have lost records, keep the \
         tables as they are and crawl again. To delete the rows, run `rebuild --force`",
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion(name: &str, domain: Option<&str>, deleted: i64, rows: i64) -> Deletion {
        let (name, region, is_region) = (name.to_owned(), "us".to_owned(), domain.is_none());
        Deletion { name, region, domain: domain.map(str::to_owned), is_region, deleted, rows }
    }

    #[test]
    fn a_region_may_lose_a_share_and_a_large_domain_half() {
        let too_much = |name, domain, deleted, rows| deletion(name, domain, deleted, rows).is_too_much(0.2);
        let assets = |domain, deleted, rows| too_much("socrata_datasets", domain, deleted, rows);
        assert!(!assets(None, 20, 100) && assets(None, 21, 100) && assets(None, 1, 4));
        assert!(!assets(Some("a"), 10, 20) && assets(Some("a"), 11, 20) && !assets(Some("a"), 19, 19));
        let hosts = |deleted, rows| too_much("socrata_hosts", None, deleted, rows);
        assert!(!hosts(19, 19) && !hosts(4, 20) && hosts(5, 20));
    }

    #[test]
    fn the_message_names_each_threshold_with_its_numbers_and_the_remedy() {
        let excessive = [
            deletion("socrata_datasets", None, 30, 90),
            deletion("socrata_datasets", Some("a.example"), 25, 30),
        ];
        let message = refuse(&excessive, 0.2).to_string();
        for part in [
            "30 of 90 rows of socrata_datasets in us,",
            "25 of 30 rows of socrata_datasets in us on a.example",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(message.contains("--force") && message.contains("0.2"), "{message}");
    }
}
