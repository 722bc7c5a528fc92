//! Builds the records of a page from its objects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use catalog_shared::cursor::Cursor;
use catalog_shared::key::{Key, is_name};
use catalog_shared::record::{RecordType, Version};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use serde_json::json;
use time::OffsetDateTime;

use crate::model::domains::Domains;
use crate::model::page::Object;
use crate::run::page_records::{PageRecords, PageWriter, Route};

/// The published domain of each host.
pub(crate) type Hosts = HashMap<String, String>;

/// Builds the records of one run. Hosts and agencies are published once a run, so it keeps those that were.
pub(crate) struct RecordBuilder {
    region: Region,
    routes: BTreeMap<RecordType, Route>,
    dead_letters: Arc<str>,
    hosts: Hosts,
    agencies: HashSet<String>,
}

impl RecordBuilder {
    /// A builder for the record types and partitions of a cursor's run.
    pub(crate) fn new(cursor: &Cursor, topics: &Topics) -> Self {
        let route = |(kind, count): (&RecordType, &i32)| {
            (*kind, Route { topic: topics.data(*kind).into(), partitions: *count })
        };
        Self {
            region: cursor.region,
            routes: cursor.partitions.iter().map(route).collect(),
            dead_letters: topics.dead_letters().into(),
            hosts: Hosts::new(),
            agencies: HashSet::new(),
        }
    }

    /// Sets the hosts that the run has already published.
    pub(crate) fn set_published_hosts(&mut self, hosts: Hosts) {
        self.hosts = hosts;
    }

    /// The records of `/domains`.
    pub(crate) fn domains(
        &self,
        domains: &Domains,
        version: Version,
        observed_at: OffsetDateTime,
    ) -> PageRecords {
        let mut page = PageWriter::new(self.region, &self.routes, &self.dead_letters, version, observed_at);
        for (domain, count) in &domains.declared {
            let value = json!({ "domain": domain, "declared_count": count }).to_string();
            if is_name(domain) {
                page.add(RecordType::Domains, Key::Domain(domain), value.into());
            } else {
                page.add_dead(value.into(), "domain is not a usable host name");
                page.records.missed.bad_domains += 1;
            }
        }
        for entry in &domains.unreadable {
            page.add_dead(entry.clone(), "not a domain with a count");
            page.records.missed.bad_domains += 1;
        }
        page.records
    }

    /// The records of a page of objects: datasets, and the hosts and agencies that are new to this run.
    pub(crate) fn page(
        &mut self,
        objects: &[Object],
        version: Version,
        observed_at: OffsetDateTime,
    ) -> PageRecords {
        let mut page = PageWriter::new(self.region, &self.routes, &self.dead_letters, version, observed_at);
        let mut hosts = BTreeMap::new();
        let mut duplicates = Duplicates::default();
        for object in objects {
            let Some(domain) = add_dataset(&mut page, &mut duplicates, object) else { continue };
            let host = object.host.clone().unwrap_or_else(|| domain.to_lowercase());
            if let Some(agency) = &object.agency
                && let Some(record) = agency_record(&mut self.agencies, self.region, &host, agency)
            {
                page.add_from(object, RecordType::Agencies, Key::Agency { host: &host, agency }, record);
            }
            // A host that appears with two domains gets the smaller one.
            let smallest = hosts.entry(host).or_insert(domain);
            *smallest = domain.min(*smallest);
        }
        for (host, domain) in hosts {
            add_host(&mut self.hosts, &mut page, host, domain);
        }
        page.records
    }
}

/// Adds the record of an object, or its dead letter. Returns the domain if there is a record.
fn add_dataset<'a>(
    page: &mut PageWriter<'_>,
    duplicates: &mut Duplicates<'a>,
    object: &'a Object,
) -> Option<&'a str> {
    let (id, domain) = match key_parts(object).and_then(|parts| duplicates.check(parts)) {
        Ok(parts) => parts,
        Err(reason) => {
            page.add_missed(object, object.flaw.as_deref().unwrap_or(reason));
            return None;
        }
    };
    let key = Key::Dataset { domain, id };
    let is_record = match &object.flaw {
        Some(flaw) => {
            page.add_missed(object, flaw);
            false
        }
        None if page.add_from(object, RecordType::Datasets, key, object.raw.clone()) => true,
        None => return None,
    };
    *page.records.seen.entry(domain.to_owned()).or_default() += 1;
    is_record.then_some(domain)
}

