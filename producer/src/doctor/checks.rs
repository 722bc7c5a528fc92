//! The names of the checks of the API.

/// The first request.
pub(super) const API: &str = "api";
pub(super) const REGION_HEADER: &str = "api_region_header";
pub(super) const CLOCK: &str = "api_clock";
pub(super) const EMPTY_SCROLL: &str = "api_empty_scroll";
pub(super) const LIMIT: &str = "api_limit";
pub(super) const EXCLUSIVE_BOUND: &str = "api_exclusive_bound";
pub(super) const UNKNOWN_ID: &str = "api_unknown_id";
pub(super) const END: &str = "api_end";
pub(super) const WINDOW: &str = "api_window";
pub(super) const ORDER: &str = "api_order";
pub(super) const BAD_LIMIT: &str = "api_bad_limit";
pub(super) const UNKNOWN_DOMAIN: &str = "api_unknown_domain";
pub(super) const UNKNOWN_PARAMETER: &str = "api_unknown_parameter";
pub(super) const DOMAINS: &str = "api_domains";
pub(super) const NEWEST_FIRST: &str = "api_newest_first";
pub(super) const DOMAIN_FILTER: &str = "api_domain_filter";
pub(super) const SPEED: &str = "api_speed";

/// The checks after the first request.
pub(super) const AFTER_FIRST: [&str; 16] = [
    REGION_HEADER,
    CLOCK,
    EMPTY_SCROLL,
    LIMIT,
    EXCLUSIVE_BOUND,
    UNKNOWN_ID,
    END,
    WINDOW,
    ORDER,
    BAD_LIMIT,
    UNKNOWN_DOMAIN,
    UNKNOWN_PARAMETER,
    DOMAINS,
    NEWEST_FIRST,
    DOMAIN_FILTER,
    SPEED,
];
