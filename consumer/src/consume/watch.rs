//! What may change while a consumer runs, looked after beside its loop: whether the group is still this copy's, and whether
//! the topics are still the ones that the tables belong to.

use std::time::Duration;

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use sqlx::PgPool;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::binding;
use crate::consume::copies::{Lookout, Seen};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What a look has found.
#[derive(Debug)]
pub(crate) enum News {
    /// Who is in the group.
    Group(Seen),
    /// The topics are others than the tables belong to.
    Refused(Stop),
}

/// What the loop hears. It ends when this is dropped.
pub(crate) struct Watch {
    pub(crate) news: UnboundedReceiver<News>,
    _stop: DropGuard,
}

impl Watch {
    pub(crate) fn start(lookout: Lookout, pool: PgPool, kafka: KafkaArgs) -> Self {
        let (sender, news) = unbounded_channel();
        let stop = CancellationToken::new();
        let looking = async move {
            loop {
                sleep(LOOK_EVERY).await;
                if let Err(error) = look(&lookout, &pool, &kafka, &sender).await {
                    // An outage of Kafka or the database is told elsewhere.
                    tracing::debug!(error = format!("{error:#}"), "can't look at the group and the topics");
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(looking));
        Self { news, _stop: stop.drop_guard() }
    }
}

async fn look(
    lookout: &Lookout,
    pool: &PgPool,
    kafka: &KafkaArgs,
    news: &UnboundedSender<News>,
) -> anyhow::Result<()> {
    // Nobody hears it if the loop has ended just now.
    let _ = news.send(News::Group(lookout.look().await?));
    let source = binding::Source::find(kafka).await?;
    let checked = binding::check(&mut *pool.acquire().await?, &source).await;
    match checked.map_err(anyhow::Error::downcast::<Stop>) {
        Ok(()) => Ok(()),
        Err(Ok(stop)) => {
            let _ = news.send(News::Refused(stop));
            Ok(())
        }
        Err(Err(error)) => Err(error),
    }
}
