//! Replays up to the live positions, which move while consumers continue.

use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use catalog_shared::events;
use sqlx::{Connection, PgConnection};
use tokio::time::interval;

use super::replay::Replay;
use super::shadow::Shadow;
use super::targets::ReplayTargets;

/// The maximum number of offsets to read under the lock.
const MAX_LEFT_UNDER_LOCK: i64 = 1_000;
/// Interval between the keepalives of the transaction that holds the lock; well below its idle timeout in
/// `create_shadow_views.sql`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Replays the topics from their first records up to the live positions.
pub(super) async fn fill_shadow(
    shadow: &mut Shadow,
    replay: &mut Replay,
    targets: &mut ReplayTargets,
) -> anyhow::Result<()> {
    if !targets.are_new() {
        replay.read_in_two_passes(targets).await?;
        targets.refresh(&mut shadow.session).await?;
    }
    catch_up(shadow, replay, targets).await?;
    Ok(shadow.analyze().await?)
}

/// Replays up to the live positions until few offsets are left, or until the number no longer decreases. In the second case
/// the lock is held for longer.
pub(super) async fn catch_up(
    shadow: &mut Shadow,
    replay: &mut Replay,
    targets: &mut ReplayTargets,
) -> anyhow::Result<()> {
    let mut left = replay.left(targets);
    while left > 0 {
        tracing::info!(event = events::REPLAY_STARTED, offsets = left, "replaying the topics");
        replay.read_to(targets).await?;
        targets.refresh(&mut shadow.session).await?;
        let before = std::mem::replace(&mut left, replay.left(targets));
        if left <= MAX_LEFT_UNDER_LOCK || left >= before {
            break;
        }
    }
    Ok(())
}

/// Reads the remaining records under the lock. Keepalives prevent the idle timeout of the transaction.
pub(super) async fn read_remaining(
    tx: &mut PgConnection,
    replay: &mut Replay,
    targets: &ReplayTargets,
) -> anyhow::Result<()> {
    let mut reading = pin!(replay.read_to(targets));
    let mut keepalive = interval(KEEPALIVE_INTERVAL);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            _ = keepalive.tick() => tx.ping().await.context("the transaction that holds the lock is lost")?,
        }
    }
}
