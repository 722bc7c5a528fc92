//! The producer's limit: the same records published without a crawl, with one transaction per page.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};
use catalog_shared::region::Region;
use catalog_tests::world::World;
use futures::future::try_join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use time::OffsetDateTime;
use tokio::task::block_in_place;

use crate::figure::Figure;
use crate::reading::Published;

const TIMEOUT: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 6;

/// A separate topic, and a producer with the settings of `catalog-producer`.
pub(crate) struct Bare {
    /// Deletes the topic at the end.
    world: World,
    producer: FutureProducer,
}

impl Bare {
    pub(crate) async fn new() -> Result<Self> {
        let world = World::new().await?;
        let admin: AdminClient<DefaultClientContext> = world.kafka().create()?;
        let topic = world.topic("datasets");
        let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(-1));
        let new = new.set("cleanup.policy", "compact").set("max.message.bytes", "8388608");
        for created in admin.create_topics([&new], &AdminOptions::new()).await? {
            created.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
        }
        let mut config = world.kafka();
        config.set("transactional.id", &topic).set("acks", "all").set("linger.ms", "0");
        config.set("compression.codec", "lz4").set("message.max.bytes", "8388608");
        let producer: FutureProducer = config.create()?;
        block_in_place(|| producer.init_transactions(TIMEOUT))?;
        Ok(Self { world, producer })
    }

    /// Publishes records, so many in a transaction. The median transaction stands for each, because this client's
    /// commit waits for 100 ms in some, and our producer's doesn't.
    pub(crate) async fn publish(&self, records: &[Published], page_size: usize) -> Result<Figure> {
        let mut took = Vec::new();
        for page in records.chunks(page_size) {
            let begun = Instant::now();
            self.publish_page(page).await?;
            took.push(begun.elapsed().as_secs_f64() / page.len() as f64);
        }
        took.sort_by(f64::total_cmp);
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        Ok(Figure { records: records.len() as u64, seconds: median * records.len() as f64 })
    }

    async fn publish_page(&self, page: &[Published]) -> Result<()> {
        self.producer.begin_transaction()?;
        let topic = self.world.topic("datasets");
        let send = |record: &Published| {
            let to = FutureRecord::to(&topic).partition(record.partition).headers(headers());
            let sent = self.producer.send_result(to.key(&record.key[..]).payload(&record.value[..]));
            sent.map_err(|(error, _)| error)
        };
        let sent = page.iter().map(send).collect::<Result<Vec<_>, _>>()?;
        for delivered in try_join_all(sent).await? {
            delivered.map_err(|(error, _)| error)?;
        }
        Ok(block_in_place(|| self.producer.commit_transaction(TIMEOUT))?)
    }
}

/// Headers like those of a real record: the same number, and the same lengths.
fn headers() -> OwnedHeaders {
    let version = Version { run: 1, page: 1 };
    let (content, observed_at) = (Content::Record(RecordType::Datasets), OffsetDateTime::now_utc());
    RecordHeaders { content, region: Region::Us, version, observed_at }.to_headers()
}
