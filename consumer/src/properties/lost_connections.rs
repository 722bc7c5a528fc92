//! A connection that is lost without a sign: what is sent stays unanswered, and nothing reports an error.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use catalog_shared::record::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::log::topic_partition;
use super::tables::Tables;
use crate::config::thresholds::{AnswerLimits, BatchSettings, DeadLetterThresholds, RunThresholds};
use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::store::apply::Outcome;
use crate::store::database::{self, Sessions};
use crate::store::positions;
use crate::store::retry::BatchContext;

/// Long enough for a statement on a slow machine, and short enough to wait for.
const LIMIT: Duration = Duration::from_secs(3);
const SETTINGS: BatchSettings = BatchSettings {
    dead: DeadLetterThresholds { share: 1.0, in_row: u32::MAX },
    runs: RunThresholds { max_retire_share: 1.0, min_seen_share: 0.0, confirm_after: 2, large_domain: 2 },
    synchronous_commit: false,
    limits: AnswerLimits { rows: LIMIT, lock: LIMIT },
};

/// How a connection is lost: at the first request with this text, which the server may still get.
#[derive(Clone, Copy)]
struct Loss {
    at: &'static str,
    is_delivered: bool,
}

#[tokio::test]
async fn a_batch_whose_connection_is_lost_is_applied_over_another_one() -> Result<()> {
    for (at, is_delivered) in [("pg_advisory_xact_lock", true), ("COMMIT", false), ("COMMIT", true)] {
        assert_eq!(position_after(Loss { at, is_delivered }).await?, 5, "{at}");
    }
    Ok(())
}

/// The position after a batch that ends at 5 and loses its first connection.
async fn position_after(loss: Loss) -> Result<i64> {
    let tables = Tables::make("lost_connections").await?;
    let partition = topic_partition((RecordType::Hosts, 0));
    positions::start(&tables.pool, &partition, None, 0).await?;
    let is_lost = Arc::new(AtomicBool::new(false));
    let args = tables.at_port(open_proxy(tables.server(), loss, Arc::clone(&is_lost)).await?);
    let context = BatchContext {
        pool: database::open(&args, 1).await?,
        sessions: Sessions::from_args(&args)?,
        permits: Arc::new(Semaphore::new(1)),
        settings: SETTINGS,
        outage: Arc::default(),
        published: Arc::default(),
    };
    let batch = Batch { topic_partition: partition.clone(), from: 0, to: 5, records: Vec::new() };
    let outcome = context.apply(&batch, &BatchHandle::default()).await?;
    // Also if the commit of the first attempt has succeeded.
    assert!(matches!(outcome, Outcome::Applied { .. }), "{}", loss.at);
    assert!(is_lost.load(Ordering::SeqCst));
    let stored = positions::read(&tables.pool, std::slice::from_ref(&partition.topic)).await?;
    let position = stored.get(&partition);
    tables.drop().await?;
    Ok(position.unwrap_or_default())
}

/// Opens a proxy to the server that loses one connection. Returns its port.
async fn open_proxy(server: (String, u16), loss: Loss, is_lost: Arc<AtomicBool>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server.clone()).await else { return };
            tokio::spawn(forward(client, server, loss, Arc::clone(&is_lost)));
        }
    });
    Ok(port)
}

async fn forward(client: TcpStream, server: TcpStream, loss: Loss, is_lost: Arc<AtomicBool>) -> Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (lost, ended) = (CancellationToken::new(), CancellationToken::new());
    let answering = lost.clone();
    tokio::spawn(ended.clone().run_until_cancelled_owned(async move {
        answering.run_until_cancelled(copy(&mut from_server, &mut to_client)).await;
        // Both connections stay open.
        pending::<()>().await;
    }));
    let mut buffer = vec![0; 64 * 1024];
    while let length @ 1.. = from_client.read(&mut buffer).await? {
        let request = &buffer[..length];
        let is_last = request.windows(loss.at.len()).any(|text| text == loss.at.as_bytes());
        if is_last && !is_lost.swap(true, Ordering::SeqCst) {
            lost.cancel();
            if loss.is_delivered {
                to_server.write_all(request).await?;
            }
            return pending().await;
        }
        to_server.write_all(request).await?;
    }
    ended.cancel();
    Ok(())
}
