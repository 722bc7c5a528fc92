//! The types of assets and their properties.

use crate::draw::Draw;

/// A type of asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The value of `resource.type`.
    pub(super) name: &'static str,
    /// The value of `resource.lens_view_type`.
    pub(super) lens: &'static str,
    /// How many of 10,000 assets have this type.
    weight: u64,
    /// How many columns such an asset may have.
    pub(super) most_columns: u64,
    /// Whether it is derived from another asset, which `parent_fxf` names.
    pub(super) derived: bool,
    /// Whether the date of its data may be null.
    pub(super) undated: bool,
}

const fn kind(name: &'static str, lens: &'static str, weight: u64, most_columns: u64) -> Kind {
    Kind { name, lens, weight, most_columns, derived: false, undated: false }
}

const fn derived(name: &'static str, weight: u64, most_columns: u64) -> Kind {
    Kind { derived: true, ..kind(name, "tabular", weight, most_columns) }
}

const fn undated(name: &'static str, lens: &'static str, weight: u64) -> Kind {
    Kind { undated: true, ..kind(name, lens, weight, 0) }
}

/// The types, in about the shares of the North American catalog.
const KINDS: [Kind; 15] = [
    kind("dataset", "tabular", 3_020, 130),
    derived("chart", 2_440, 45),
    derived("filter", 1_520, 130),
    derived("map", 700, 70),
    undated("map", "geo", 630),
    undated("file", "blobby", 380),
    kind("measure", "measure", 340, 0),
    undated("href", "href", 340),
    kind("story", "story", 290, 0),
    derived("datalens", 110, 0),
    kind("federated_href", "href", 90, 0),
    derived("visualization", 70, 0),
    derived("form", 30, 20),
    derived("calendar", 30, 30),
    kind("assessment", "assessment", 10, 0),
];

/// A type that is not documented and that a program must pass through.
const NEW: Kind = kind("notebook", "notebook", 0, 0);

impl Kind {
    pub(super) fn drawn(draw: &mut Draw) -> Self {
        let mut left = draw.below(KINDS.iter().map(|kind| kind.weight).sum());
        for kind in KINDS {
            if left < kind.weight {
                return kind;
            }
            left -= kind.weight;
        }
        KINDS[0]
    }

    /// The type of tables.
    pub(super) fn dataset() -> Self {
        KINDS[0]
    }

    /// A type that is new.
    pub(super) fn unheard_of() -> Self {
        NEW
    }

    /// Whether it has columns.
    pub(super) fn is_tabular(self) -> bool {
        self.most_columns > 0
    }
}
