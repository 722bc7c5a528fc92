//! Between the database and the verdicts topic: what the topic does not say yet, and what it says that is
//! not known here. Other installations may read the same topics, and decide.

use anyhow::Context;
use catalog_shared::cursor::Mode;
use catalog_shared::record::Kind;
use catalog_shared::region::Region;
use catalog_shared::verdict::{Decision, Verdict};
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::apply::lock;
use crate::books::verdicts::{self, RunId};

/// Takes over what the topic says. What is final here stays, and is published again where the topic is
/// behind it; a run that is held here and decided there is decided here too.
pub(crate) async fn follow(pool: &PgPool, said: &[Verdict]) -> anyhow::Result<()> {
    // Most of it is known, our own words among it, and the one lock stops all batches.
    let mut news = Vec::new();
    let mut connection = pool.acquire().await?;
    for verdict in said {
        let known = verdicts::find(&mut connection, run_id(verdict)).await?;
        if known.is_none_or(|known| (known.state, known.ended_at) != (verdict.state, verdict.ended_at)) {
            news.push(verdict);
        }
    }
    drop(connection);
    if news.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, true).await?;
    for verdict in news {
        follow_one(&mut tx, verdict).await?;
    }
    tx.commit().await.context("can't commit")
}

async fn follow_one(tx: &mut PgConnection, said: &Verdict) -> anyhow::Result<()> {
    let id = run_id(said);
    let known = verdicts::find(tx, id).await?;
    if let Some(known) = &known
        && known.arrived.is_some()
        && known.arrived != said.ended_at
    {
        // Of an older run of that number; ours is published over it.
        return Ok(());
    }
    match known.filter(|known| known.ended_at == said.ended_at).map(|known| known.state) {
        Some(here) if here == said.state => return Ok(()),
        Some(here) if here.is_final() => {
            if !said.state.is_final() {
                unpublish(tx, id).await?;
            }
            return Ok(());
        }
        _ => mirror(tx, said).await?,
    }
    let state = verdicts::state(tx, id).await?;
    if state.is_some_and(|(state, _)| state == Decision::Held.name()) {
        let retired = verdicts::decide(tx, id, said.state, said.reason.as_deref()).await?;
        tracing::info!(region = %id.region, run = id.run, state = said.state.name(), retired, "decided elsewhere");
    }
    Ok(())
}

const fn run_id(verdict: &Verdict) -> RunId {
    RunId { region: verdict.region, run: verdict.run }
}

async fn unpublish(tx: &mut PgConnection, id: RunId) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/books/unpublish_verdict.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .execute(tx)
        .await?;
    Ok(())
}

async fn mirror(tx: &mut PgConnection, said: &Verdict) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/books/mirror_verdict.sql"))
        .bind(said.region.name())
        .bind(i64::from(said.run))
        .bind(said.state.name())
        .bind(&said.reason)
        .bind(said.ended_at)
        .bind(said.decided_at)
        .execute(tx)
        .await?;
    Ok(())
}

/// What the topic does not say yet.
pub(crate) async fn unpublished(pool: &PgPool) -> anyhow::Result<Vec<Verdict>> {
    let rows: Vec<OutboxRow> =
        sqlx::query_as(include_str!("../../sql/books/read_outbox.sql")).fetch_all(pool).await?;
    rows.into_iter().map(OutboxRow::verdict).collect()
}

/// Notes that the topic says this now.
pub(crate) async fn mark_published(pool: &PgPool, verdict: &Verdict) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/books/mark_published.sql"))
        .bind(verdict.region.name())
        .bind(i64::from(verdict.run))
        .bind(verdict.state.name())
        .bind(verdict.decided_at)
        .execute(pool)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct OutboxRow {
    region: String,
    run: i64,
    state: String,
    reason: Option<String>,
    mode: Option<String>,
    kinds: Option<Vec<String>>,
    ended_at: Option<OffsetDateTime>,
    decided_at: OffsetDateTime,
}

impl OutboxRow {
    fn verdict(self) -> anyhow::Result<Verdict> {
        let kind = |name: &String| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        Ok(Verdict {
            region: Region::from_name(&self.region).context("a verdict of no known region")?,
            run: u32::try_from(self.run)?,
            state: verdicts::decision(&self.state)?,
            reason: self.reason,
            mode: self.mode.as_deref().and_then(Mode::from_name),
            kinds: self.kinds.iter().flatten().filter_map(kind).collect(),
            ended_at: self.ended_at,
            decided_at: self.decided_at,
        })
    }
}
