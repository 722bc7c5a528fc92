//! A day in fast motion: 24 slots of a scheduled producer, rebalances, and an outage each of PostgreSQL and Kafka. No probe would
//! have restarted anything, nothing was reported that is not so, and the tables are right at the end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{
    Broker, CATALOG, Ended, MonitoringPort, Prober, Probes, Program, Proxy, Receiver, Running, World,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

/// An hour lasts seven seconds: a crawl each hour, and a full one every six.
const SCHEDULE: [&str; 6] = ["--every", "7s", "--full-every", "42s", "--jitter", "0"];
const SLOTS: u64 = 24;

/// The shortest that is documented. Who takes an outage for a stall reports it after this time.
const STALL_TIMEOUT: &str = "30s";
/// Longer than the stall timeout and three probes. This duration is what the outages are about, so it is held, although
/// tests otherwise wait for events.
const OUTAGE: Duration = Duration::from_secs(40);

/// A consumer whose fetches come back late, so that it often knows of records that it has not received. It has the default session,
/// which is longer than an outage, so that it keeps its partitions.
const FAR: [&str; 4] =
    ["--kafka-option", "fetch.wait.max.ms=4000", "--kafka-option", "fetch.min.bytes=10000000"];
/// Longer than such a fetch takes.
const LONGER_THAN_A_FETCH: u64 = 6;

/// What `check` may find while all is quiet. 210 s are the 30 hours of the default; the others are of a minute, so that a slow machine
/// changes nothing.
const QUIET: [&str; 15] = [
    "--crawl-age-warning",
    "210s",
    "--last-crawl-age-warning",
    "60s",
    "--open-warning",
    "60s",
    "--lag-time-warning",
    "60s",
    "--shielded-warning",
    "1",
    "--verify",
    "--verify-warning",
    "1",
    "--timeout",
    "60s",
];
/// A crawl that has just ended is in the tables, so everything before it is.
const CAUGHT_UP: &str = "select exists (select from runs
     where state = 'balanced' and ended_at > now() - interval '25 seconds')";

/// The limits of notifications, outages included.
const ALARMS: [(&str, &str); 3] = [
    ("CATALOG_CHECK_CRAWL_AGE_WARNING", "210s"),
    ("CATALOG_CHECK_LAST_CRAWL_AGE_WARNING", "210s"),
    ("CATALOG_CHECK_OPEN_WARNING", "210s"),
];

/// A program that is probed.
struct Member {
    running: Running,
    port: MonitoringPort,
    probes: [Probes; 2],
}

impl Member {
    /// Returns when it is ready.
    async fn start(program: Program, prober: &Prober) -> Result<Self> {
        let mut running = program.args(["--metrics-addr", "0"]).start()?;
        let port = running.watched().await?;
        let alive = prober.probe(&port, "/healthz");
        port.until("/readyz", 200, |_| true).await?;
        let ready = prober.probe(&port, "/readyz");
        Ok(Self { running, port, probes: [alive, ready] })
    }

    async fn stop(self) -> Result<Ended> {
        drop(self.probes);
        self.running.terminate()?;
        self.running.ended().await
    }

    async fn leave(self) -> Result<()> {
        let ended = self.stop().await?;
        ensure!(ended.code == Some(0), "a consumer failed: {}", ended.stderr);
        Ok(())
    }

    async fn kill(self) -> Result<()> {
        drop(self.probes);
        self.running.kill().await
    }

    /// Waits until a partition has records to apply, and has this excuse.
    async fn waits_for(&self, cause: &str) -> Result<Value> {
        let waits = |body: &Value| partitions(body).any(|one| one["waits_for"] == cause);
        self.port.until("/healthz", 200, waits).await
    }
}

struct Day {
    world: World,
    broker: Broker,
    proxy: Proxy,
    url: String,
    receiver: Receiver,
    prober: Prober,
    producer: Member,
    _api: MockServer,
}

impl Day {
    async fn begin(prober: Prober) -> Result<Self> {
        let broker = Broker::start().await?;
        let world = World::on(broker.address()?).await?;
        world.migrate().await?;
        let (proxy, url) = world.proxy().await?;
        let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
        let producer = Member::start(world.crawl(&api)?.args(SCHEDULE), &prober).await?;
        let receiver = Receiver::start().await?;
        Ok(Self { world, broker, proxy, url, receiver, prober, producer, _api: api })
    }

    /// Makes a consumer report what is wrong.
    fn reporting(&self, program: Program) -> Program {
        let program = program.env("CATALOG_NOTIFY_URL", &self.receiver.url("alarm"));
        ALARMS.iter().fold(program, |program, (name, limit)| program.env(name, limit))
    }

    /// Starts a consumer that reaches the database through the proxy.
    async fn join(&self, program: Program) -> Result<Member> {
        let program = program.args(["--stall-timeout", STALL_TIMEOUT]).env("DATABASE_URL", &self.url);
        Member::start(self.reporting(program), &self.prober).await
    }

