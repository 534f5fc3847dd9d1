//! The operators' cookies.

use super::reader::Reader;

/// The attributes of both operator cookies: variables `BOREALIS_COOKIE_*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieSettings {
    /// `SameSite`, default `Lax`.
    pub same_site: String,
    /// Whether `Secure` is set; `None` where that is left to the way a request came.
    pub secure: Option<bool>,
    /// `Domain` without a leading dot, default none.
    pub domain: Option<String>,
}

impl CookieSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let same_site = |value: &str| {
            ["Lax", "Strict", "None"]
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(value))
                .map(str::to_owned)
        };
        Self {
            same_site: reader.parsed(
                "BOREALIS_COOKIE_SAMESITE",
                "Lax".to_owned(),
                "Lax, Strict or None",
                same_site,
            ),
            // The legacy takes anything but these three words, also `on`, as off.
            secure: reader
                .text(&["BOREALIS_COOKIE_SECURE"])
                .map(|value| ["1", "true", "yes"].contains(&value.to_ascii_lowercase().as_str())),
            domain: reader
                .text(&["BOREALIS_COOKIE_DOMAIN"])
                // A port is no part of a domain; Werkzeug cuts it off.
                .and_then(|domain| domain.split(':').next())
                .map(|domain| domain.trim_start_matches('.').to_owned())
                .filter(|domain| !domain.is_empty()),
        }
    }
}
