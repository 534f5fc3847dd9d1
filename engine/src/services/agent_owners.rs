//! Which device an agent is on, where the access policy asks.

use super::hosts::HostRules;
use crate::{
    domain::{
        agent_id::{NamedDevice, named_device, names_device},
        guid::Guid,
        host_name::HostKey,
    },
    repositories::{ReadTables, StoreError, UnitOfWork},
    services::device_access::authentication::{AuthenticatedDevice, device_status},
};

/// Whether an agent's id can be of this device: it names it, or names none and is no other device's.
pub(super) async fn agents_device(
    work: &mut dyn UnitOfWork,
    device: &AuthenticatedDevice,
    agent_id: &str,
) -> Result<bool, StoreError> {
    if named_device(agent_id) != NamedDevice::None || names_device(agent_id, &device.guid) {
        return Ok(names_device(agent_id, &device.guid));
    }
    if let Some(owner) = owner(work, agent_id).await? {
        return Ok(owner == device.guid);
    }
    let others = work.guids_with_agent_id(agent_id).await?;
    Ok(others
        .iter()
        .filter_map(|guid| Guid::normalize(guid))
        .all(|guid| guid == device.guid))
}

/// The device that first checked in with this id, while it may come in.
pub(super) async fn owner(tables: &mut dyn ReadTables, agent_id: &str) -> Result<Option<Guid>, StoreError> {
    let Some(owner) = tables
        .account_device(agent_id)
        .await?
        .and_then(|guid| Guid::normalize(&guid))
    else {
        return Ok(None);
    };
    // The record is the engine's alone: the device may have been deleted or revoked since.
    let device = tables.find_device(owner.as_str()).await?;
    let is_there = device.is_some_and(|device| device_status(device.status.as_deref()).is_some());
    Ok(is_there.then_some(owner))
}

/// The device that an account of before was made for: the one in the agent's id, else the one active device whose host
/// name the id begins with.
pub(super) fn first_owner(agent_id: &str, active: &[(Guid, String)]) -> Option<Guid> {
    match named_device(agent_id) {
        NamedDevice::One(guid) => return Some(guid),
        NamedDevice::Several => return None,
        NamedDevice::None => {}
    }
    let mut fitting = active
        .iter()
        .filter(|(guid, hostname)| names_device(agent_id, guid) || begins_with_host(agent_id, hostname));
    match (fitting.next(), fitting.next()) {
        (Some((guid, _)), None) => Some(guid.clone()),
        _ => None,
    }
}

/// Whether an id is of the form `<host>`, `<host>-…` or `<host>_…`; agents write blanks of their host as `-`.
fn begins_with_host(agent_id: &str, hostname: &str) -> bool {
    let host = HostKey::of(hostname);
    let host = host.as_str().replace(' ', "-");
    let id = HostKey::of(agent_id);
    !host.is_empty()
        && id
            .as_str()
            .strip_prefix(&host)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Every active device with a GUID and a host name.
pub(super) async fn active_devices(devices: &mut dyn ReadTables) -> Result<Vec<(Guid, String)>, StoreError> {
    let mut active = Vec::new();
    for device in devices.list_devices().await? {
        if HostRules::is_active(device.status.as_deref())
            && let Some(guid) = device.guid.as_deref().and_then(Guid::normalize)
            && let Some(hostname) = device.hostname
        {
            active.push((guid, hostname));
        }
    }
    Ok(active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_before_goes_to_the_one_device_that_its_id_fits() {
        let guid = |text: &str| Guid::normalize(text).unwrap();
        let (a, b) = (
            "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
            "00000000-0000-4000-8000-000000000002",
        );
        let active = [(guid(a), "WIN-A".to_owned()), (guid(b), "Office PC".to_owned())];
        for (id, owner) in [
            (format!("WIN-A_{b}_SYSTEM"), Some(b)),
            (format!("WIN-A_{a}_{b}_SYSTEM"), None),
            ("win-a-svc".to_owned(), Some(a)),
            ("WIN-A".to_owned(), Some(a)),
            ("OFFICE-PC_SYSTEM".to_owned(), Some(b)),
            ("WIN-AB-svc".to_owned(), None),
            ("agent-7".to_owned(), None),
        ] {
            assert_eq!(first_owner(&id, &active), owner.map(guid), "{id}");
        }
        let twins = [(guid(a), "WIN-A".to_owned()), (guid(b), "win-a".to_owned())];
        assert_eq!(first_owner("WIN-A-svc", &twins), None);
    }
}