    /// The day goes on without an outage, so nothing may be found.
    async fn is_quiet(&self) -> Result<()> {
        self.world.until(CAUGHT_UP).await?;
        let checked = self.world.check(&QUIET)?.run().await?;
        ensure!(checked.code == Some(0), "{}{}", checked.stdout, checked.stderr);
        Ok(())
    }

    /// PostgreSQL is unreachable for the consumers while the producer crawls on.
    async fn database_outage(&self, member: &Member) -> Result<()> {
        let before = crawls(&self.producer.port.until_metrics(|_| true).await?);
        self.proxy.close();
        member.waits_for("database").await?;
        sleep(OUTAGE).await;
        self.producer.port.until_metrics(|text| crawls(text) > before + 1).await?;
        self.proxy.open().await
    }

    /// Kafka is unreachable for everybody, and a consumer has not received all that it knows of.
    async fn kafka_outage(&mut self, far: &Member) -> Result<()> {
        let began = self.freeze_broker(far).await?;
        self.broker.kill().await?;
        far.waits_for("kafka").await?;
        sleep_until(began + OUTAGE).await;
        self.broker.restart().await
    }

    /// Lets Kafka hang while this consumer is behind. Returns since when.
    async fn freeze_broker(&self, far: &Member) -> Result<Instant> {
        loop {
            far.port.until("/healthz", 200, is_behind).await?;
            self.broker.freeze()?;
            let began = Instant::now();
            // What it has received before is applied now, and may have been all.
            let decided = |body: &Value| !is_behind(body) || lacks_records(body);
            let body = far.port.until("/healthz", 200, decided).await?;
            if is_behind(&body) {
                return Ok(began);
            }
            self.broker.thaw()?;
        }
    }

    /// The day, with consumers that come and go.
    async fn pass(&mut self) -> Result<()> {
        let first = self.join(self.world.member()?).await?;
        let second = self.join(self.world.short_session()?).await?;
        self.is_quiet().await?;
        self.database_outage(&first).await?;
        self.is_quiet().await?;
        first.leave().await?;
        let third = self.join(self.world.member()?.args(FAR)).await?;
        self.is_quiet().await?;
        self.kafka_outage(&third).await?;
        self.is_quiet().await?;
        // One that the group has to miss first.
        second.kill().await?;
        self.producer.port.until_metrics(|text| slots(text) >= SLOTS).await?;
        self.is_quiet().await?;
        third.leave().await
    }
}

/// The partitions of a health report.
fn partitions(body: &Value) -> impl Iterator<Item = &Value> {
    body["partitions"].as_array().into_iter().flatten()
}

/// Those with records to apply.
fn behind(body: &Value) -> impl Iterator<Item = &Value> {
    partitions(body).filter(|one| one["position"].as_i64().is_some_and(|at| Some(at) < one["end"].as_i64()))
}

fn is_behind(body: &Value) -> bool {
    behind(body).next().is_some()
}

/// Whether a partition has had no progress for so long that its records have certainly not been received.
fn lacks_records(body: &Value) -> bool {
    behind(body).any(|one| one["seconds_without_progress"].as_u64() > Some(LONGER_THAN_A_FETCH))
}

/// A counter of the producer.
fn counter(metrics: &str, series: &str) -> u64 {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap_or_default()
}

/// The number of complete crawls.
fn crawls(metrics: &str) -> u64 {
    counter(metrics, "catalog_producer_crawls_total{region=\"us\",outcome=\"complete\"}")
}

/// The number of slots that have passed. During an outage of Kafka they are missed.
fn slots(metrics: &str) -> u64 {
    crawls(metrics) + counter(metrics, "catalog_producer_missed_slots_total{region=\"us\"}")
}

#[tokio::test]
async fn a_day_with_rebalances_and_two_outages_restarts_nothing_and_raises_no_false_alarm() -> Result<()> {
    let (prober, mut restarts) = Prober::new();
    let mut day = restarts.none_during(Day::begin(prober)).await?;
    restarts.none_during(day.pass()).await?;
    let last = day.reporting(day.world.consume()?);
    let Day { world, mut receiver, producer, .. } = day;
    let ended = producer.stop().await?;
    ensure!(matches!(ended.code, Some(0 | 143)), "{}", ended.stderr);
    last.succeed().await?;
    let alarms = receiver.rest();
    ensure!(alarms.is_empty(), "false alarms: {alarms:?}");
    has_right_tables(&world).await?;

    // The receiver would have been told.
    let url = receiver.url("alarm");
    let late = world.consume()?.env("CATALOG_NOTIFY_URL", &url).env("CATALOG_CHECK_CRAWL_AGE_WARNING", "0");
    late.succeed().await?;
    let alarm = receiver.rest().pop().context("an alarm")?;
    assert_eq!(alarm.body["event"], "crawl_missed", "{alarm:?}");
    Ok(())
}

/// No run is on hold, and the tables are those of a new consumer.
async fn has_right_tables(world: &World) -> Result<()> {
    world.ask(&["verify"])?.succeed().await?;
    world.consume()?.args(["--schema", "fresh", "--group", &world.topic("fresh")]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("fresh", &CATALOG).await?);
    let held = "select count(*) from runs where state = 'held'";
    assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(world.pool()).await?, 0);
    Ok(())
}
