//! Records follow the JSON Schemas in docs/reference/schemas.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use boon::{Compiler, SchemaIndex, Schemas};
use catalog_tests::docs::{Page, root};
use catalog_tests::history::History;
use catalog_tests::world::{TopicRecord, World};
use serde_json::{Value, json};

const FOLDER: &str = "docs/reference/schemas";
/// Each topic with the schemas of its headers and its values. Only the first four have end-of-run records.
const TOPICS: [(&str, Option<&str>, Option<&str>); 7] = [
    ("datasets", Some("headers"), Some("dataset")),
    ("domains", Some("headers"), Some("domain")),
    ("hosts", Some("headers"), Some("host")),
    ("agencies", Some("headers"), Some("agency")),
    ("cursors", None, Some("cursor")),
    ("verdicts", None, Some("verdict")),
    ("dead-letters", Some("dead-letter-headers"), None),
];
const END_OF_RUN: &str = "end-of-run";

/// All schemas, by the names of their files.
struct Documented {
    schemas: Schemas,
    by_name: BTreeMap<String, (SchemaIndex, Value)>,
}

impl Documented {
    fn read() -> Result<Self> {
        let (mut schemas, mut compiler, mut by_name) = (Schemas::new(), Compiler::new(), BTreeMap::new());
        compiler.enable_format_assertions();
        for entry in std::fs::read_dir(root().join(FOLDER))? {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str()).context("a file has a name")?;
            let name = file.strip_suffix(".schema.json").with_context(|| file.to_owned())?;
            let value: Value = serde_json::from_str(&Page::read(&format!("{FOLDER}/{file}"))?.text)?;
            // It also checks the schema itself.
            let compiled = compiler.compile(path.to_str().context("the path is text")?, &mut schemas);
            let index = compiled.map_err(|error| anyhow::anyhow!("{file}: {error:#}"))?;
            by_name.insert(name.to_owned(), (index, value));
        }
        Ok(Self { schemas, by_name })
    }

    fn get(&self, name: &str) -> Result<&(SchemaIndex, Value)> {
        self.by_name.get(name).with_context(|| format!("{FOLDER} has no {name}"))
    }

    fn check(&self, name: &str, value: &Value) -> Result<()> {
        let valid = self.schemas.validate(value, self.get(name)?.0);
        valid.map_err(|error| anyhow::anyhow!("{name}: {error:#}\n{value}"))
    }

    /// The members that a schema describes, and those of the schema that it builds on.
    fn members(&self, name: &str) -> Result<BTreeSet<&str>> {
        let schema = &self.get(name)?.1;
        let own = schema["properties"].as_object().context("a schema has properties")?.keys();
        let base = schema["$ref"].as_str().and_then(|file| file.strip_suffix(".schema.json"));
        let base = base.map(|name| self.members(name)).transpose()?;
        Ok(own.map(String::as_str).chain(base.into_iter().flatten()).collect())
    }

    /// The paths of the mandatory members of an object and, in a dataset, of those in it.
    fn required(&self, name: &str) -> Result<Vec<String>> {
        let schema = &self.get(name)?.1;
        let mut paths = names(&schema["required"], "");
        for (member, inner) in schema["properties"].as_object().into_iter().flatten() {
            paths.extend(names(&inner["required"], &format!("/{member}")));
        }
        Ok(paths)
    }
}

fn names(required: &Value, parent: &str) -> Vec<String> {
    let names = required.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| format!("{parent}/{name}")).collect()
}

/// What of a record a schema describes: its headers as an object of text, and its value.
fn described(topic: &str, record: &TopicRecord) -> Result<Vec<(&'static str, Value)>> {
    let (_, headers, value) =
        TOPICS.iter().find(|(name, ..)| *name == topic).with_context(|| topic.to_owned())?;
    let value = if record.is_end_record() { Some(END_OF_RUN) } else { *value };
    let mut all = Vec::new();
    if let Some(schema) = *headers {
        all.push((schema, json!(record.headers)));
    }
    if let Some(schema) = value {
        all.push((schema, serde_json::from_slice(&record.value).context("a value is JSON")?));
    }
    Ok(all)
}

