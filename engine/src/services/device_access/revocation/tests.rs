use super::*;

const GUID: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
const OTHER: &str = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8";

fn device(guid: Option<&str>, hostname: &str) -> DeviceEntry {
    DeviceEntry {
        guid: guid.map(str::to_owned),
        hostname: Some(hostname.to_owned()),
        agent_id: None,
        status: None,
        last_seen: None,
    }
}

fn named(devices: &[DeviceEntry], name: &str) -> Result<String, String> {
    device_named(devices, name)
        .map(|guid| guid.to_string())
        .map_err(|error| match error {
            RevocationError::Ambiguous(devices) => format!("one of {}", devices.len()),
            other => other.to_string(),
        })
}

#[test]
fn every_spelling_of_guid_and_host_name_is_understood() {
    let devices = [
        device(Some(&GUID.to_lowercase()), "WIN-1"),
        device(Some(OTHER), "WIN-2"),
    ];
    for name in [
        "WIN-1",
        "win-1",
        " WIN-1 ",
        GUID,
        "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
        "3f2504e04f8911d39a0c0305e82c3301",
    ] {
        assert_eq!(named(&devices, name).as_deref(), Ok(GUID), "{name}");
    }
    for name in ["", " ", "WIN", "WIN-10", "3F2504E0"] {
        assert_eq!(named(&devices, name), Err("unknown device".to_owned()), "{name}");
    }
}

#[test]
fn what_could_mean_several_devices_is_refused() {
    let devices = [device(Some(GUID), "WIN-1"), device(Some(OTHER), "win-1")];
    assert_eq!(named(&devices, "win-1").as_deref(), Ok(OTHER));
    assert_eq!(named(&devices, "Win-1"), Err("one of 2".to_owned()));
    // A GUID that is no UUID, and a host of that name.
    let devices = [device(Some("HELLO"), "WIN-1"), device(Some(OTHER), "hello")];
    assert_eq!(named(&devices, "hello"), Err("one of 2".to_owned()));
}

#[test]
fn a_host_named_like_another_device_s_guid_does_not_hide_that_device() {
    let devices = [device(Some(OTHER), GUID), device(Some(GUID), "WIN-1")];
    assert_eq!(named(&devices, GUID).as_deref(), Ok(GUID));
}

#[test]
fn rows_of_one_guid_are_one_device_and_a_row_without_has_nothing_to_revoke() {
    let devices = [
        device(Some(&GUID.to_lowercase()), "WIN-1"),
        device(Some(GUID), "win-1"),
        device(None, "SSH-1"),
    ];
    assert_eq!(named(&devices, "Win-1").as_deref(), Ok(GUID));
    assert_eq!(
        named(&devices, "ssh-1"),
        Err("the device never enrolled".to_owned())
    );
}

#[test]
fn only_what_gate_and_refresh_both_refuse_counts_as_revoked() {
    let with = |status: Option<&str>| DeviceEntry {
        status: status.map(str::to_owned),
        ..device(Some(GUID), "WIN-1")
    };
    for status in ["revoked", " Revoked ", "decommissioned"] {
        assert!(is_refused(&with(Some(status))), "{status}");
    }
    for status in [None, Some(""), Some("active"), Some("pending")] {
        assert!(!is_refused(&with(status)), "{status:?}");
    }
}
