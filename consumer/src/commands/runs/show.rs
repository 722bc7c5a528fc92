//! `runs show`: shows one run, and what it would retire.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context;
use catalog_shared::decision::LedgerState;
use catalog_shared::doctor::shell_word;
use catalog_shared::exit::Stop;
use catalog_shared::human::{count, counted};
use catalog_shared::output;
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::args::ShowArgs;
use super::list::time_text;
use super::row::RunDetails;
use crate::store::database;
use crate::store::ledger::decisions::RunId;
use crate::store::ledger::manual_decisions::{self, Affected, Change};

/// The number of datasets that the text lists per domain; JSON lists all.
const MAX_LISTED: usize = 20;

pub(super) async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let id = RunId { region: region(&pool, args).await?, run: args.run };
    let found: ScopedRun = sqlx::query_as(include_str!("../../../sql/ledger/read_run.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(&pool)
        .await?
        .ok_or_else(|| Stop::Usage(format!("there is no run {} of {}", id.run, id.region)))?;
    let shields: Vec<Shield> = sqlx::query_as(include_str!("../../../sql/ledger/list_shields.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_all(&pool)
        .await?;
    let would_retire = would_retire(&pool, id, &found.details, &shields).await?;
    let shown = Shown { region: id.region, run: id.run, found, shields, would_retire };
    Ok(output::print(args.json, &shown, &shown)?)
}

/// The region that the command line names, or the only region that has a run of this number.
async fn region(pool: &PgPool, args: &ShowArgs) -> anyhow::Result<Region> {
    if let Some(region) = args.region {
        return Ok(region);
    }
    let found: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/ledger/find_regions.sql"))
        .bind(i64::from(args.run))
        .fetch_all(pool)
        .await?;
    match found.as_slice() {
        [] => Err(Stop::Usage(format!("there is no run {}", args.run)).into()),
        [region] => Region::from_name(region).with_context(|| format!("unknown region {region:?}")),
        several => {
            let several = several.join(" and ");
            Err(Stop::Usage(format!("{several} have a run {}: choose one with --region", args.run)).into())
        }
    }
}

/// What the run would retire if it were approved without any shields; empty if the run can't be decided.
async fn would_retire(
    pool: &PgPool,
    id: RunId,
    details: &RunDetails,
    shields: &[Shield],
) -> anyhow::Result<Vec<ByDomain>> {
    let state = LedgerState::from_name(&details.state);
    let shielded: BTreeSet<String> =
        shields.iter().filter(|shield| !shield.lifted).map(|shield| shield.domain.clone()).collect();
    let decidable = state == Some(LedgerState::Held)
        || (state.is_some_and(LedgerState::is_accepted) && !shielded.is_empty());
    if !decidable {
        return Ok(Vec::new());
    }
    Ok(by_domain(&manual_decisions::preview(pool, id, &Change::Approve(shielded)).await?))
}

/// The datasets of a domain that would be retired.
#[derive(Serialize)]
pub(super) struct ByDomain {
    pub(super) domain: String,
    pub(super) datasets: Vec<Affected>,
}

/// The datasets that would be retired, grouped by domain. `affected` is sorted by domain.
pub(super) fn by_domain(affected: &[Affected]) -> Vec<ByDomain> {
    let mut domains: Vec<ByDomain> = Vec::new();
    for dataset in affected.iter().filter(|dataset| dataset.is_retired()) {
        match domains.last_mut().filter(|last| last.domain == dataset.domain) {
            Some(last) => last.datasets.push(dataset.clone()),
            None => {
                domains.push(ByDomain { domain: dataset.domain.clone(), datasets: vec![dataset.clone()] })
            }
        }
    }
    domains
}

#[derive(FromRow, Serialize)]
struct ScopedRun {
    /// The domains that the run was limited to.
    scope: Vec<String>,
    #[sqlx(flatten)]
    #[serde(flatten)]
    details: RunDetails,
}

#[derive(FromRow, Serialize)]
struct Shield {
    domain: String,
    reason: String,
    lifted: bool,
}

#[derive(Serialize)]
struct Shown {
    region: Region,
    run: u32,
    #[serde(flatten)]
    found: ScopedRun,
    shields: Vec<Shield>,
    would_retire: Vec<ByDomain>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, run, found: ScopedRun { scope, details }, .. } = self;
        writeln!(f, "Run {run} of {region} is {}.", details.state)?;
        let time = |time: Option<OffsetDateTime>| time.map_or_else(|| "unknown".to_owned(), time_text);
        let number =
            |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        if let Some(reason) = &details.reason {
            writeln!(f, "  reason     {reason}")?;
        }
        writeln!(f, "  mode       {}", details.mode.as_deref().unwrap_or("unknown"))?;
        if !scope.is_empty() {
            writeln!(f, "  domains    {}", scope.join(", "))?;
        }
        writeln!(f, "  started    {}", time(details.started_at))?;
        writeln!(f, "  ended      {}", time(details.ended_at))?;
        let [published, applied, dead] =
            [details.published, details.applied, details.dead].map(|records| count(number(records)));
        writeln!(f, "  records    {published} published, {applied} applied, {dead} dead")?;
        writeln!(f, "  retired    {}", counted(number(details.retired), "dataset", "datasets"))?;
        self.write_shields(f)?;
        self.write_losses(f)
    }
}

impl Shown {
    fn write_shields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shields.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nShielded domains (the run retires nothing there):")?;
        self.shields.iter().try_for_each(|Shield { domain, reason, lifted }| {
            let lifted = if *lifted { " (lifted)" } else { "" };
            writeln!(f, "  {domain}{lifted}: {reason}")
        })
    }

    /// The datasets that would be retired, by domain, with the command that decides it.
    fn write_losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_on_hold = self.found.details.state == LedgerState::Held.name();
        let shielded: Vec<&str> = self
            .shields
            .iter()
            .filter(|shield| !shield.lifted)
            .map(|shield| shield.domain.as_str())
            .collect();
        for (heading, is_shielded) in
            [("Approving the run would retire", false), ("Lifting the shield would retire", true)]
        {
            let domains = self.would_retire.iter().filter(|of| {
                shielded.iter().any(|domain| of.domain.eq_ignore_ascii_case(domain)) == is_shielded
            });
            for ByDomain { domain, datasets } in domains {
                writeln!(f, "\n{heading} {} of {domain}:", count(datasets.len() as u64))?;
                datasets.iter().take(MAX_LISTED).try_for_each(|dataset| write_dataset(f, dataset))?;
                let more = datasets.len().saturating_sub(MAX_LISTED);
                if more > 0 {
                    writeln!(f, "  and {} more; --json lists all", count(more as u64))?;
                }
            }
        }
        let Self { region, run, .. } = self;
        let decide = format!("--region {region} --run {run}");
        if is_on_hold {
            writeln!(f, "\nTo decide: `catalog-consumer runs approve {decide}` or `runs decline {decide}`.")?;
        }
        if let Some(domain) = shielded.first().filter(|_| !self.would_retire.is_empty()) {
            let domain = shell_word(domain);
            writeln!(f, "\nTo lift a shield: `catalog-consumer runs approve {decide} --domain {domain}`.")?;
        }
        Ok(())
    }
}

