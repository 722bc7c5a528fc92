//! The two catalogs that the API keeps apart.

/// One of the API's regions. Each has its own catalog, and a header contains the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// North America, `api.us.socrata.com`.
    Us,
    /// The rest of the world, `api.eu.socrata.com`.
    Eu,
}

impl Region {
    /// Its name on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    /// What `X-Socrata-Region` reads for this region, as recorded from the public API.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Us => "aws-us-east-1-fedramp-prod",
            Self::Eu => "aws-eu-west-1-prod",
        }
    }

    /// The other region.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }
}

impl std::str::FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            other => Err(format!("`{other}` is no region; it is `us` or `eu`")),
        }
    }
}
