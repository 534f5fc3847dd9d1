//! Which device a host name is, and which names a device may take.

use std::collections::HashMap;

use crate::{
    config::settings::AccessPolicy,
    domain::{
        devices::NamedDevice,
        guid::Guid,
        host_name::{self, HostKey, LONGEST},
        work_devices::BoundTo,
    },
    repositories::{ReadTables, StoreError},
    services::device_access::authentication::{DeviceStatus, device_status},
};

/// A device may not be called so.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no name for a device")]
pub struct InvalidHostname;

/// The device that a host name is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostDevice {
    /// Its GUID; `None` where no device has the name, or one that never enrolled.
    pub guid: Option<Guid>,
    /// Whether it gets no work.
    pub is_quarantined: bool,
}

impl HostDevice {
    /// For whom work on this host is.
    pub fn binding(&self) -> BoundTo {
        BoundTo::of(self.guid.clone())
    }
}

/// The names that devices have, as one change or one list sees them.
#[derive(Debug)]
pub struct HostNames {
    rules: HostRules,
    /// All of them, once no index could be asked.
    all: Option<HashMap<HostKey, Vec<String>>>,
}

impl HostNames {
    /// The names that are this one, the one that is it letter by letter first.
    pub async fn of(&mut self, devices: &mut dyn ReadTables, name: &str) -> Result<Vec<String>, StoreError> {
        if !self.rules.is_strict() {
            let named = devices.device_named(name).await?;
            return Ok(named.map(|device| device.hostname).into_iter().collect());
        }
        let key = HostKey::of(name);
        let mut same = match &self.all {
            Some(all) => all.get(&key).cloned().unwrap_or_default(),
            None => match devices.host_names_with(&key).await? {
                Some(names) => names,
                None => {
                    let mut all: HashMap<_, Vec<_>> = HashMap::new();
                    for name in devices.host_names().await? {
                        all.entry(HostKey::of(&name)).or_default().push(name);
                    }
                    let all = self.all.insert(all);
                    all.get(&key).cloned().unwrap_or_default()
                }
            },
        };
        same.sort_by_key(|other| other != name);
        Ok(same)
    }

    /// A name with a number behind it, 0 for none, which is no longer than a device's name may be.
    pub fn with_suffix(&self, base: &str, number: usize) -> String {
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        let room = if self.rules.is_strict() {
            LONGEST - suffix.len().min(LONGEST)
        } else {
            usize::MAX
        };
        base.chars().take(room).chain(suffix.chars()).collect()
    }
}

/// Everything is checked.
pub(crate) const STRICT: HostRules = HostRules {
    policy: AccessPolicy::Strict,
};

/// What the access policy makes of host names. Under `legacy`, names are what their letters are, any text is one, and
/// nobody is quarantined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostRules {
    policy: AccessPolicy,
}

impl HostRules {
    pub fn new(policy: AccessPolicy) -> Self {
        Self { policy }
    }

    /// Whether anything is checked at all.
    pub fn is_strict(self) -> bool {
        self.policy == AccessPolicy::Strict
    }

    /// Whether a device may come to be called so.
    ///
    /// # Errors
    /// It may not.
    pub fn check_new(self, name: &str) -> Result<(), InvalidHostname> {
        if self.is_strict() && !host_name::is_allowed(name) {
            return Err(InvalidHostname);
        }
        Ok(())
    }

    /// The devices that have this host name, the one that has it letter by letter first.
    pub async fn holders(
        self,
        devices: &mut dyn ReadTables,
        name: &str,
    ) -> Result<Vec<NamedDevice>, StoreError> {
        let mut holders = Vec::new();
        for name in self.names().of(devices, name).await? {
            holders.extend(devices.device_named(&name).await?);
        }
        Ok(holders)
    }

    /// Whether a device other than the one stored as `stored_guid` has this host name.
    pub async fn is_taken(
        self,
        devices: &mut dyn ReadTables,
        name: &str,
        stored_guid: Option<&str>,
    ) -> Result<bool, StoreError> {
        let is_other = |holder: &NamedDevice| stored_guid.is_none() || holder.guid.as_deref() != stored_guid;
        // Found in the index as a rule: who wants another's name wants it letter by letter.
        if let Some(holder) = devices.device_named(name).await?
            && is_other(&holder)
        {
            return Ok(true);
        }
        Ok(self.holders(devices, name).await?.iter().any(is_other))
    }

    /// The names that devices have.
    pub fn names(self) -> HostNames {
        HostNames {
            rules: self,
            all: None,
        }
    }

    /// The device that this host is.
    pub async fn device(self, devices: &mut dyn ReadTables, host: &str) -> Result<HostDevice, StoreError> {
        let found = self.devices(devices, &[host]).await?;
        Ok(found.into_values().next().unwrap_or_default())
    }

