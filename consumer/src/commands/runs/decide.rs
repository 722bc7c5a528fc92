//! `runs approve`, `decline` and `undo`: shows the effect first and asks for confirmation.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};

use catalog_shared::exit::Stop;
use catalog_shared::human::{count, counted};
use catalog_shared::output;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use serde::Serialize;
use sqlx::PgPool;
use tokio::task::spawn_blocking;

use super::args::DecideArgs;
use super::show::{ByDomain, by_domain};
use crate::store::ledger::decisions::{self, RetirementCounts, RunId};
use crate::store::ledger::manual_decisions::{self, Affected, Change};
use crate::store::{binding, database};
use crate::sync::decisions::DecisionSync;

pub(super) async fn decide(
    args: &DecideArgs,
    change: Change,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    // The decision is published to these topics.
    binding::check_prefix(&mut *pool.acquire().await?, &args.kafka.topic_prefix).await?;
    let id = RunId { region: args.region, run: args.run };
    let shown = if args.yes { None } else { Some(ask(&pool, id, &change, shutdown).await?) };
    let RetirementCounts { retired, returned } = manual_decisions::decide(&pool, id, &change, shown).await?;
    let state = state(&pool, id).await?;
    let published = DecisionSync::new(&args.kafka, &pool).publish_now().await;
    let decided = Decided { region: id.region, run: id.run, state, retired, returned, published };
    Ok(output::print(args.json, &decided, &decided)?)
}

/// Shows the effect of a decision and asks for confirmation. Returns the numbers that were shown.
async fn ask(
    pool: &PgPool,
    id: RunId,
    change: &Change,
    shutdown: &CancellationToken,
) -> anyhow::Result<RetirementCounts> {
    let question = Question::of(id, change, &manual_decisions::preview(pool, id, change).await?);
    let shown = question.moved;
    // A thread of its own, because nothing ends a read from the terminal.
    let confirmed = spawn_blocking(move || confirm(&question));
    match shutdown.run_until_cancelled(confirmed).await {
        Some(confirmed) => confirmed?.map(|()| shown),
        None => Err(Stop::Interrupted("nothing was changed".to_owned()).into()),
    }
}

async fn state(pool: &PgPool, id: RunId) -> anyhow::Result<String> {
    let mut connection = pool.acquire().await?;
    let found = decisions::lock_run(&mut connection, id).await?;
    Ok(found.map(|(state, _)| state).unwrap_or_default())
}

/// The question before a decision.
struct Question {
    what: String,
    moved: RetirementCounts,
    /// The datasets that would be retired.
    domains: Vec<ByDomain>,
}

impl Question {
    fn of(RunId { region, run }: RunId, change: &Change, affected: &[Affected]) -> Self {
        let count = |is: fn(&Affected) -> bool| {
            i64::try_from(affected.iter().filter(|affected| is(affected)).count()).unwrap_or(i64::MAX)
        };
        let moved =
            RetirementCounts { retired: count(Affected::is_retired), returned: count(Affected::returns) };
        let what = match change {
            Change::Approve(domains) if !domains.is_empty() => {
                let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
                format!("Approving run {run} of {region} and lifting its shields of {}", domains.join(", "))
            }
            Change::Approve(_) => format!("Approving run {run} of {region}"),
            Change::Decline => format!("Declining run {run} of {region}"),
            Change::Undo => format!("Undoing the decision on run {run} of {region}"),
        };
        Self { what, moved, domains: by_domain(affected) }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RetirementCounts { retired, returned } = self.moved;
        write!(f, "{} would retire {}", self.what, datasets(retired))?;
        if returned > 0 {
            write!(f, " and restore {}", datasets(returned))?;
        }
        write!(f, ".")?;
        self.domains
            .iter()
            .try_for_each(|of| write!(f, "\n  {:>7}  {}", count(of.datasets.len() as u64), of.domain))
    }
}

fn datasets(count: i64) -> String {
    counted(u64::try_from(count).unwrap_or_default(), "dataset", "datasets")
}

/// Asks on the terminal.
///
/// # Errors
/// [`Stop::Usage`] if there is no terminal or the answer is not yes.
#[expect(clippy::print_stderr, reason = "the question goes to the terminal, regardless of the log format")]
fn confirm(question: &Question) -> anyhow::Result<()> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let hint = "Nothing was changed: add --yes to decide without a terminal";
        return Err(Stop::Usage(format!("{question}\n{hint}")).into());
    }
    eprint!("{question}\nContinue? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if is_yes { Ok(()) } else { Err(Stop::Usage("nothing was changed".to_owned()).into()) }
}

/// The effect of a decision.
#[derive(Serialize)]
struct Decided {
    region: Region,
    run: u32,
    /// The new state of the run.
    state: String,
    retired: i64,
    returned: i64,
    /// Whether the `verdicts` topic contains it.
    published: bool,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, run, state, retired, returned, published } = self;
        write!(f, "Run {run} of {region} is {state}: {} retired", datasets(*retired))?;
        if *returned > 0 {
            write!(f, ", {} restored", datasets(*returned))?;
        }
        write!(f, ".")?;
        if !published {
            write!(f, "\nThe decision is not in Kafka yet; a running consumer publishes it.")?;
        }
        Ok(())
    }
}
