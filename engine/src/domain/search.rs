//! What the web client's search box looks for, and what it finds.

use std::ops::ControlFlow;

use super::sites::HostSite;

/// Characters that a search has at least.
pub const SHORTEST_QUERY: usize = 3;

/// What is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SearchField {
    Hostname,
    Description,
    LastUser,
    InternalIp,
    ExternalIp,
    SiteName,
    SiteDescription,
}

impl SearchField {
    /// The field of this name; `serial_number` is known to the web client, and stored nowhere.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hostname" => Self::Hostname,
            "description" => Self::Description,
            "last_user" => Self::LastUser,
            "internal_ip" => Self::InternalIp,
            "external_ip" => Self::ExternalIp,
            "site_name" => Self::SiteName,
            "site_description" => Self::SiteDescription,
            _ => return None,
        })
    }

    /// Whether it is a field of sites, and not of devices.
    pub fn is_of_sites(self) -> bool {
        matches!(self, Self::SiteName | Self::SiteDescription)
    }
}

/// A device as far as the search looks at it and shows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SearchedDevice {
    pub hostname: String,
    pub description: String,
    pub last_user: String,
    pub internal_ip: String,
    pub external_ip: String,
    pub site: Option<HostSite>,
}

impl SearchedDevice {
    /// What stands in a field.
    pub fn value(&self, field: SearchField) -> Option<&str> {
        match field {
            SearchField::Hostname => Some(&self.hostname),
            SearchField::Description => Some(&self.description),
            SearchField::LastUser => Some(&self.last_user),
            SearchField::InternalIp => Some(&self.internal_ip),
            SearchField::ExternalIp => Some(&self.external_ip),
            SearchField::SiteName | SearchField::SiteDescription => None,
        }
    }
}

/// What stands in a field of a site.
pub fn site_value(site: &HostSite, field: SearchField) -> Option<&str> {
    match field {
        SearchField::SiteName => Some(&site.name),
        SearchField::SiteDescription => Some(&site.description),
        _ => None,
    }
}

/// Collects what fits, in the order in which it is looked at.
#[derive(Clone, Debug)]
pub struct Search<T> {
    needle: String,
    limit: i128,
    /// What was found, and the value that fits.
    pub found: Vec<(T, String)>,
}

impl<T> Search<T> {
    /// Looks for `text` whatever the letter case, until there are `limit`.
    pub fn new(text: &str, limit: i128) -> Self {
        Self {
            needle: text.to_lowercase(),
            limit,
            found: Vec::new(),
        }
    }

    /// Looks at the next record. Whether there are enough is asked after each, so a limit of 0 looks at the first one
    /// (INV-11).
    pub fn look_at(&mut self, record: T, value: impl FnOnce(&T) -> Option<&str>) -> ControlFlow<()> {
        if let Some(value) = value(&record)
            && value.to_lowercase().contains(&self.needle)
        {
            let value = value.to_owned();
            self.found.push((record, value));
        }
        if i128::try_from(self.found.len()).is_ok_and(|found| found >= self.limit) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(values: &[String], text: &str, limit: i128) -> Vec<String> {
        let mut search = Search::new(text, limit);
        for value in values {
            if search.look_at(value.clone(), |value| Some(value)).is_break() {
                break;
            }
        }
        search.found.into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn letter_case_does_not_count_in_any_script_and_signs_stand_for_themselves() {
        let values = [
            "CAF\u{c9} 100%".to_owned(),
            "cafe".to_owned(),
            "x_y\\z".to_owned(),
        ];
        assert_eq!(found(&values, "caf\u{e9}", 5), values[..1]);
        assert_eq!(found(&values, "0%", 5), values[..1]);
        assert_eq!(found(&values, "_Y\\", 5), values[2..]);
        assert_eq!(found(&values, "c%e", 5), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn what_is_found_fits_and_comes_in_order(
            values in proptest::collection::vec("[abAB\u{e9}\u{c9}]{0,4}", 0..8), text in "[abAB\u{e9}]{0,2}", limit in -2i128..10,
        ) {
            let found = found(&values, &text, limit);
            let fitting: Vec<_> =
                values.iter().filter(|value| value.to_lowercase().contains(&text.to_lowercase())).collect();
            prop_assert!(fitting.iter().copied().take(found.len()).eq(found.iter()));
            if limit > 0 {
                prop_assert_eq!(found.len(), fitting.len().min(usize::try_from(limit).unwrap()));
            } else {
                // The first record alone is looked at.
                let is_first = values.first().is_some_and(|value| fitting.first() == Some(&value));
                prop_assert_eq!(found.len(), usize::from(is_first));
            }
        }
    }
}