    /// The devices that these hosts are. A name is the device's that has it letter by letter, else the only one's that
    /// has it but for letter case and blanks.
    pub async fn devices(
        self,
        devices: &mut dyn ReadTables,
        hosts: &[&str],
    ) -> Result<HashMap<String, HostDevice>, StoreError> {
        let mut found = HashMap::new();
        // Targets are often meant in another letter case, under whatever policy.
        let mut names = STRICT.names();
        for &host in hosts {
            if found.contains_key(host) {
                continue;
            }
            let mut device = devices.device_named(host).await?;
            if device.is_none()
                && let [name] = names.of(devices, host).await?.as_slice()
            {
                device = devices.device_named(name).await?;
            }
            let device = device.map(|device| self.host_device(&device)).unwrap_or_default();
            found.insert(host.to_owned(), device);
        }
        Ok(found)
    }

    /// The device that begun work is for: the one that had its host's name then. Work that the engine did not begin is
    /// for the device that has it now.
    pub async fn recipient(
        self,
        tables: &mut dyn ReadTables,
        activity_id: i64,
        host: &str,
    ) -> Result<HostDevice, StoreError> {
        match tables.device_of_activity(activity_id).await? {
            None => self.device(tables, host).await,
            Some(BoundTo::Nobody) => Ok(HostDevice::default()),
            Some(BoundTo::Device(guid)) => {
                let status = tables
                    .find_device(guid.as_str())
                    .await?
                    .and_then(|device| device.status);
                Ok(HostDevice {
                    is_quarantined: self.is_quarantined(status.as_deref()),
                    guid: Some(guid),
                })
            }
        }
    }

    /// Whether this device may report on work that was begun for `bound`. Work that the engine did not begin is the
    /// device's that has the host's name now.
    pub async fn may_report(
        self,
        devices: &mut dyn ReadTables,
        guid: &Guid,
        bound: Option<&BoundTo>,
        host: Option<&str>,
    ) -> Result<bool, StoreError> {
        Ok(match (bound, host) {
            (Some(bound), _) => bound.device() == Some(guid),
            (None, Some(host)) => self.device(devices, host).await?.guid.as_ref() == Some(guid),
            (None, None) => false,
        })
    }

    fn host_device(self, device: &NamedDevice) -> HostDevice {
        HostDevice {
            guid: device.guid.as_deref().and_then(Guid::normalize),
            is_quarantined: self.is_quarantined(device.status.as_deref()),
        }
    }

    /// Whether a device of this status may do everything.
    pub(super) fn is_active(status: Option<&str>) -> bool {
        device_status(status) == Some(DeviceStatus::Active)
    }

    fn is_quarantined(self, status: Option<&str>) -> bool {
        self.is_strict() && device_status(status) == Some(DeviceStatus::Quarantined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Ground;

    const LEGACY: HostRules = HostRules {
        policy: AccessPolicy::Legacy,
    };

    #[tokio::test]
    async fn a_name_is_taken_whatever_its_letter_case_under_strict_alone() {
        let rows = "INSERT INTO devices (guid, hostname) VALUES ('A', 'WIN-\u{c9}'), (NULL, 'remote')";
        let ground = Ground::with(rows).await;
        let mut view = ground.store().view().await.unwrap();
        for (name, strict, legacy) in [
            ("WIN-\u{c9}", true, true),
            ("win-\u{e9}", true, false),
            (" WIN-\u{c9}", true, false),
            ("REMOTE", true, false),
            ("WIN-E", false, false),
        ] {
            assert_eq!(
                STRICT.is_taken(&mut *view, name, Some("B")).await.unwrap(),
                strict,
                "{name}"
            );
            assert_eq!(
                LEGACY.is_taken(&mut *view, name, Some("B")).await.unwrap(),
                legacy,
                "{name}"
            );
            // Its own name, in whatever case.
            let own = STRICT.is_taken(&mut *view, name, Some("A")).await.unwrap();
            assert_eq!(own, name == "REMOTE", "{name}");
        }
    }

    #[tokio::test]
    async fn a_host_is_the_device_that_has_its_name_and_of_two_the_one_that_has_it_letter_by_letter() {
        let rows = "INSERT INTO devices (guid, hostname, status) VALUES ('A', 'WIN-A', 'active'), \
                    ('B', 'win-a', 'active'), ('C', 'WIN-C', ' Quarantined '), (NULL, 'remote', NULL)";
        let ground = Ground::with(rows).await;
        let mut view = ground.store().view().await.unwrap();
        for (host, guid, is_quarantined) in [
            ("WIN-A", Some("A"), false),
            ("win-a", Some("B"), false),
            ("Win-A", None, false),
            ("win-c ", Some("C"), true),
            ("remote", None, false),
            ("nobody", None, false),
        ] {
            let device = STRICT.device(&mut *view, host).await.unwrap();
            assert_eq!(device.guid.as_ref().map(Guid::as_str), guid, "{host}");
            assert_eq!(device.is_quarantined, is_quarantined, "{host}");
        }
        assert!(!LEGACY.device(&mut *view, "WIN-C").await.unwrap().is_quarantined);
    }
}