/// A world after a full crawl with a dead letter, which was approved, a `--since` run, and a crawl of one domain.
async fn crawled() -> Result<World> {
    let history = History::new(&[("a.example", 60), ("b.example", 60)]).await?;
    history.catalog.put_as("5zzz-zzzz", "a.example", r#"{"resource":{"name":"no id"}}"#);
    // Nobody can tell which dataset the dead letter is, so the run is on hold.
    history.run(&[]).await?;
    history.decide("approve", "1").await?;
    history.run(&["--since", "2000-01-01"]).await?;
    history.run(&["--domain", "b.example"]).await?;
    Ok(history.world)
}

#[tokio::test]
async fn all_records_follow_the_schemas_and_have_no_other_members() -> Result<()> {
    let (documented, world) = (Documented::read()?, crawled().await?);
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (topic, ..) in TOPICS {
        for record in world.records(topic).await? {
            for (schema, value) in described(topic, &record)? {
                documented.check(schema, &value).with_context(|| format!("{topic}, {}", record.key))?;
                let members = value.as_object().context("it is an object")?;
                seen.entry(schema).or_default().extend(members.keys().cloned());
            }
        }
    }
    // A file that no record follows would be tested by nothing.
    assert!(documented.by_name.keys().eq(seen.keys()), "{:?}", seen.keys());
    for (schema, members) in seen {
        let found: BTreeSet<&str> = members.iter().map(String::as_str).collect();
        let described = documented.members(schema)?;
        // A dataset has what the API sends.
        let unknown: Vec<_> = found.difference(&described).filter(|_| schema != "dataset").collect();
        let unseen: Vec<_> = described.difference(&found).collect();
        ensure!(
            unknown.is_empty() && unseen.is_empty(),
            "{schema}: not described {unknown:?}, never seen {unseen:?}"
        );
    }
    Ok(())
}

/// Removes the member at a path.
fn without(value: &Value, path: &str) -> Result<Value> {
    let (parent, name) = path.rsplit_once('/').context("a path begins with a slash")?;
    let mut value = value.clone();
    let object = value.pointer_mut(parent).and_then(Value::as_object_mut).context("it has a parent")?;
    ensure!(object.remove(name).is_some(), "there is no {path}");
    Ok(value)
}

#[tokio::test]
async fn a_record_without_a_mandatory_member_follows_no_schema() -> Result<()> {
    let (documented, world) = (Documented::read()?, crawled().await?);
    let mut removed: BTreeMap<&str, usize> = BTreeMap::new();
    for (topic, ..) in TOPICS {
        for record in world.records(topic).await? {
            for (schema, value) in described(topic, &record)? {
                if removed.contains_key(schema) {
                    continue;
                }
                let required = documented.required(schema)?;
                for path in &required {
                    let less = without(&value, path)?;
                    assert!(
                        documented.check(schema, &less).is_err(),
                        "{schema} allows a record without {path}"
                    );
                }
                removed.insert(schema, required.len());
            }
        }
    }
    assert!(
        removed.len() == documented.by_name.len() && removed.values().all(|count| *count > 0),
        "{removed:?}"
    );
    Ok(())
}

/// Headers and times have a form.
#[test]
fn headers_with_a_value_of_another_form_do_not_follow_the_schema() -> Result<()> {
    let documented = Documented::read()?;
    let good = json!({
        "kind": "hosts", "schema": "1", "region": "us", "run": "1", "page": "0", "observed_at": "2026-01-01T00:00:00Z"
    });
    documented.check("headers", &good)?;
    for (name, value) in [("kind", "host"), ("run", "x"), ("observed_at", "yesterday"), ("region", "uk")] {
        let mut wrong = good.clone();
        wrong[name] = value.into();
        assert!(documented.check("headers", &wrong).is_err(), "{name} may be {value}");
    }
    Ok(())
}
