//! New rows on one and on two connections, compared with COPY in text format on as many connections.

use std::sync::Arc;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::world::World;
use sqlx::{AssertSqlSafe, PgPool};

use crate::bench::Bench;
use crate::copying::{Form, Rows};
use crate::figure::{Bound, Figure, Of, Row, Unit};
use crate::program::{consume, crawl};

const CONNECTIONS: [(usize, &str, f64); 2] =
    [(1, "new rows, 1 connection", 0.9), (2, "new rows, 2 connections", 0.8)];

/// Measures both.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let catalog = Arc::new(bench.objects.catalog(1)?);
    let assets = catalog.ids().len();
    let world = World::new().await?;
    let api = MockServer::start(Options::shared(catalog).gzip(false)).await?;
    let crawled = crawl(&world, &api).await?;
    bench.producer_peak(assets, &crawled);
    let mut figures = CONNECTIONS.map(|_| (Vec::new(), Vec::new()));
    for round in 0..bench.rounds {
        bench.progress(&format!("new rows: round {} of {}", round + 1, bench.rounds))?;
        for ((connections, ..), (ours, limit)) in CONNECTIONS.iter().zip(&mut figures) {
            let schema = format!("new_{round}_{connections}");
            let consumed = consume(&world, &schema, *connections).await?.expect("new", assets)?;
            bench.consumer_peak(assets, &consumed.run);
            ours.push(Figure { records: assets as u64, ..consumed.figure }.rate());
            limit.push(copy(world.pool(), &schema, *connections).await?.rate());
            let drop = format!("drop schema {schema} cascade");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(world.pool()).await?;
        }
    }
    for ((_, what, least), (ours, limit)) in CONNECTIONS.iter().zip(figures) {
        bench.add(Row::new(*what, Unit::RecordsPerSecond, ours).map(|row| {
            row.against("COPY, text", &limit)
                .target(Of::Ratio, Bound::AtLeast(*least))
                .note(format!("{assets} datasets; COPY fills the wide table alone, on as many connections"))
        }));
    }
    Ok(())
}

async fn copy(pool: &PgPool, schema: &str, connections: usize) -> Result<Figure> {
    Rows::read(pool, schema, Form::Text, connections).await?.copy(pool).await
}
