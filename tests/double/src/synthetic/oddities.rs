//! Unexpected contents of real catalogs. The list comes from 105,269 recorded objects of 2017 to 2025.

/// One oddity. Each occurs on at least one asset of a catalog with as many assets as there are oddities, at a
/// known index. Most also occur elsewhere at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// An attribution of spaces.
    BlankAttribution,
    /// An attribution with white space around it.
    PaddedAttribution,
    /// An attribution of 531 characters.
    LongAttribution,
    /// No description, as an empty string.
    EmptyDescription,
    /// A description of 4,000 characters, the longest that the API accepts.
    LongestDescription,
    /// HTML and CRLF in the description.
    Html,
    /// U+200B in the description.
    ZeroWidthSpace,
    /// U+00AD in the description.
    SoftHyphen,
    /// U+001F in the description, which JSON must escape.
    UnitSeparator,
    /// C1 controls (U+0092, U+0096) in the description: Windows-1252 decoded as Latin-1.
    C1Controls,
    /// A key that occurs twice in `domain_metadata`.
    RepeatedKey,
    /// 559 `domain_tags`.
    ManyTags,
    /// 669 columns, and with them the largest object: some 190 KB.
    ManyColumns,
    /// A `download_count` of 132,179,580.
    ManyDownloads,
    /// A `download_count` that is null.
    NullDownloads,
    /// A contact address with spaces around it.
    PaddedEmail,
    /// A web address instead of the contact's address.
    UrlForEmail,
    /// No `page_views` at all.
    NoPageViews,
    /// An object as the API wrote it in 2017: without most dates, and `parent_fxf` null.
    OldShape,
    /// An unknown type.
    NewType,
    /// `updatedAt` that is not the later of the data's and the metadata's date.
    OwnUpdate,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::BlankAttribution,
        Self::PaddedAttribution,
        Self::LongAttribution,
        Self::EmptyDescription,
        Self::LongestDescription,
        Self::Html,
        Self::ZeroWidthSpace,
        Self::SoftHyphen,
        Self::UnitSeparator,
        Self::C1Controls,
        Self::RepeatedKey,
        Self::ManyTags,
        Self::ManyColumns,
        Self::ManyDownloads,
        Self::NullDownloads,
        Self::PaddedEmail,
        Self::UrlForEmail,
        Self::NoPageViews,
        Self::OldShape,
        Self::NewType,
        Self::OwnUpdate,
    ];

    /// Its fixed index among `assets`. The indexes are spread evenly.
    #[must_use]
    pub fn place(self, assets: u64) -> u64 {
        assets * (2 * (self as u64) + 1) / (2 * Self::ALL.len() as u64)
    }

    /// The oddity whose fixed index is `index`.
    pub(super) fn at(index: u64, assets: u64) -> Option<Self> {
        let slot = index * Self::ALL.len() as u64 / assets.max(1);
        let candidate = Self::ALL.get(usize::try_from(slot).ok()?)?;
        (candidate.place(assets) == index).then_some(*candidate)
    }

    /// Its probability at any other index.
    pub(super) fn share(self) -> f64 {
        match self {
            Self::LongAttribution | Self::LongestDescription | Self::ManyTags => 0.0,
            Self::ManyColumns | Self::ManyDownloads => 0.0,
            Self::EmptyDescription => 0.22,
            Self::Html => 0.08,
            Self::NullDownloads => 0.04,
            Self::OldShape => 0.02,
            Self::PaddedAttribution | Self::OwnUpdate => 0.01,
            Self::BlankAttribution
            | Self::ZeroWidthSpace
            | Self::SoftHyphen
            | Self::UnitSeparator
            | Self::C1Controls
            | Self::RepeatedKey
            | Self::PaddedEmail
            | Self::UrlForEmail
            | Self::NoPageViews
            | Self::NewType => 0.004,
        }
    }
}
