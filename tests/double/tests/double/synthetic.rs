//! The synthetic catalog is the same each time, well-formed, and as odd as a real one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use discovery_double::mock_server::{Catalog, Region};
use discovery_double::synthetic::{ID_SPACE, Oddity, Synthetic, is_well_formed, spell};
use serde_json::Value;

const ASSETS: u64 = 5_000;

fn parse(object: &[u8]) -> Value {
    serde_json::from_slice(object).expect("JSON")
}

fn all(catalog: &Synthetic) -> Vec<Value> {
    catalog.objects().map(|object| parse(&object)).collect()
}

fn share(objects: &[Value], of: impl Fn(&Value) -> bool) -> f64 {
    let count = u32::try_from(objects.iter().filter(|object| of(object)).count()).expect("few");
    f64::from(count) / f64::from(u32::try_from(objects.len()).expect("few"))
}

/// The object that always has this oddity.
fn odd(catalog: &Synthetic, oddity: Oddity) -> Value {
    parse(&catalog.object(oddity.place(catalog.assets())))
}

#[test]
fn ids_are_numbers_in_base_32_and_sort_as_they_do() {
    assert_eq!(spell(0), "2222-2222");
    assert_eq!(spell(31), "2222-222z");
    assert_eq!(spell(32), "2222-2232");
    assert_eq!(spell(ID_SPACE - 1), "zzzz-zzzz");
    assert!(is_well_formed("ijzp-q8t2"));
    for wrong in ["ijzp-q8t", "ijzp_q8t2", "ijzp-q8t1", "ijzl-q8t2", "IJZP-Q8T2", "ijzp-q8t22", ""] {
        assert!(!is_well_formed(wrong), "{wrong}");
    }
}

