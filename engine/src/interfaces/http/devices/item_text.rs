//! The text of a device in a list: what [`DeviceItem`](super::DeviceItem) says, without a tree of values between the row
//! and the text. A list holds every device's inventory twice, and nearly all of its time went into those trees.

use std::{fmt::Write as _, ops::Range};

use super::status_word;
use crate::{
    domain::{
        device_document::{DeviceRow, DeviceSnapshot, push_list, push_object},
        json_text::push_compact_string,
        timestamp::iso_of_seconds,
    },
    services::devices::ListedDevice,
};

/// Appends a device. Members come in the order in which answers have them, so what stands here is sorted.
pub(super) fn push_item(text: &mut String, device: ListedDevice) {
    let status = status_word(&device);
    let mut row = device.entry.row;
    let inventory = DeviceRow {
        memory: row.memory.take(),
        network: row.network.take(),
        software: row.software.take(),
        storage: row.storage.take(),
        cpu: row.cpu.take(),
        ..DeviceRow::default()
    };
    let shown = DeviceSnapshot::from(&row);
    let site = device.entry.site.as_ref();

    let mut item = Members::open(text);
    item.text("agent_guid", &shown.guid);
    item.text("agent_hash", &shown.agent_hash);
    item.text("agent_id", &shown.agent_id);
    item.text("connection_endpoint", &shown.connection_endpoint);
    item.text("connection_type", &shown.connection_type);
    let cpu = item.written("cpu", |text| push_object(text, inventory.cpu.as_deref()));
    item.integer("created_at", shown.created_at);
    item.text("created_at_iso", &iso_of_seconds(shown.created_at));
    item.text("description", &shown.description);
    let mut details = item.object("details");
    details.again("cpu", cpu);
    let memory = details.written("memory", |text| push_list(text, inventory.memory.as_deref()));
    let network = details.written("network", |text| push_list(text, inventory.network.as_deref()));
    let software = details.written("software", |text| push_list(text, inventory.software.as_deref()));
    let storage = details.written("storage", |text| push_list(text, inventory.storage.as_deref()));
    let summary = details.written("summary", |text| push_summary(text, &shown));
    details.close();
    item.text("device_type", &shown.device_type);
    item.text("domain", &shown.domain);
    item.text("external_ip", &shown.external_ip);
    item.text("guid", &shown.guid);
    item.text("hostname", &shown.hostname);
    item.text("internal_ip", &shown.internal_ip);
    item.text("last_reboot", &shown.last_reboot);
    item.integer("last_seen", shown.last_seen);
    item.text("last_seen_iso", &iso_of_seconds(shown.last_seen));
    item.text("last_user", &shown.last_user);
    item.again("memory", memory);
    item.again("network", network);
    item.text("operating_system", &shown.operating_system);
    item.text(
        "site_description",
        site.map_or("", |site| site.description.as_str()),
    );
    match site {
        Some(site) => item.integer("site_id", site.id),
        None => item.null("site_id"),
    }
    item.text("site_name", site.map_or("", |site| site.name.as_str()));
    item.again("software", software);
    item.text("status", status);
    item.again("storage", storage);
    item.again("summary", summary);
    item.integer("uptime", shown.uptime);
    item.close();
}

fn push_summary(text: &mut String, shown: &DeviceSnapshot) {
    let mut summary = Members::open(text);
    summary.text("agent_guid", &shown.guid);
    summary.text("agent_hash", &shown.agent_hash);
    summary.text("agent_id", &shown.agent_id);
    summary.text("ansible_ee_ver", &shown.ansible_ee_ver);
    summary.text("connection_endpoint", &shown.connection_endpoint);
    summary.text("connection_type", &shown.connection_type);
    summary.text("created", &shown.created());
    summary.integer("created_at", shown.created_at);
    summary.text("description", &shown.description);
    summary.text("device_type", &shown.device_type);
    summary.text("domain", &shown.domain);
    summary.text("external_ip", &shown.external_ip);
    summary.text("hostname", &shown.hostname);
    summary.text("internal_ip", &shown.internal_ip);
    summary.text("last_reboot", &shown.last_reboot);
    summary.integer("last_seen", shown.last_seen);
    summary.text("last_user", &shown.last_user);
    summary.text("operating_system", &shown.operating_system);
    summary.integer("uptime", shown.uptime);
    summary.integer("uptime_sec", shown.uptime);
    summary.close();
}

