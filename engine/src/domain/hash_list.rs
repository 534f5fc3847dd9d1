//! The list of builds: the `devices` table and the agent registry, merged.

use std::collections::HashMap;

use super::{guid::Guid, text::present};
use crate::domain::agents::{AgentRecord, RegisteredDevice};

/// Where an entry's hash comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HashSource {
    /// The table alone.
    #[default]
    Database,
    /// The registry knows the agent.
    Memory,
}

impl HashSource {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Memory => "memory",
        }
    }
}

/// One device or agent of the list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HashEntry {
    pub agent_id: Option<String>,
    /// The device's GUID, canonical.
    pub agent_guid: Option<String>,
    pub hostname: Option<String>,
    /// The hash of the build.
    pub agent_hash: Option<String>,
    /// Where it comes from.
    pub source: HashSource,
}

impl HashEntry {
    /// Of a row.
    pub fn of_device(device: &RegisteredDevice) -> Self {
        Self {
            agent_id: device.agent_id.as_deref().and_then(present),
            agent_guid: device
                .guid
                .as_deref()
                .and_then(Guid::normalize)
                .map(|guid| guid.as_str().to_owned()),
            hostname: device.hostname.as_deref().and_then(present),
            agent_hash: device.agent_hash.as_deref().and_then(present),
            source: HashSource::Database,
        }
    }

    /// What the registry remembers of the agent with this id.
    pub fn of_agent(agent_id: &str, record: &AgentRecord) -> Self {
        Self {
            agent_id: present(agent_id),
            agent_guid: record.agent_guid.as_ref().map(|guid| guid.as_str().to_owned()),
            hostname: record.hostname.as_deref().and_then(present),
            agent_hash: record.agent_hash.as_deref().and_then(present),
            source: HashSource::Memory,
        }
    }

    /// What the entry is known by, in the order in which it is looked for; letter case does not count.
    fn keys(&self) -> impl Iterator<Item = Key> {
        [
            (KeyKind::AgentId, &self.agent_id),
            (KeyKind::Guid, &self.agent_guid),
            (KeyKind::Hostname, &self.hostname),
        ]
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text.as_ref()?.to_lowercase())))
    }

    fn take_in(&mut self, other: Self) {
        let from_memory = other.source == HashSource::Memory;
        if other.agent_hash.is_some() && (self.agent_hash.is_none() || from_memory) {
            self.agent_hash = other.agent_hash;
        }
        self.agent_id = self.agent_id.take().or(other.agent_id);
        self.agent_guid = self.agent_guid.take().or(other.agent_guid);
        self.hostname = self.hostname.take().or(other.hostname);
        if from_memory {
            self.source = HashSource::Memory;
        }
    }
}

type Key = (KeyKind, String);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum KeyKind {
    AgentId,
    Guid,
    Hostname,
}

/// Brings candidates together, in the order they come: one that shares its agent id, else its GUID, else its host name
/// with an earlier one goes into that entry. Sorted by host name and agent id, entries without one first.
///
/// Agents that have sent no host name are all called `unknown` and so share an entry (DEV-14).
pub fn hash_list(candidates: impl IntoIterator<Item = HashEntry>) -> Vec<HashEntry> {
    let mut entries: Vec<HashEntry> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for candidate in candidates {
        let keys: Vec<_> = candidate.keys().collect();
        let place = keys.iter().find_map(|key| places.get(key)).copied();
        let place = match place.and_then(|place| Some((place, entries.get_mut(place)?))) {
            Some((place, entry)) => {
                entry.take_in(candidate);
                place
            }
            None => {
                entries.push(candidate);
                entries.len() - 1
            }
        };
        places.extend(keys.into_iter().map(|key| (key, place)));
    }
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    entries.sort_by_cached_key(|entry| (lower(&entry.hostname), lower(&entry.agent_id)));
    entries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(agent_id: &str, guid: &str, hostname: &str, hash: &str, source: HashSource) -> HashEntry {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        HashEntry {
            agent_id: text(agent_id),
            agent_guid: text(guid),
            hostname: text(hostname),
            agent_hash: text(hash),
            source,
        }
    }

    use HashSource::{Database, Memory};

    #[test]
    fn memory_wins_and_gaps_are_filled() {
        let list = hash_list([
            entry("", "G", "WIN-2", "old", Database),
            entry("a-1", "", "win-1", "", Database),
            entry("A-1", "", "unknown", "new", Memory),
            entry("b", "g", "other", "newer", Memory),
        ]);
        assert_eq!(
            list,
            [
                entry("a-1", "", "win-1", "new", Memory),
                entry("b", "G", "WIN-2", "newer", Memory),
            ]
        );
    }

    #[test]
    fn blanks_around_names_and_ids_do_not_count() {
        let device = RegisteredDevice {
            agent_id: Some(" a ".to_owned()),
            hostname: Some("\u{1f} WIN-1 ".to_owned()),
            agent_hash: Some(" 1 ".to_owned()),
            ..RegisteredDevice::default()
        };
        let record = |hostname: &str| AgentRecord {
            hostname: Some(hostname.to_owned()),
            ..AgentRecord::default()
        };
        let list = hash_list([
            HashEntry::of_device(&device),
            HashEntry::of_agent("A\n", &record(" other ")),
            HashEntry::of_agent("b", &record("win-1")),
            HashEntry::of_agent("  ", &record("  ")),
        ]);
        assert_eq!(
            list,
            [
                entry("", "", "", "", Memory),
                entry("a", "", "WIN-1", "1", Memory)
            ]
        );
    }

    #[test]
    fn the_table_fills_but_never_replaces_a_hash() {
        let list = hash_list([
            entry("a", "", "", "", Database),
            entry("a", "", "h", "1", Database),
            entry("", "", "H", "2", Database),
        ]);
        assert_eq!(list, [entry("a", "", "h", "1", Database)]);
    }

    #[test]
    fn agents_that_told_no_host_share_an_entry() {
        let list = hash_list([
            entry("z", "", "unknown", "1", Memory),
            entry("y", "", "unknown", "2", Memory),
            entry("c", "", "", "", Memory),
            entry("y", "", "", "3", Memory),
        ]);
        assert_eq!(
            list,
            [
                entry("c", "", "", "", Memory),
                entry("z", "", "unknown", "3", Memory)
            ]
        );
    }

    proptest! {
        #[test]
        fn nobody_is_listed_twice(
            rows in proptest::collection::vec(("[aAb]?", "[gGh]?", "[xXy]?", "[1-3]?", any::<bool>()), 0..20)
        ) {
            let candidates: Vec<_> = rows
                .iter()
                .map(|(id, guid, host, hash, memory)| {
                    entry(id, guid, host, hash, if *memory { Memory } else { Database })
                })
                .collect();
            let list = hash_list(candidates.clone());
            let ids: Vec<_> = list.iter().filter_map(|entry| entry.agent_id.as_deref()).map(str::to_lowercase).collect();
            let mut unique = ids.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), ids.len());
            prop_assert!(list.len() <= candidates.len());
        }
    }
}
