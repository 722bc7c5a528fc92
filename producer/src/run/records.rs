//! From objects to records: what a page becomes on its way to Kafka.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use catalog_shared::cursor::Cursor;
use catalog_shared::key::{Key, is_name};
use catalog_shared::record::{Kind, Version};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use serde_json::json;
use time::OffsetDateTime;

use crate::api::domains::Domains;
use crate::api::page::Object;
use crate::publish::hosts::Hosts;
use crate::run::page_writer::{PageRecords, PageWriter, Route};

/// Makes records of one run. Remembers which hosts and agencies it has made, so that each goes out once.
pub(crate) struct Recorder {
    region: Region,
    routes: BTreeMap<Kind, Route>,
    dead_letters: Arc<str>,
    /// The domain that was published for each host.
    hosts: Hosts,
    agencies: HashSet<String>,
}

impl Recorder {
    /// A recorder for the kinds and partitions of a cursor's run.
    pub(crate) fn new(cursor: &Cursor, topics: &Topics) -> Self {
        let route = |(kind, count): (&Kind, &i32)| {
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

    /// Takes hosts for published.
    pub(crate) fn know(&mut self, hosts: Hosts) {
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
                page.add(Kind::Domains, Key::Domain(domain), value.into());
            } else {
                page.add_dead(value.into(), "domain is no usable host");
                page.records.missed.bad_domains += 1;
            }
        }
        for entry in &domains.unreadable {
            page.add_dead(entry.clone(), "no domain with a count");
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
        let mut twins = Twins::default();
        for object in objects {
            let Some(domain) = add_dataset(&mut page, &mut twins, object) else { continue };
            let host = object.host.clone().unwrap_or_else(|| domain.to_lowercase());
            if let Some(agency) = &object.agency
                && let Some(record) = agency_record(&mut self.agencies, self.region, &host, agency)
            {
                page.add_of(object, Kind::Agencies, Key::Agency { host: &host, agency }, record);
            }
            // A host that shows two domains takes the smaller.
            let smallest = hosts.entry(host).or_insert(domain);
            *smallest = domain.min(*smallest);
        }
        for (host, domain) in hosts {
            add_host(&mut self.hosts, &mut page, host, domain);
        }
        page.records
    }
}

/// Adds the record of an object, or its dead letter. Gives the domain of an object that has a record.
fn add_dataset<'a>(page: &mut PageWriter<'_>, twins: &mut Twins<'a>, object: &'a Object) -> Option<&'a str> {
    let (id, domain) = match keyed(object).and_then(|names| twins.take(names)) {
        Ok(names) => names,
        Err(reason) => {
            page.add_missed(object, object.flaw.as_deref().unwrap_or(reason));
            return None;
        }
    };
    let is_record = match &object.flaw {
        Some(flaw) => {
            page.add_missed(object, flaw);
            false
        }
        None if page.add_of(object, Kind::Datasets, Key::Dataset { domain, id }, object.raw.clone()) => true,
        None => return None,
    };
    *page.records.seen.entry(domain.to_owned()).or_default() += 1;
    is_record.then_some(domain)
}

/// The record of an agency; none where this run has published it.
fn agency_record(published: &mut HashSet<String>, region: Region, host: &str, agency: &str) -> Option<Bytes> {
    let key = Key::Agency { host, agency }.to_text(region);
    published.insert(key).then(|| json!({ "host": host, "agency": agency }).to_string().into())
}

/// The id and domain of an object, or why it can't have a key.
fn keyed(object: &Object) -> Result<(&str, &str), &'static str> {
    let id = object.id.as_deref();
    let domain = object.domain.as_deref().filter(|domain| is_name(domain));
    Ok((id.ok_or("resource.id is no usable id")?, domain.ok_or("metadata.domain is no usable host")?))
}

/// The domains of objects with one id, which come one after the other.
#[derive(Default)]
struct Twins<'a> {
    id: &'a str,
    domains: Vec<&'a str>,
}

impl<'a> Twins<'a> {
    /// The names of the next object, unless the one before it had the same: nobody can tell which of them counts.
    fn take(&mut self, (id, domain): (&'a str, &'a str)) -> Result<(&'a str, &'a str), &'static str> {
        if self.id != id {
            *self = Self { id, domains: Vec::new() };
        }
        if self.domains.contains(&domain) {
            return Err("another object right before it has the same id and domain");
        }
        self.domains.push(domain);
        Ok((id, domain))
    }
}

