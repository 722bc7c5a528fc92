//! A database with something to find: a catalog with new, changed, vanished, moved and odd assets,
//! crawled three times.

use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// The portal in the documented queries.
pub(crate) const PORTAL: &str = "data.fortellery.example";
/// The asset from which the documented queries find derived assets.
const PARENT: &str = "7sh9-7ix8";
const AGENCY: &str = "Office of the Examples";

/// What was served, and the database that was filled from it.
pub(crate) struct Filled {
    pub(crate) world: World,
    /// All objects of the last crawl.
    pub(crate) objects: Vec<Value>,
    /// The permalinks of vanished assets, except those that vanished long ago.
    pub(crate) gone: Vec<String>,
}

/// Crawls three times. The second crawl retires what vanished, and the third is on hold. The date of one retired
/// asset is moved to long ago.
pub(crate) async fn fill() -> Result<Filled> {
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(300, 4).objects())?);
    let ids = catalog.ids();
    let editor = Editor { catalog: &catalog, ids: &ids };
    editor.dress()?;
    let world = World::new().await?;
    let api = MockServer::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    world.crawl(&api)?.succeed().await?;

    let gone = editor.take_away()?;
    let gone_long_ago = editor.ids[51].clone();
    catalog.remove(&gone_long_ago);
    world.crawl(&api)?.succeed().await?;
    let objects = catalog.objects().into_iter().map(|object| serde_json::from_slice(&object));
    let objects: Vec<Value> = objects.collect::<Result<_, _>>()?;
    let on_portal = objects.iter().filter(|object| object["metadata"]["domain"] == PORTAL).count();
    catalog.declare(PORTAL, on_portal as u64 + 1);
    catalog.put_as("zzzz-zzzz", PORTAL, r#"{"metadata":{}}"#);
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    sqlx::query("update socrata_datasets set retired_at = retired_at - interval '31 days' where id = $1")
        .bind(gone_long_ago)
        .execute(world.pool())
        .await?;
    Ok(Filled { world, objects, gone })
}

/// Changes assets by their place in the order of ids.
struct Editor<'a> {
    catalog: &'a MemoryCatalog,
    ids: &'a [String],
}

impl Editor<'_> {
    fn dress(&self) -> Result<()> {
        (0..40).try_for_each(|place| self.edit(place, |object| move_to(object, PORTAL)))?;
        self.edit(0, |object| {
            object["permalink"] = format!("https://Data.FortEllery.example/d/{}", self.ids[0]).into();
            object["resource"]["type"] = "dataset".into();
        })?;
        let old = self.domain(299)?;
        self.all_of(&old, |object| object["resource"]["updatedAt"] = "2019-06-30T12:00:00.000Z".into())?;
        self.date()?;
        self.describe()
    }

    fn date(&self) -> Result<()> {
        // On both sides of each bound: 7 and 30 days.
        for (place, days) in [(1, 2), (2, 2), (45, 2), (4, 10), (47, 10), (15, 40)] {
            let (created, updated) = (ago(days)?, ago(days - 1)?);
            self.edit(place, |object| {
                object["resource"]["createdAt"] = created.into();
                object["resource"]["updatedAt"] = updated.into();
            })?;
        }
        for (place, days) in [(3, 3), (46, 10)] {
            let updated = ago(days)?;
            self.edit(place, |object| object["resource"]["updatedAt"] = updated.into())?;
        }
        // A date that does not exist in February.
        self.edit(10, |object| object["resource"]["createdAt"] = "2020-02-30T00:00:00.000Z".into())?;
        self.edit(12, |object| {
            object["resource"]["type"] = "dataset".into();
            object["resource"]["data_updated_at"] = "2018-03-01T00:00:00.000Z".into();
            object["resource"]["page_views"] = json!({"page_views_last_month": 77, "page_views_total": 770});
        })
    }

    fn describe(&self) -> Result<()> {
        for place in [5, 48] {
            self.edit(place, |object| {
                let resource = &mut object["resource"];
                for (field, value) in
                    [("name", "Address"), ("field_name", "site_address"), ("datatype", "Text")]
                {
                    resource[format!("columns_{field}")] = json!([value]);
                }
                resource["columns_description"] = json!([""]);
                resource["columns_format"] = json!([{}]);
            })?;
        }
        self.edit(6, |object| object["classification"]["domain_tags"] = json!(["buses", "parks"]))?;
        for place in [7, 8] {
            self.edit(place, |object| object["resource"]["name"] = "The City Budget".into())?;
        }
        self.edit(9, |object| object["resource"]["parent_fxf"] = json!([PARENT]))?;
        self.edit(11, |object| object["resource"]["attribution"] = AGENCY.into())?;
        self.edit(299, |object| object["resource"]["attribution"] = format!(" {AGENCY}\u{a0}\n").into())
    }

    /// Removes two assets and moves one to another domain. Returns the vanished permalinks.
    fn take_away(&self) -> Result<Vec<String>> {
        let elsewhere = self.domain(299)?;
        let gone = [13, 14, 50].map(|place| self.read(place).map(|object| text(&object["permalink"])));
        let gone = gone.into_iter().collect::<Result<Vec<_>>>()?;
        self.edit(13, |object| move_to(object, &elsewhere))?;
        for place in [14, 50] {
            self.catalog.remove(&self.ids[place]);
        }
        Ok(gone)
    }

    fn read(&self, place: usize) -> Result<Value> {
        let object = self.catalog.get(&self.ids[place]).context("it is in the catalog")?;
        Ok(serde_json::from_slice(&object)?)
    }

    fn domain(&self, place: usize) -> Result<String> {
        Ok(text(&self.read(place)?["metadata"]["domain"]))
    }

    fn edit(&self, place: usize, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut object = self.read(place)?;
        change(&mut object);
        Ok(self.catalog.put(object.to_string())?)
    }

    fn all_of(&self, domain: &str, change: impl Fn(&mut Value)) -> Result<()> {
        for place in 0..self.ids.len() {
            if self.domain(place)? == domain {
                self.edit(place, &change)?;
            }
        }
        Ok(())
    }
}

fn move_to(object: &mut Value, domain: &str) {
    object["metadata"]["domain"] = domain.into();
    object["permalink"] = format!("https://{domain}/d/{}", text(&object["resource"]["id"])).into();
}

fn ago(days: i64) -> Result<String> {
    Ok((OffsetDateTime::now_utc() - Duration::days(days)).format(&Rfc3339)?)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