#[test]
fn ids_are_sorted_well_formed_and_spread() {
    for assets in [1, 7, 1_000, 1_000_000] {
        let catalog = Synthetic::new(assets, 3);
        let ids: Vec<_> = (0..assets).step_by(997).map(|index| catalog.id(index)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{assets}");
        assert!(ids.iter().all(|id| is_well_formed(id)));
    }
    let catalog = Synthetic::new(1_000, 3);
    let firsts: HashSet<_> = (0..1_000).map(|index| catalog.id(index).chars().next()).collect();
    assert_eq!(firsts.len(), 32);
}

#[test]
fn an_index_is_found_by_any_bound() {
    let catalog = Synthetic::new(1_000, 3);
    let ids: Vec<_> = (0..1_000).map(|index| catalog.id(index)).collect();
    let bounds = ["", "2222-2222", "a", "mmmm-mmmm", "zzzz-zzzz", "~", &ids[0], &ids[500], &ids[999]];
    for bound in bounds {
        let beyond = ids.iter().filter(|id| id.as_str() <= bound).count() as u64;
        let from = ids.iter().filter(|id| id.as_str() < bound).count() as u64;
        assert_eq!(catalog.first_from(Bound::Excluded(bound)), beyond, "{bound}");
        assert_eq!(catalog.first_from(Bound::Included(bound)), from, "{bound}");
    }
    assert_eq!(catalog.first_from(Bound::Unbounded), 0);
}

#[test]
fn an_object_depends_on_nothing_but_the_numbers_that_were_given() {
    let (one, other) = (Synthetic::new(ASSETS, 40), Synthetic::new(ASSETS, 40));
    let backwards: Vec<_> = (0..200).rev().map(|index| other.object(index)).collect();
    assert!((0..200).map(|index| one.object(index)).eq(backwards.into_iter().rev()));
    let european = Synthetic::in_region(Region::Eu, 200, 40);
    let american = Synthetic::new(200, 40);
    assert!((0..200).all(|index| european.id(index) != american.id(index)));
    let hosts = |catalog: &Synthetic| {
        let populated = catalog.domains().into_iter().filter(|line| line.count > 0);
        populated.map(|line| line.domain).collect::<HashSet<_>>()
    };
    assert!(hosts(&european).is_disjoint(&hosts(&american)));
}

#[test]
fn an_object_contains_its_domain_and_links() {
    let catalog = Synthetic::new(400, 12);
    let mut counts = BTreeMap::new();
    for (index, object) in (0..).zip(all(&catalog)) {
        let (id, host) =
            (object["resource"]["id"].as_str(), object["metadata"]["domain"].as_str().expect("a host"));
        assert_eq!(id, Some(catalog.id(index).as_str()));
        assert!(object["permalink"].as_str().expect("a link").starts_with(&format!("https://{host}/d/")));
        assert!(host.ends_with(".example") && host == host.to_lowercase());
        *counts.entry(host.to_owned()).or_insert(0) += 1;
    }
    let declared = catalog.domains().into_iter().filter(|line| line.count > 0);
    assert_eq!(declared.map(|line| (line.domain, line.count)).collect::<BTreeMap<_, u64>>(), counts);
}

#[test]
fn many_domains_have_hosts_of_their_own() {
    for region in [Region::Us, Region::Eu] {
        let domains = Synthetic::in_region(region, 1, 500).domains();
        let hosts: HashSet<_> = domains.iter().map(|line| &line.domain).collect();
        assert_eq!(hosts.len(), domains.len());
    }
}

#[test]
fn sizes_are_those_of_a_real_catalog() {
    let catalog = Synthetic::new(ASSETS, 40);
    let mut sizes: Vec<_> = catalog.objects().map(|object| object.len()).collect();
    sizes.sort_unstable();
    let (median, mean) = (sizes[sizes.len() / 2], sizes.iter().sum::<usize>() / sizes.len());
    assert!((2_000..2_700).contains(&median), "median {median}");
    assert!((3_100..3_900).contains(&mean), "mean {mean}");
    assert!((12_000..20_000).contains(&sizes[sizes.len() * 99 / 100]), "p99");
    assert!((180_000..200_000).contains(&sizes[sizes.len() - 1]), "largest {}", sizes[sizes.len() - 1]);
}

#[test]
fn shares_are_those_of_a_real_catalog() {
    let objects = all(&Synthetic::new(ASSETS, 40));
    let kind = |name: &'static str| move |object: &Value| object["resource"]["type"] == name;
    for (name, low, high) in
        [("dataset", 0.27, 0.33), ("chart", 0.22, 0.28), ("map", 0.11, 0.16), ("calendar", 0.0005, 0.01)]
    {
        let share = share(&objects, kind(name));
        assert!((low..high).contains(&share), "{name}: {share}");
    }
    let named =
        |object: &Value| (object["metadata"]["domain"].to_string(), object["resource"]["name"].to_string());
    let mut names: HashMap<_, u32> = HashMap::new();
    objects.iter().for_each(|object| *names.entry(named(object)).or_default() += 1);
    let shared = share(&objects, |object| names[&named(object)] > 1);
    assert!((0.15..0.25).contains(&shared), "{shared} share their name");
    let null_downloads = share(&objects, |object| object["resource"]["download_count"].is_null());
    assert!((0.03..0.05).contains(&null_downloads), "{null_downloads}");
    let mut domains: Vec<_> =
        Synthetic::new(ASSETS, 40).domains().into_iter().map(|line| line.count).collect();
    domains.sort_unstable();
    assert!(domains[43] > 1_000 && domains[4] < 20 && domains[3] == 0, "{domains:?}");
}

#[test]
fn columns_are_five_lists_of_one_length() {
    let catalog = Synthetic::new(1_000, 5);
    let mut widest = 0;
    for object in all(&catalog) {
        let lists = ["name", "field_name", "datatype", "description", "format"];
        let lengths =
            lists.map(|list| object["resource"][format!("columns_{list}")].as_array().expect("a list").len());
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
        widest = widest.max(lengths[0]);
        assert!(
            object["resource"]["columns_format"].as_array().expect("a list").iter().all(Value::is_object)
        );
    }
    assert_eq!(widest, 669);
}

#[test]
fn absent_is_not_null() {
    let objects = all(&Synthetic::new(ASSETS, 40));
    let absent = |path: &str, name: &str| {
        let parent =
            |object: &Value| object.pointer(path).and_then(Value::as_object).cloned().expect("an object");
        share(&objects, |object| !parent(object).contains_key(name))
    };
    for (path, name, low, high) in [
        ("/resource", "page_views", 0.001, 0.02),
        ("/resource", "attribution_link", 0.01, 0.03),
        ("/resource", "data_updated_at", 0.01, 0.03),
        ("/resource", "provenance", 0.01, 0.04),
        ("/classification", "domain_category", 0.2, 0.3),
        ("/metadata", "license", 0.4, 0.6),
        ("", "creator", 0.4, 0.6),
        ("", "preview_image_url", 0.8, 0.95),
        ("", "published_copy", 0.97, 0.999),
        ("/resource", "description", -0.1, 0.0001),
        ("/classification", "tags", -0.1, 0.0001),
    ] {
        let share = absent(path, name);
        assert!((low..high).contains(&share), "{path}/{name}: {share}");
    }
    let null =
        |name: &str| share(&objects, |object| object["resource"].get(name).is_some_and(Value::is_null));
    assert!(null("attribution") > 0.3 && null("attribution_link") > 0.5 && null("contact_email") > 0.4);
    let undated =
        objects.iter().filter(|object| object["resource"].get("data_updated_at").is_some_and(Value::is_null));
    let kinds: HashSet<_> =
        undated.map(|object| object["resource"]["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, HashSet::from(["href", "map", "file"]));
}

#[test]
fn each_oddity_is_at_its_documented_index() {
    for assets in [100, ASSETS] {
        let catalog = Synthetic::new(assets, 10);
        let resource = |oddity| odd(&catalog, oddity)["resource"].clone();
        let text = |oddity, field: &str| resource(oddity)[field].as_str().expect("a text").to_owned();
        let described = |oddity| text(oddity, "description");
        assert_eq!(text(Oddity::BlankAttribution, "attribution").trim(), "");
        let padded = text(Oddity::PaddedAttribution, "attribution");
        assert!(padded.trim() != padded && !padded.trim().is_empty());
        assert_eq!(text(Oddity::LongAttribution, "attribution").chars().count(), 531);
        assert_eq!(described(Oddity::EmptyDescription), "");
        assert_eq!(described(Oddity::LongestDescription).chars().count(), 4_000);
        assert!(described(Oddity::Html).contains("<br />\r\n"));
        assert!(described(Oddity::ZeroWidthSpace).contains('\u{200b}'));
        assert!(described(Oddity::SoftHyphen).contains('\u{ad}'));
        assert!(described(Oddity::UnitSeparator).contains('\u{1f}'));
        assert!(described(Oddity::C1Controls).contains(['\u{92}', '\u{96}']));
        assert_eq!(
            odd(&catalog, Oddity::ManyTags)["classification"]["domain_tags"].as_array().map(Vec::len),
            Some(559)
        );
        assert_eq!(resource(Oddity::ManyColumns)["columns_name"].as_array().map(Vec::len), Some(669));
        assert_eq!(resource(Oddity::ManyDownloads)["download_count"], 132_179_580);
        assert!(resource(Oddity::NullDownloads)["download_count"].is_null());
        assert!(text(Oddity::PaddedEmail, "contact_email").starts_with(' '));
        assert!(text(Oddity::UrlForEmail, "contact_email").starts_with("https://"));
        assert!(resource(Oddity::NoPageViews).get("page_views").is_none());
        assert!(resource(Oddity::OldShape)["parent_fxf"].is_null());
        assert!(resource(Oddity::OldShape).get("publication_date").is_none());
        assert_eq!(text(Oddity::NewType, "type"), "notebook");
        let own = resource(Oddity::OwnUpdate);
        assert!(own["updatedAt"] != own["data_updated_at"] && own["updatedAt"] != own["metadata_updated_at"]);
    }
}

#[test]
fn a_key_of_the_domains_metadata_may_come_twice() {
    let object = odd(&Synthetic::new(300, 4), Oddity::RepeatedKey);
    let entries = object["classification"]["domain_metadata"].as_array().expect("a list").clone();
    let keys: HashSet<_> = entries.iter().map(|entry| entry["key"].as_str().expect("a key")).collect();
    assert!(keys.len() < entries.len());
}

#[test]
fn agencies_of_several_hosts_share_their_names() {
    let mut hosts: HashMap<String, HashSet<String>> = HashMap::new();
    for object in all(&Synthetic::new(2_000, 20)) {
        if let Some(agency) = object["resource"]["attribution"].as_str() {
            hosts.entry(agency.to_owned()).or_default().insert(object["metadata"]["domain"].to_string());
        }
    }
    assert!(hosts.values().filter(|hosts| hosts.len() > 1).count() >= 5);
    assert!(hosts.len() > 50);
}

#[test]
fn views_and_downloads_move_and_nothing_else_does() {
    let still = |mut object: Value| {
        let resource = object["resource"].as_object_mut().expect("an object");
        let moved = (resource.remove("page_views"), resource.remove("download_count"));
        (object, moved)
    };
    let (before, after) = (Synthetic::new(300, 4), Synthetic::new(300, 4).with_page_views_of(2));
    let mut moved = 0;
    for (before, after) in all(&before).into_iter().zip(all(&after)) {
        let ((before, was), (after, is)) = (still(before), still(after));
        assert_eq!(before, after);
        moved += u32::from(was != is);
    }
    assert!(moved > 290, "{moved} of 300 have moved");
}

#[test]
fn an_edit_changes_a_share_of_the_assets() {
    let (before, after) = (Synthetic::new(1_000, 4), Synthetic::new(1_000, 4).with_edits(0.1, 3));
    let pairs: Vec<_> = before.objects().zip(after.objects()).collect();
    let edited: Vec<_> = pairs.iter().filter(|(before, after)| before != after).collect();
    assert!((60..140).contains(&edited.len()), "{} of 1000", edited.len());
    for (before, after) in edited {
        let (before, after) = (parse(before), parse(after));
        assert!(after["resource"]["description"].as_str().expect("a text").ends_with("(Revision 3)"));
        assert!(before["resource"]["updatedAt"].as_str() < after["resource"]["updatedAt"].as_str());
    }
}
