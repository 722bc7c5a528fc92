//! What both programs do against the limits that Kafka and PostgreSQL set for them, in one table. Each limit is measured
//! in the same run and alternates with the programs, because a machine is not equally fast at all times. `make bench`.
//!
//! Records come as the live API sends them: an asset's lists in another order in each crawl, and pretty-printed.

mod bench;
mod copying;
mod figure;
mod objects;
mod program;
mod publishing;
mod reading;
mod report;
mod scenes;
mod table;
mod written;

use std::io::Write;

use anyhow::Result;
use catalog_tests::world::World;
use clap::{Parser, ValueEnum};

use bench::Bench;
use objects::Objects;
use report::{Machine, Report};
use scenes::{idle, live, million, new_rows, replays, start, unchanged};

/// Measures both programs against the limits of Kafka and PostgreSQL
#[derive(Parser)]
#[command(name = "dev/bench")]
struct Arguments {
    /// Prints one JSON object in place of the table
    #[arg(long)]
    json: bool,
    /// How often each pair is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// At most so many objects, for a quick run; by default the whole recording, or 30,000 synthetic objects
    #[arg(long)]
    assets: Option<usize>,
    /// Measures these scenes alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENE")]
    only: Vec<Scene>,
    /// Adds catalogs of 100,000 and 1,000,000 assets, and tables of 2,000,000 rows
    #[arg(long)]
    full: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// Unchanged and changed records, WAL, larger tables, and crawls without a limit
    Unchanged,
    /// New rows
    New,
    /// rebuild and verify --topics
    Replays,
    /// A crawl at a rate with a consumer beside it
    Live,
    /// Programs with nothing to do
    Idle,
    /// Programs that start
    Start,
    /// Catalogs of 100,000 and 1,000,000 assets (with --full, or named here)
    Million,
}

impl Scene {
    const ALL: [Self; 7] =
        [Self::Unchanged, Self::New, Self::Replays, Self::Live, Self::Idle, Self::Start, Self::Million];

    async fn measure(self, bench: &mut Bench) -> Result<()> {
        match self {
            Self::Unchanged => unchanged::measure(bench).await,
            Self::New => new_rows::measure(bench).await,
            Self::Replays => replays::measure(bench).await,
            Self::Live => live::measure(bench).await,
            Self::Idle => idle::measure(bench).await,
            Self::Start => start::measure(bench).await,
            Self::Million => million::measure(bench).await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let objects = Objects::load(arguments.assets)?;
    let world = World::new().await?;
    let mut machine = Machine::describe(world.pool(), objects.description.clone()).await?;
    drop(world);
    let mut bench = Bench::new(arguments.rounds, arguments.full, objects);
    for scene in Scene::ALL {
        let is_usual = arguments.full || scene != Scene::Million;
        if arguments.only.contains(&scene) || (arguments.only.is_empty() && is_usual) {
            scene.measure(&mut bench).await?;
        }
    }
    bench.add_peak_rows();
    machine.note_load();
    let report = Report { machine, rows: bench.rows, seconds: bench.began.elapsed().as_secs_f64() };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}
