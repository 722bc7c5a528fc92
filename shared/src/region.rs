//! The two regions of the Discovery API, each with its own catalog.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A region of the Discovery API. One producer crawls one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// North America, `api.us.socrata.com`.
    Us,
    /// The rest of the world, `api.eu.socrata.com`.
    Eu,
}

impl Region {
    /// All regions, in the order of their cursor partitions.
    pub const ALL: [Self; 2] = [Self::Us, Self::Eu];

    /// The name in keys and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    /// The region with this [`Region::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// The catalog's public URL.
    #[must_use]
    pub const fn api_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.us.socrata.com/api/catalog/v1",
            Self::Eu => "https://api.eu.socrata.com/api/catalog/v1",
        }
    }

    /// The partition of the cursors topic. No two regions share one, because an open transaction hides records that were
    /// committed after it in the same partition.
    #[must_use]
    pub const fn cursor_partition(self) -> i32 {
        match self {
            Self::Us => 0,
            Self::Eu => 1,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