fn write_dataset(f: &mut fmt::Formatter<'_>, dataset: &Affected) -> fmt::Result {
    let Affected { id, name, kind, last_run, .. } = dataset;
    let name = name.as_deref().unwrap_or("(no name)");
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(f, "  {id}  {:10} {name} (last seen in run {last_run})", kind.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(domain: &str) -> Shown {
        let details = RunDetails {
            mode: Some("full".to_owned()),
            state: LedgerState::Balanced.name().to_owned(),
            reason: None,
            started_at: None,
            ended_at: None,
            published: None,
            applied: None,
            dead: None,
            retired: None,
        };
        let shield = Shield { domain: domain.to_owned(), reason: "too few".to_owned(), lifted: false };
        Shown {
            region: Region::Us,
            run: 7,
            found: ScopedRun { scope: Vec::new(), details },
            shields: vec![shield],
            would_retire: vec![ByDomain { domain: domain.to_owned(), datasets: Vec::new() }],
        }
    }

    #[test]
    fn a_domain_in_a_command_is_quoted_for_a_shell() {
        let command = |domain| {
            let text = shown(domain).to_string();
            text.lines().find_map(|line| Some(line.split_once(" --domain ")?.1.to_owned())).unwrap()
        };
        assert_eq!(command("data.example"), "data.example`.");
        assert_eq!(command("a b;$(c)"), "'a b;$(c)'`.");
    }
}
