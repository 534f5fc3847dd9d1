//! The records of agents in order of registration, found by id, by host and by device. What a change makes of a record's
//! host and device is noted in its place; nothing looks through all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use super::AgentRecord;
use crate::domain::{
    agent_id::{NamedDevice, named_device},
    guid::Guid,
};

/// A record with its id, as it was when it was looked at.
pub type KnownAgent = (Arc<str>, Arc<AgentRecord>);

/// The place of a record in the order of registration.
type Number = u64;

#[derive(Debug, Default)]
pub(super) struct Records {
    next: Number,
    entries: BTreeMap<Number, Entry>,
    by_id: HashMap<Arc<str>, Number>,
    by_host: HashMap<Arc<str>, BTreeSet<Number>>,
    by_device: HashMap<Arc<Guid>, BTreeSet<Number>>,
    /// By the one device that an id names.
    by_named: HashMap<Arc<Guid>, BTreeSet<Number>>,
}

#[derive(Debug)]
struct Entry {
    id: Arc<str>,
    /// Shared with whoever lists it; a change meanwhile is made to a copy.
    record: Arc<AgentRecord>,
    /// Under what it is found; what the record says, after every change.
    host: Option<Arc<str>>,
    device: Option<Arc<Guid>>,
    named: Option<Arc<Guid>>,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&AgentRecord> {
        self.entries.get(self.by_id.get(id)?).map(|entry| &*entry.record)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &AgentRecord)> {
        self.entries.values().map(Entry::shown)
    }

    /// All of them as they are now.
    pub(super) fn snapshot(&self) -> Vec<KnownAgent> {
        let entries = self.entries.values();
        entries
            .map(|entry| (Arc::clone(&entry.id), Arc::clone(&entry.record)))
            .collect()
    }

    /// Those that name exactly this host.
    pub(super) fn of_host(&self, hostname: &str) -> impl Iterator<Item = (&str, &AgentRecord)> {
        self.at(self.by_host.get(hostname)).map(Entry::shown)
    }

    /// Those whose records say that they are this device's.
    pub(super) fn of_device(&self, device: &Guid) -> impl Iterator<Item = (&str, &AgentRecord)> {
        self.at(self.by_device.get(device)).map(Entry::shown)
    }

    /// Those whose ids name this device and no other.
    pub(super) fn naming(&self, device: &Guid) -> impl Iterator<Item = (&str, &AgentRecord)> {
        self.at(self.by_named.get(device)).map(Entry::shown)
    }

    /// The oldest of those whose ids name the device that this id names, where there are `most` of them.
    pub(super) fn oldest_of_full(&self, id: &str, most: usize) -> Option<Arc<str>> {
        let NamedDevice::One(guid) = named_device(id) else {
            return None;
        };
        let numbers = self.by_named.get(&guid).filter(|numbers| numbers.len() >= most)?;
        self.entries
            .get(numbers.first()?)
            .map(|entry| Arc::clone(&entry.id))
    }

    /// The ids of those that name this host.
    pub(super) fn ids_of_host(&self, hostname: &str) -> Vec<Arc<str>> {
        let entries = self.at(self.by_host.get(hostname));
        entries.map(|entry| Arc::clone(&entry.id)).collect()
    }

    /// The ids of those whose records say that they are this device's.
    pub(super) fn ids_of_device(&self, device: &Guid) -> Vec<Arc<str>> {
        let entries = self.at(self.by_device.get(device));
        entries.map(|entry| Arc::clone(&entry.id)).collect()
    }

    fn at<'a>(&'a self, numbers: Option<&'a BTreeSet<Number>>) -> impl Iterator<Item = &'a Entry> {
        let numbers = numbers.into_iter().flatten();
        numbers.filter_map(|number| self.entries.get(number))
    }

    /// Changes a record; `None` where there is none.
    pub(super) fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut AgentRecord) -> T) -> Option<T> {
        let number = *self.by_id.get(id)?;
        self.change_at(number, change)
    }

    /// Changes a record, which is made where there is none.
    pub(super) fn change_or_insert<T>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut AgentRecord) -> T,
    ) -> Option<T> {
        let number = match self.by_id.get(id) {
            Some(number) => *number,
            None => self.insert(id),
        };
        self.change_at(number, change)
    }

    fn insert(&mut self, id: &str) -> Number {
        let number = self.next;
        self.next += 1;
        let named = match named_device(id) {
            NamedDevice::One(guid) => Some(put_in(&mut self.by_named, &guid, number)),
            NamedDevice::None | NamedDevice::Several => None,
        };
        let id: Arc<str> = id.into();
        self.by_id.insert(Arc::clone(&id), number);
        self.entries.insert(
            number,
            Entry {
                id,
                record: Arc::default(),
                host: None,
                device: None,
                named,
            },
        );
        number
    }

    fn change_at<T>(&mut self, number: Number, change: impl FnOnce(&mut AgentRecord) -> T) -> Option<T> {
        let Entry {
            record, host, device, ..
        } = self.entries.get_mut(&number)?;
        let record = Arc::make_mut(record);
        let changed = change(record);
        let hostname = record.hostname.as_deref();
        if host.as_deref() != hostname {
            take_out(&mut self.by_host, host.take(), number);
            *host = hostname.map(|hostname| put_in(&mut self.by_host, hostname, number));
        }
        let guid = record.agent_guid.as_ref();
        if device.as_deref() != guid {
            take_out(&mut self.by_device, device.take(), number);
            *device = guid.map(|guid| put_in(&mut self.by_device, guid, number));
        }
        Some(changed)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<AgentRecord> {
        let number = self.by_id.remove(id)?;
        let entry = self.entries.remove(&number)?;
        take_out(&mut self.by_host, entry.host, number);
        take_out(&mut self.by_device, entry.device, number);
        take_out(&mut self.by_named, entry.named, number);
        Some(Arc::unwrap_or_clone(entry.record))
    }
}