/// The record of an agency; `None` if this run has already published it.
fn agency_record(published: &mut HashSet<String>, region: Region, host: &str, agency: &str) -> Option<Bytes> {
    let key = Key::Agency { host, agency }.to_text(region);
    published.insert(key).then(|| json!({ "host": host, "agency": agency }).to_string().into())
}

/// The id and domain of an object, or why it has no usable key.
fn key_parts(object: &Object) -> Result<(&str, &str), &'static str> {
    let id = object.id.as_deref();
    let domain = object.domain.as_deref().filter(|domain| is_name(domain));
    Ok((
        id.ok_or("resource.id is not a usable id")?,
        domain.ok_or("metadata.domain is not a usable host name")?,
    ))
}

/// The domains of consecutive objects with the same id.
#[derive(Default)]
struct Duplicates<'a> {
    id: &'a str,
    domains: Vec<&'a str>,
}

impl<'a> Duplicates<'a> {
    /// Returns the id and domain of the next object, unless a preceding object has the same: then it is ambiguous
    /// which one is valid.
    fn check(&mut self, (id, domain): (&'a str, &'a str)) -> Result<(&'a str, &'a str), &'static str> {
        if self.id != id {
            *self = Self { id, domains: Vec::new() };
        }
        if self.domains.contains(&domain) {
            return Err("a preceding object has the same id and domain");
        }
        self.domains.push(domain);
        Ok((id, domain))
    }
}

