//! A day in fast motion: 24 slots of a scheduled producer, rebalances, and an outage each of PostgreSQL and Kafka. No probe would
//! have restarted anything, no check was critical, and the tables are right at the end.

use anyhow::{Result, bail, ensure};
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, CATALOG, Proxy, Running, Watched, World};

/// An hour lasts a second: a crawl every two hours, a full one every eight.
const SCHEDULE: [&str; 6] = ["--every", "2s", "--full-every", "8s", "--jitter", "0"];
const SLOTS: u64 = 24;

/// What must not happen at all is critical at once. What takes time is critical only after far more than this test's outages, so
/// that a slow machine changes nothing.
const LIMITS: [&str; 14] = [
    "--database-only",
    "--crawl-age-critical",
    "5m",
    "--open-critical",
    "5m",
    "--held-critical",
    "0",
    "--dead-letters-critical",
    "1",
    "--shielded-critical",
    "1",
    "--timeout",
    "60s",
    "--verify",
];

struct Day {
    world: World,
    broker: Broker,
    proxy: Proxy,
    url: String,
    _api: MockServer,
    producer: Running,
    /// The port of the producer.
    port: Watched,
}

impl Day {
    async fn begin() -> Result<Self> {
        let broker = Broker::start().await?;
        let world = World::on(broker.address()?).await?;
        world.migrate().await?;
        let (proxy, url) = world.proxy().await?;
        let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
        let mut producer = world.crawl(&api)?.args(SCHEDULE).args(["--metrics-addr", "0"]).start()?;
        let port = producer.watched().await?;
        Ok(Self { world, broker, proxy, url, _api: api, producer, port })
    }

    /// A consumer through the proxy, with its port.
    async fn member(&self) -> Result<(Running, Watched)> {
        let program = self.world.short_session()?.args(["--metrics-addr", "0"]);
        let mut member = program.env("DATABASE_URL", &self.url).start()?;
        let port = member.watched().await?;
        Ok((member, port))
    }

    /// Returns when the producer has made this many crawls, and then checks the tables.
    async fn until_crawls(&self, number: u64) -> Result<()> {
        self.port.until_metrics(|text| crawls(text) >= number).await?;
        self.check().await
    }

    /// Nothing is critical or unknown.
    async fn check(&self) -> Result<()> {
        let checked = self.world.check(&LIMITS)?.run().await?;
        ensure!(matches!(checked.code, Some(0 | 1)), "{}{}", checked.stdout, checked.stderr);
        Ok(())
    }

    /// PostgreSQL is unreachable for the consumers while the producer crawls on.
    async fn database_outage(&self) -> Result<()> {
        let before = crawls(&self.port.until_metrics(|_| true).await?);
        self.proxy.close();
        self.until_crawls(before + 2).await?;
        self.proxy.open().await
    }

    /// Kafka is unreachable for everybody.
    async fn kafka_outage(&mut self) -> Result<()> {
        self.broker.kill().await?;
        // During a crawl its client reports the outage, and between crawls the next one does.
        self.producer.logged_one_of(&[events::KAFKA_CLIENT_ERROR, events::KAFKA_UNREACHABLE]).await?;
        self.check().await?;
        self.broker.restart().await
    }

    /// The day, with a second consumer that comes and goes.
    async fn pass(&mut self, first: (Running, Watched)) -> Result<()> {
        let (first, first_port) = first;
        first_port.until("/readyz", 200, |_| true).await?;
        self.until_crawls(4).await?;
        let (second, second_port) = self.member().await?;
        watched(&[&second_port], async {
            second_port.until("/readyz", 200, |_| true).await?;
            self.until_crawls(7).await?;
            self.database_outage().await
        })
        .await?;
        first.terminate()?;
        ensure!(first.ended().await?.code == Some(0), "the first consumer failed");
        let (third, third_port) = self.member().await?;
        watched(&[&second_port, &third_port], async {
            self.kafka_outage().await?;
            self.until_crawls(SLOTS - 6).await
        })
        .await?;
        // One that the group has to miss first.
        second.kill().await?;
        watched(&[&third_port], self.until_crawls(SLOTS)).await?;
        third.terminate()?;
        ensure!(third.ended().await?.code == Some(0), "the third consumer failed");
        Ok(())
    }
}

/// The number of complete crawls in the metrics of a producer.
fn crawls(metrics: &str) -> u64 {
    let series = "catalog_producer_crawls_total{region=\"us\",outcome=\"complete\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or_default()
}

/// Does the work, unless one of these programs reports that it is unhealthy meanwhile.
async fn watched(ports: &[&Watched], work: impl Future<Output = Result<()>>) -> Result<()> {
    let reports = ports.iter().map(|port| Box::pin(port.unhealthy()));
    tokio::select! {
        (report, ..) = futures::future::select_all(reports) => bail!("unhealthy: {report}"),
        done = work => done,
    }
}

#[tokio::test]
async fn a_day_with_rebalances_and_two_outages_restarts_nothing_and_raises_no_false_alarm() -> Result<()> {
    let mut day = Day::begin().await?;
    let (port, first) = (day.port.clone(), day.member().await?);
    let first_port = first.1.clone();
    // The first consumer does not answer any more once it has left.
    watched(&[&port, &first_port], day.pass(first)).await?;

    let Day { world, producer, .. } = day;
    producer.terminate()?;
    let ended = producer.ended().await?;
    ensure!(matches!(ended.code, Some(0 | 143)), "{}", ended.stderr);
    world.consume()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    world.consume()?.args(["--schema", "fresh", "--group", &world.topic("fresh")]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("fresh", &CATALOG).await?);
    let held = "select count(*) from runs where state = 'held'";
    assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(world.pool()).await?, 0);
    Ok(())
}