impl Entry {
    fn shown(&self) -> (&str, &AgentRecord) {
        (&self.id, &self.record)
    }
}

/// Notes a number under this key; gives the key as it is kept.
fn put_in<K>(index: &mut HashMap<Arc<K>, BTreeSet<Number>>, key: &K, number: Number) -> Arc<K>
where
    K: Eq + Hash + ToOwned + ?Sized,
    K::Owned: Into<Arc<K>>,
{
    let known = index.get_key_value(key).map(|(known, _)| Arc::clone(known));
    let key = known.unwrap_or_else(|| key.to_owned().into());
    index.entry(Arc::clone(&key)).or_default().insert(number);
    key
}

fn take_out<K>(index: &mut HashMap<Arc<K>, BTreeSet<Number>>, key: Option<Arc<K>>, number: Number)
where
    K: Eq + Hash + ?Sized,
{
    let Some(key) = key else { return };
    if let Some(numbers) = index.get_mut(&*key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(&*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    /// A change, to one of a few agents.
    #[derive(Clone, Debug)]
    enum Change {
        Set {
            id: usize,
            is_made: bool,
            host: Option<usize>,
            device: Option<usize>,
        },
        Remove(usize),
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let set = (
            0..6_usize,
            any::<bool>(),
            option::of(0..3_usize),
            option::of(0..3_usize),
        );
        prop_oneof![
            5 => set.prop_map(|(id, is_made, host, device)| Change::Set { id, is_made, host, device }),
            1 => (0..6_usize).prop_map(Change::Remove),
        ]
    }

    /// Two agents name each device in their ids.
    fn agent(number: usize) -> String {
        format!("H_{}_{number}", guid(number / 2))
    }

    fn guid(number: usize) -> Guid {
        Guid::normalize(&format!("00000000-0000-4000-8000-00000000000{number}")).unwrap()
    }

    proptest! {
        #[test]
        fn every_index_says_what_a_walk_would(changes in vec(any_change(), 0..60)) {
            let mut records = Records::default();
            let mut walked: IndexMap<String, AgentRecord> = IndexMap::new();
            for change in changes {
                match change {
                    Change::Set { id, is_made, host, device } => {
                        let id = agent(id);
                        let set = |record: &mut AgentRecord| {
                            record.hostname = host.map(|host| host.to_string());
                            record.agent_guid = device.map(guid);
                        };
                        if is_made {
                            records.change_or_insert(&id, set);
                            set(walked.entry(id).or_default());
                        } else {
                            let changed = records.change(&id, set);
                            prop_assert_eq!(changed, walked.get_mut(&id).map(set));
                        }
                    }
                    Change::Remove(id) => {
                        let id = agent(id);
                        prop_assert_eq!(records.remove(&id), walked.shift_remove(&id));
                    }
                }
                let all = || walked.iter().map(|(id, record)| (id.as_str(), record));
                prop_assert_eq!(records.len(), walked.len());
                prop_assert!(records.iter().eq(all()));
                for number in 0..6 {
                    let id = agent(number);
                    prop_assert_eq!(records.get(&id), walked.get(&id));
                    prop_assert_eq!(records.contains(&id), walked.contains_key(&id));
                    let host = number.to_string();
                    let of_host = all().filter(|(_, record)| record.hostname.as_ref() == Some(&host));
                    prop_assert!(records.of_host(&host).eq(of_host));
                    let device = guid(number);
                    let of_device = all().filter(|(_, record)| record.agent_guid.as_ref() == Some(&device));
                    prop_assert!(records.of_device(&device).eq(of_device));
                    let naming = all().filter(|(id, _)| named_device(id) == NamedDevice::One(device.clone()));
                    prop_assert!(records.naming(&device).eq(naming));
                }
                // Nothing is left of what is not there any more.
                for index in [&records.by_device, &records.by_named] {
                    prop_assert!(index.values().all(|numbers| !numbers.is_empty()));
                }
                prop_assert!(records.by_host.values().all(|numbers| !numbers.is_empty()));
            }
        }
    }
}
