//! The two regions of the Discovery API. Each holds a catalog of its own.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A region of the Discovery API; one producer crawls one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// North America, `api.us.socrata.com`.
    Us,
    /// The rest of the world, `api.eu.socrata.com`.
    Eu,
}

impl Region {
    /// Every region, in the order of its cursor partition.
    pub const ALL: [Self; 2] = [Self::Us, Self::Eu];

    /// The name that keys and headers carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    /// The region of a name, as [`Region::name`] gives it.
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

    /// The partition of the cursors topic that is this region's alone. An open transaction hides what
    /// others committed behind it in the same partition, so no two regions share one.
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
