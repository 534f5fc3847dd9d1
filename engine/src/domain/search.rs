//! What the web client's search box looks for, and what it finds.

use std::ops::ControlFlow;

use super::sites::HostSite;

/// Characters that a search has at least.
pub const SHORTEST_QUERY: usize = 3;

/// What is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SearchField {
    Device(DeviceField),
    Site(SiteField),
}

/// A field of devices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceField {
    Hostname,
    Description,
    LastUser,
    InternalIp,
    ExternalIp,
}

/// A field of sites.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SiteField {
    Name,
    Description,
}

impl SearchField {
    /// The field of this name; `serial_number` is known to the web client, and stored nowhere.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hostname" => Self::Device(DeviceField::Hostname),
            "description" => Self::Device(DeviceField::Description),
            "last_user" => Self::Device(DeviceField::LastUser),
            "internal_ip" => Self::Device(DeviceField::InternalIp),
            "external_ip" => Self::Device(DeviceField::ExternalIp),
            "site_name" => Self::Site(SiteField::Name),
            "site_description" => Self::Site(SiteField::Description),
            _ => return None,
        })
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
    pub fn value(&self, field: DeviceField) -> &str {
        match field {
            DeviceField::Hostname => &self.hostname,
            DeviceField::Description => &self.description,
            DeviceField::LastUser => &self.last_user,
            DeviceField::InternalIp => &self.internal_ip,
            DeviceField::ExternalIp => &self.external_ip,
        }
    }
}

/// What stands in a field of a site.
pub fn site_value(site: &HostSite, field: SiteField) -> &str {
    match field {
        SiteField::Name => &site.name,
        SiteField::Description => &site.description,
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

    /// In lower case what every record that fits holds. `None` where a record counts that does not fit: whether there are
    /// enough is asked after the first one, too (INV-11).
    pub fn needle(&self) -> Option<&str> {
        (self.limit > 0).then_some(&self.needle)
    }

    /// Looks at the next record. Whether there are enough is asked after each, so a limit of 0 looks at the first one
    /// (INV-11).
    pub fn look_at(&mut self, record: T, value: impl FnOnce(&T) -> &str) -> ControlFlow<()> {
        let value = value(&record);
        if value.to_lowercase().contains(&self.needle) {
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
            if search.look_at(value.clone(), |value| value).is_break() {
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