fn add_host(published: &mut Hosts, page: &mut PageWriter<'_>, host: String, domain: &str) {
    if published.get(&host).is_none_or(|known| domain < known.as_str()) {
        let value = json!({ "host": host, "domain": domain });
        page.add(Kind::Hosts, Key::Host(&host), value.to_string().into());
        published.insert(host, domain.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::page_writer::Missed;

    fn recorder(kinds: &[Kind]) -> Recorder {
        let route = |kind: &Kind| (*kind, Route { topic: kind.name().into(), partitions: 2 });
        Recorder {
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

    fn page(recorder: &mut Recorder, objects: &[Object]) -> PageRecords {
        recorder.page(objects, Version { run: 1, page: 1 }, OffsetDateTime::UNIX_EPOCH)
    }

    fn keys(records: &PageRecords) -> Vec<&str> {
        records.outgoing.iter().map(|record| record.key.as_str()).collect()
    }

    #[test]
    fn hosts_and_agencies_go_out_once_a_run() {
        let mut recorder = recorder(&Kind::ALL);
        let first = page(&mut recorder, &[object("aaaa-aaaa", "b.example", Some("Parks"))]);
        assert_eq!(keys(&first), ["us/b.example/aaaa-aaaa", "us/data.example/Parks", "us/data.example"]);
        let second = page(&mut recorder, &[object("aaaa-aaab", "b.example", Some("Parks"))]);
        assert_eq!(keys(&second), ["us/b.example/aaaa-aaab"]);
    }

    #[test]
    fn a_host_with_two_domains_takes_the_smaller_even_when_it_comes_later() {
        let mut recorder = recorder(&[Kind::Hosts]);
        let both = [object("aaaa-aaaa", "c.example", None), object("aaaa-aaab", "b.example", None)];
        let first = page(&mut recorder, &both);
        assert_eq!(first.outgoing[0].value, r#"{"domain":"b.example","host":"data.example"}"#);
        assert_eq!(page(&mut recorder, &[object("aaaa-aaac", "a.example", None)]).outgoing.len(), 1);
        assert_eq!(page(&mut recorder, &both).outgoing.len(), 0);
    }

    #[test]
    fn a_resumed_run_keeps_the_smaller_domain_that_was_published_before() {
        let mut recorder = recorder(&[Kind::Hosts]);
        recorder.know([("data.example".to_owned(), "b.example".to_owned())].into());
        assert_eq!(keys(&page(&mut recorder, &[object("aaaa-aaaa", "c.example", None)])), [""; 0]);
        assert_eq!(
            keys(&page(&mut recorder, &[object("aaaa-aaab", "a.example", None)])),
            ["us/data.example"]
        );
    }

    #[test]
    fn an_object_without_a_usable_key_is_a_dead_letter_and_counted() {
        let nameless = Object { id: None, ..object("", "a.example", None) };
        let strange = object("aaaa-aaaa", "a.example/x", None);
        let records = page(&mut recorder(&Kind::ALL), &[nameless, strange]);
        assert_eq!((records.missed.unkeyed, records.published.len()), (2, 0));
        assert!(records.outgoing.iter().all(|record| &*record.topic == "dead-letters"));
    }

    #[test]
    fn an_entry_of_the_list_of_domains_that_can_not_be_read_is_a_dead_letter() {
        let declared = [("a.example".to_owned(), 7), ("b/c".to_owned(), 1)].into();
        let domains = Domains { declared, unreadable: vec![Bytes::from_static(b"[]")] };
        let version = Version { run: 1, page: 0 };
        let records = recorder(&Kind::ALL).domains(&domains, version, OffsetDateTime::UNIX_EPOCH);
        let missed = Missed { unkeyed: 2, bad_domains: 2, ..Missed::default() };
        assert_eq!((&records.missed, records.published.len()), (&missed, 1));
        assert_eq!((&*records.outgoing[2].topic, &*records.outgoing[2].value), ("dead-letters", &b"[]"[..]));
    }

    #[test]
    fn what_is_missed_is_named_by_its_id_or_by_its_domain() {
        let nameless = Object { id: None, ..object("", "a.example", None) };
        let linked = Object { link_id: Some("aaaa-aaab".into()), ..nameless.clone() };
        let strange = object("aaaa-aaac", "a.example/x", None);
        let unknown = Object { domain: None, ..nameless.clone() };
        let flawed = Object { flaw: Some("not JSON".into()), ..object("aaaa-aaad", "b.example", None) };
        let large = Object { raw: vec![b' '; 9_000_000].into(), ..object("aaaa-aaae", "b.example", None) };
        let records = page(
            &mut recorder(&Kind::ALL),
            &[nameless.clone(), nameless, linked, strange, unknown, flawed, large],
        );
        let ids = ["aaaa-aaab", "aaaa-aaac", "aaaa-aaad", "aaaa-aaae"].map(str::to_owned).into();
        let missed = Missed { unkeyed: 7, bad_domains: 0, by_domain: [("a.example".into(), 2)].into(), ids };
        assert_eq!(records.missed, missed);
        assert_eq!(records.seen, [("b.example".into(), 1)].into());
    }

    #[test]
    fn one_id_on_two_domains_is_two_records_and_twice_on_one_is_not() {
        let twins = ["a.example", "b.example", "a.example"].map(|domain| object("aaaa-aaaa", domain, None));
        let records = page(&mut recorder(&[Kind::Datasets]), &twins);
        assert_eq!(keys(&records), ["us/a.example/aaaa-aaaa", "us/b.example/aaaa-aaaa", ""]);
        assert_eq!(records.missed.ids, ["aaaa-aaaa"]);
    }

    #[test]
    fn kinds_that_the_run_leaves_out_are_seen_but_not_published() {
        let records = page(&mut recorder(&[Kind::Hosts]), &[object("aaaa-aaaa", "a.example", Some("Parks"))]);
        assert_eq!(keys(&records), ["us/data.example"]);
        assert_eq!(records.seen["a.example"], 1);
    }
}