/// An object whose end has not come yet. Its names are written as they are.
struct Members<'a> {
    text: &'a mut String,
    is_first: bool,
}

impl<'a> Members<'a> {
    fn open(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, is_first: true }
    }

    fn name(&mut self, name: &'static str) {
        if !self.is_first {
            self.text.push(',');
        }
        self.is_first = false;
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        push_compact_string(self.text, value);
    }

    fn integer(&mut self, name: &'static str, value: i64) {
        self.name(name);
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{value}");
    }

    fn null(&mut self, name: &'static str) {
        self.name(name);
        self.text.push_str("null");
    }

    fn object(&mut self, name: &'static str) -> Members<'_> {
        self.name(name);
        Members::open(self.text)
    }

    /// Whatever is appended; where in the text it stands.
    fn written(&mut self, name: &'static str, push: impl FnOnce(&mut String)) -> Range<usize> {
        self.name(name);
        let begin = self.text.len();
        push(self.text);
        begin..self.text.len()
    }

    /// The same once more.
    fn again(&mut self, name: &'static str, written: Range<usize>) {
        self.name(name);
        self.text.extend_from_within(written);
    }

    fn close(self) {
        self.text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{
            arbitrary::any_json, devices::InventoryEntry, json::Json, json_text::column_text, sites::HostSite,
        },
        interfaces::http::{compat::json_writer::write, devices::DeviceItem},
    };

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(prop_oneof![any::<String>(), "[ a-z]{0,6}"])
    }

    fn number() -> impl Strategy<Value = Option<i64>> {
        proptest::option::of(prop_oneof![any::<i64>(), -5..2_000_000_000_i64])
    }

    fn column() -> impl Strategy<Value = Option<String>> {
        let stored = prop_oneof![
            any::<String>(),
            any_json().prop_map(|value| column_text(&value)),
            proptest::collection::vec(any_json(), 0..3).prop_map(|items| column_text(&Json::List(items))),
        ];
        proptest::option::of(stored)
    }

    prop_compose! {
        fn device()(
            columns in [column(), column(), column(), column(), column()],
            texts in proptest::collection::vec(text(), 15),
            numbers in [number(), number(), number()],
            site in proptest::option::of((any::<i64>(), any::<String>(), any::<String>())),
            is_online in any::<bool>(),
        ) -> ListedDevice {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            let [memory, network, software, storage, cpu] = columns;
            let [created_at, last_seen, uptime] = numbers;
            let row = DeviceRow {
                guid: text(),
                hostname: text(),
                description: text(),
                created_at,
                agent_hash: text(),
                memory,
                network,
                software,
                storage,
                cpu,
                device_type: text(),
                domain: text(),
                external_ip: text(),
                internal_ip: text(),
                last_reboot: text(),
                last_seen,
                last_user: text(),
                operating_system: text(),
                uptime,
                agent_id: text(),
                ansible_ee_ver: text(),
                connection_type: text(),
                connection_endpoint: text(),
            };
            let site = site.map(|(id, name, description)| HostSite { id, name, description });
            ListedDevice { entry: InventoryEntry { row, site }, is_online }
        }
    }

    proptest! {
        #[test]
        fn a_listed_device_reads_as_a_single_one(device in device()) {
            let mut text = String::from("[");
            push_item(&mut text, device.clone());
            prop_assert_eq!(text.split_off(1), write(&Json::of(&DeviceItem::from(device))));
        }
    }
}
