//! Records in the topics have the documented keys, partitions, headers and values.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::oracle::key;
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use serde_json::value::RawValue;

async fn world() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok(world)
}

#[tokio::test]
async fn values_are_the_served_bytes_under_the_primary_key() -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Page {
        results: Vec<Box<RawValue>>,
    }
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    // Within a crawl the mock server answers with the same bytes.
    let page = reqwest::get(format!("{}?scroll_id=&limit=500", api.url())).await?.bytes().await?;
    let mut served = BTreeMap::new();
    for object in serde_json::from_slice::<Page>(&page)?.results {
        let (domain, id) = key(&serde_json::from_str(object.get())?);
        served.insert(format!("us/{domain}/{id}"), object.get().as_bytes().to_vec());
    }
    assert_eq!(served.len(), 500);
    let records = world.records("datasets").await?;
    let records = records.into_iter().filter(|record| !record.is_end_record());
    let published: BTreeMap<_, _> = records.map(|record| (record.key, record.value)).collect();
    assert_eq!(published, served);
    Ok(())
}

#[tokio::test]
async fn headers_are_text_that_describes_a_record() -> Result<()> {
    let world = world().await?;
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        for record in world.records(topic).await? {
            let names: Vec<&str> = record.headers.keys().map(String::as_str).collect();
            assert_eq!(names, ["kind", "observed_at", "page", "region", "run", "schema"]);
            let header = |name: &str| record.headers[name].as_str();
            assert_eq!(header("kind"), if record.is_end_record() { "marker" } else { topic });
            assert_eq!((header("region"), header("run"), header("schema")), ("us", "1", "1"));
            assert_eq!(header("page") == "0", topic == "domains" && !record.is_end_record());
            time::OffsetDateTime::parse(
                header("observed_at"),
                &time::format_description::well_known::Rfc3339,
            )?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_end_of_run_record_on_every_partition_has_the_count_published_there() -> Result<()> {
    let world = world().await?;
    for (topic, partitions) in [("datasets", 2), ("domains", 1), ("hosts", 1), ("agencies", 1)] {
        let (markers, records): (Vec<_>, Vec<_>) =
            world.records(topic).await?.into_iter().partition(|record| record.is_end_record());
        assert_eq!(markers.len(), partitions, "{topic}");
        for marker in markers {
            assert_eq!(marker.key, "us/#run/1");
            let value: Value = serde_json::from_slice(&marker.value)?;
            let published = records.iter().filter(|record| record.partition == marker.partition).count();
            assert_eq!(value["published"], published, "{topic}[{}]", marker.partition);
            assert_eq!((value["mode"].as_str(), value["run"].as_u64()), (Some("full"), Some(1)));
            assert_eq!(
                value["seen"].as_object().map(|seen| seen.values().filter_map(Value::as_u64).sum()),
                Some(500)
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_in_the_partitions_that_other_clients_would_choose() -> Result<()> {
    let world = world().await?;
    let producer: FutureProducer = world.kafka().set("partitioner", "murmur2_random").create()?;
    let topic = world.topic("datasets");
    for record in world.records("datasets").await?.iter().filter(|record| !record.is_end_record()) {
        let sent = producer
            .send_result(FutureRecord::to(&topic).key(&record.key).payload(""))
            .map_err(|(error, _)| error)?;
        let delivery = sent.await?.map_err(|(error, _)| error)?;
        assert_eq!(delivery.partition, record.partition, "{}", record.key);
    }
    Ok(())
}