fn add_host(published: &mut Hosts, page: &mut PageWriter<'_>, host: String, domain: &str) {
    if published.get(&host).is_none_or(|known| domain < known.as_str()) {
        let value = json!({ "host": host, "domain": domain });
        page.add(RecordType::Hosts, Key::Host(&host), value.to_string().into());
        published.insert(host, domain.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog_shared::missed::Missed;

    fn builder(kinds: &[RecordType]) -> RecordBuilder {
        let route = |kind: &RecordType| (*kind, Route { topic: kind.name().into(), partitions: 2 });
        RecordBuilder {
            region: Region::Us,
            routes: kinds.iter().map(route).collect(),
            dead_letters: "dead-letters".into(),
            hosts: Hosts::new(),
            agencies: HashSet::new(),
        }
    }

    fn object(id: &str, domain: &str, agency: Option<&str>) -> Object {
        Object {
            raw: Bytes::from_static(b"{}"),
            id: Some(id.into()),
            domain: Some(domain.into()),
            agency: agency.map(Into::into),
            host: Some("data.example".into()),
            updated_at: None,
            link_id: None,
            flaw: None,
        }
    }

    fn page(builder: &mut RecordBuilder, objects: &[Object]) -> PageRecords {
        builder.page(objects, Version { run: 1, page: 1 }, OffsetDateTime::UNIX_EPOCH)
    }

    fn keys(records: &PageRecords) -> Vec<&str> {
        records.outgoing.iter().map(|record| record.key.as_str()).collect()
    }

    #[test]
    fn hosts_and_agencies_are_published_once_a_run() {
        let mut builder = builder(&RecordType::ALL);
        let first = page(&mut builder, &[object("aaaa-aaaa", "b.example", Some("Parks"))]);
        assert_eq!(keys(&first), ["us/b.example/aaaa-aaaa", "us/data.example/Parks", "us/data.example"]);
        let second = page(&mut builder, &[object("aaaa-aaab", "b.example", Some("Parks"))]);
        assert_eq!(keys(&second), ["us/b.example/aaaa-aaab"]);
    }

    #[test]
    fn a_host_with_two_domains_gets_the_smaller_one_even_if_it_comes_later() {
        let mut builder = builder(&[RecordType::Hosts]);
        let both = [object("aaaa-aaaa", "c.example", None), object("aaaa-aaab", "b.example", None)];
        let first = page(&mut builder, &both);
        assert_eq!(first.outgoing[0].value, r#"{"domain":"b.example","host":"data.example"}"#);
        assert_eq!(page(&mut builder, &[object("aaaa-aaac", "a.example", None)]).outgoing.len(), 1);
        assert_eq!(page(&mut builder, &both).outgoing.len(), 0);
    }

    #[test]
    fn a_resumed_run_keeps_the_smaller_domain_that_was_published_before() {
        let mut builder = builder(&[RecordType::Hosts]);
        builder.set_published_hosts([("data.example".to_owned(), "b.example".to_owned())].into());
        assert_eq!(keys(&page(&mut builder, &[object("aaaa-aaaa", "c.example", None)])), [""; 0]);
        assert_eq!(keys(&page(&mut builder, &[object("aaaa-aaab", "a.example", None)])), ["us/data.example"]);
    }

    #[test]
    fn an_object_without_a_usable_key_is_a_dead_letter_and_counted() {
        let without_id = Object { id: None, ..object("", "a.example", None) };
        let bad_domain = object("aaaa-aaaa", "a.example/x", None);
        let records = page(&mut builder(&RecordType::ALL), &[without_id, bad_domain]);
        assert_eq!((records.missed.unkeyed, records.published.len()), (2, 0));
        assert!(records.outgoing.iter().all(|record| &*record.topic == "dead-letters"));
    }

    #[test]
    fn an_unreadable_entry_of_the_list_of_domains_is_a_dead_letter() {
        let declared = [("a.example".to_owned(), 7), ("b/c".to_owned(), 1)].into();
        let domains = Domains { declared, unreadable: vec![Bytes::from_static(b"[]")] };
        let version = Version { run: 1, page: 0 };
        let records = builder(&RecordType::ALL).domains(&domains, version, OffsetDateTime::UNIX_EPOCH);
        let missed = Missed { unkeyed: 2, bad_domains: 2, ..Missed::default() };
        assert_eq!((&records.missed, records.published.len()), (&missed, 1));
        assert_eq!((&*records.outgoing[2].topic, &*records.outgoing[2].value), ("dead-letters", &b"[]"[..]));
    }

    #[test]
    fn missed_objects_are_counted_by_id_or_by_domain() {
        let without_id = Object { id: None, ..object("", "a.example", None) };
        let linked = Object { link_id: Some("aaaa-aaab".into()), ..without_id.clone() };
        let bad_domain = object("aaaa-aaac", "a.example/x", None);
        let unidentified = Object { domain: None, ..without_id.clone() };
        let flawed = Object { flaw: Some("not JSON".into()), ..object("aaaa-aaad", "b.example", None) };
        let large = Object { raw: vec![b' '; 9_000_000].into(), ..object("aaaa-aaae", "b.example", None) };
        let records = page(
            &mut builder(&RecordType::ALL),
            &[without_id.clone(), without_id, linked, bad_domain, unidentified, flawed, large],
        );
        let ids = ["aaaa-aaab", "aaaa-aaac", "aaaa-aaad", "aaaa-aaae"].map(str::to_owned).into();
        let unkeyed_by = [("a.example".into(), 2)].into();
        let missed = Missed { unkeyed: 7, unkeyed_by, unread_ids: ids, ..Missed::default() };
        assert_eq!(records.missed, missed);
        assert_eq!(records.seen, [("b.example".into(), 1)].into());
    }

    #[test]
    fn one_id_on_two_domains_makes_two_records_and_twice_on_one_does_not() {
        let objects = ["a.example", "b.example", "a.example"].map(|domain| object("aaaa-aaaa", domain, None));
        let records = page(&mut builder(&[RecordType::Datasets]), &objects);
        assert_eq!(keys(&records), ["us/a.example/aaaa-aaaa", "us/b.example/aaaa-aaaa", ""]);
        assert_eq!(records.missed.unread_ids, ["aaaa-aaaa"]);
    }

    #[test]
    fn record_types_that_the_run_leaves_out_are_seen_but_not_published() {
        let records =
            page(&mut builder(&[RecordType::Hosts]), &[object("aaaa-aaaa", "a.example", Some("Parks"))]);
        assert_eq!(keys(&records), ["us/data.example"]);
        assert_eq!(records.seen["a.example"], 1);
    }
}
