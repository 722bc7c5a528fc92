//! The notifications of both programs to systemd, without `--metrics-addr` too.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use catalog_tests::history::crawled_once;
use catalog_tests::world::Program;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// `WatchdogSec` of the unit. A ping is due every second.
const WATCHDOG: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(300);

/// The socket at which systemd is notified.
struct Systemd {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Systemd {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        Ok(Self { folder, socket })
    }

    /// The program as systemd starts it.
    fn unit(&self, program: Program) -> Result<Program> {
        let path = self.folder.path().join("notify");
        let program = program.env("NOTIFY_SOCKET", path.to_str().context("a path in UTF-8")?);
        Ok(program.env("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string()))
    }

    /// Waits for a message with this text.
    async fn notified(&self, text: &str) -> Result<String> {
        let mut buffer = [0; 4096];
        let receive = async {
            loop {
                let length = self.socket.recv(&mut buffer).await?;
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.contains(text) {
                    return anyhow::Ok(message);
                }
            }
        };
        timeout(LIMIT, receive).await.with_context(|| format!("never notified of {text}"))?
    }

    /// Does the work, and forgets the messages that come meanwhile. The program waits while too many are unread.
    async fn forget_during<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            error = self.forget() => Err(error),
        }
    }

    /// Reads messages until that fails.
    async fn forget(&self) -> anyhow::Error {
        let mut buffer = [0; 4096];
        loop {
            if let Err(error) = self.socket.recv(&mut buffer).await {
                return error.into();
            }
        }
    }
}

#[tokio::test]
async fn a_consumer_sends_its_readiness_its_health_and_its_shutdown() -> Result<()> {
    let (world, _api) = crawled_once(200, 4).await?;
    let systemd = Systemd::new()?;
    let mut member = systemd.unit(world.plain_run()?)?.start()?;
    let ready = member.reaches(systemd.notified("READY=1")).await??;
    assert!(ready.contains("STATUS=ready, with "), "{ready}");
    member.reaches(systemd.notified("WATCHDOG=1")).await??;
    member.terminate()?;
    systemd.notified("STOPPING=1").await?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_consumer_with_a_stalled_partition_sends_no_watchdog_until_it_moves() -> Result<()> {
    let (world, api) = crawled_once(200, 4).await?;
    let systemd = Systemd::new()?;
    let program = world.plain_run()?.args(["--stall-timeout", "3s"]);
    let mut member = systemd.unit(program)?.start()?;
    let stall = async {
        world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
        world.stall_hosts(2).await
    };
    let other = member.reaches(systemd.forget_during(stall)).await??;
    // Since this ping, no earlier message is left.
    member.reaches(systemd.notified("WATCHDOG=1")).await??;
    world.crawl(&api)?.succeed().await?;
    let problem = format!("STATUS={}[0] has had no progress", world.topic("hosts"));
    let stalled = member.reaches(systemd.notified(&problem)).await??;
    ensure!(!stalled.contains("WATCHDOG=1"), "{stalled}");
    // What is not sent is no event, so the watchdog's time has to pass: systemd restarts the program after one interval.
    if let Ok(ping) = timeout(2 * WATCHDOG, systemd.notified("WATCHDOG=1")).await {
        bail!("a ping without progress: {}", ping?);
    }
    other.rollback().await?;
    member.reaches(systemd.notified("WATCHDOG=1")).await??;
    Ok(())
}

#[tokio::test]
async fn a_scheduled_producer_sends_its_readiness_its_health_and_its_shutdown() -> Result<()> {
    let (world, api) = crawled_once(200, 4).await?;
    let systemd = Systemd::new()?;
    // The next slot is years away.
    let program = world.crawl(&api)?.args(["--every", "3650d", "--full-every", "3650d", "--jitter", "0"]);
    let mut producer = systemd.unit(program)?.start()?;
    let ready = producer.reaches(systemd.notified("READY=1")).await??;
    assert!(ready.contains("STATUS=waiting for the crawl at "), "{ready}");
    producer.reaches(systemd.notified("WATCHDOG=1")).await??;
    producer.terminate()?;
    systemd.notified("STOPPING=1").await?;
    assert_eq!(producer.ended().await?.code, Some(0));
    Ok(())
}
