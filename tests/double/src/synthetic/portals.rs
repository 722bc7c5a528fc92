//! The governments of the synthetic catalog and their portals. They are invented, and their hosts are
//! under `.example`, which RFC 2606 reserves.

use crate::draw::{Aspect, Draw};
use crate::mock_server::Region;

/// One portal: a domain of the catalog.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    /// Its host name.
    pub(super) host: String,
    /// The place, such as `Northport`.
    pub(super) place: &'static str,
    /// The publisher, such as `City of Northport`.
    pub(super) body: String,
    /// The offices that its assets are attributed to.
    pub(super) agencies: Vec<String>,
}

/// Name and spelling in a host name.
type Place = (&'static str, &'static str);

const PLACES_US: [Place; 24] = [
    ("Northport", "northport"),
    ("Cedar Hollow", "cedarhollow"),
    ("Port Avalon", "portavalon"),
    ("Millbrook Falls", "millbrookfalls"),
    ("Granite Bay", "granitebay"),
    ("Eastmere", "eastmere"),
    ("San Tavio", "santavio"),
    ("Lake Corrin", "lakecorrin"),
    ("Fort Ellery", "fortellery"),
    ("Pine Ridge Valley", "pineridgevalley"),
    ("Westhaven", "westhaven"),
    ("Copper Springs", "coppersprings"),
    ("Bellwether", "bellwether"),
    ("Old Harbor", "oldharbor"),
    ("Saint Orrin", "saintorrin"),
    ("Willowmere", "willowmere"),
    ("Red Mesa", "redmesa"),
    ("Ashford Point", "ashfordpoint"),
    ("Sable River", "sableriver"),
    ("Kingsfield", "kingsfield"),
    ("New Lindow", "newlindow"),
    ("Prairie View", "prairieview"),
    ("Tamarack", "tamarack"),
    ("Isla Verona", "islaverona"),
];

const PLACES_EU: [Place; 12] = [
    ("Neuwalden", "neuwalden"),
    ("Saint-Orval", "saint-orval"),
    ("Montérac", "monterac"),
    ("Übersee am Wald", "uebersee-am-wald"),
    ("Villalora", "villalora"),
    ("Castelbruno", "castelbruno"),
    ("Norrholm", "norrholm"),
    ("Sønderby", "soenderby"),
    ("Kilmarra", "kilmarra"),
    ("Oosterdam", "oosterdam"),
    ("Peñaclara", "penaclara"),
    ("Łąkowo", "lakowo"),
];

const HOSTS: [&str; 8] = [
    "data.{}",
    "opendata.{}",
    "{}-county",
    "finance.{}",
    "health.{}",
    "gis.{}",
    "performance.{}",
    "transit.{}",
];

const DEPARTMENTS: [&str; 20] = [
    "Department of Public Works",
    "Police Department",
    "Fire and Rescue",
    "Parks and Recreation",
    "Office of Management and Budget",
    "Department of Health",
    "Planning and Zoning",
    "Water & Sewer Utility",
    "Department of Transportation",
    "Public Library",
    "Housing Authority",
    "Office of the Clerk",
    "Department of Education",
    "Environmental Services",
    "Office of Economic Development",
    "Elections Board",
    "Animal Services",
    "IT Services, \"Open Data\" Team",
    "Office of Emergency Management",
    "Department of Buildings",
];

impl Portal {
    /// The portal with this number. Each number has its own host.
    pub(super) fn new(seed: u64, number: usize, region: Region) -> Self {
        let places: &[Place] = match region {
            Region::Us => &PLACES_US,
            Region::Eu => &PLACES_EU,
        };
        let (place, spelt) = places[number % places.len()];
        let round = number / places.len();
        let host = HOSTS[(round + number) % HOSTS.len()].replace("{}", spelt);
        // From here on, all pairs of a place and a pattern are used.
        let again = round / HOSTS.len();
        let host = if again == 0 { format!("{host}.example") } else { format!("{host}.area{again}.example") };
        let body = body(place, number, region);
        let agencies = agencies(seed, number, &body);
        Self { host, place, body, agencies }
    }
}

fn body(place: &str, number: usize, region: Region) -> String {
    match (region, number % 5) {
        (Region::Us, 3) => format!("{place} County"),
        (Region::Us, 4) => format!("State of {place}"),
        (Region::Us, _) => format!("City of {place}"),
        (Region::Eu, 3) => format!("Région de {place}"),
        (Region::Eu, _) => format!("{place} Municipality"),
    }
}

/// Some offices contain the government's name and some do not, so the same text can mean different
/// offices on different hosts.
fn agencies(seed: u64, number: usize, body: &str) -> Vec<String> {
    let mut draw = Draw::new(seed, number as u64, Aspect::Portal);
    let (first, count) = (draw.index(DEPARTMENTS.len()), draw.within(3, 14));
    let departments = DEPARTMENTS.iter().cycle().skip(first).take(count);
    let named = departments.map(|department| match draw.below(3) {
        0 => (*department).to_owned(),
        1 => format!("{body}, {department}"),
        _ => format!("{body} {department}"),
    });
    std::iter::once(body.to_owned()).chain(named.collect::<Vec<_>>()).collect()
}
