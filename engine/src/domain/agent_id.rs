//! The ids under which agents speak: `<host>_<GUID>_<context>`. Older ones name no device.

use super::guid::Guid;

/// The device that an agent's id names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NamedDevice {
    /// It has no GUID among its parts.
    None,
    /// Exactly one part is a GUID, this one.
    One(Guid),
    /// It could be two devices': it is nobody's.
    Several,
}

/// The device that an id names: one of its `_`-separated parts is a GUID, in any spelling.
pub fn named_device(agent_id: &str) -> NamedDevice {
    let mut guids = agent_id.split('_').filter_map(Guid::uuid);
    match (guids.next(), guids.next()) {
        (None, _) => NamedDevice::None,
        (Some(guid), None) => NamedDevice::One(guid),
        (Some(_), Some(_)) => NamedDevice::Several,
    }
}

/// Whether an id is an agent's of this device and of no other. A device whose GUID is no UUID (an operator may give it
/// any text) is named by that text, where no other device is.
pub fn names_device(agent_id: &str, guid: &Guid) -> bool {
    match named_device(agent_id) {
        NamedDevice::One(named) => named == *guid,
        NamedDevice::Several => false,
        NamedDevice::None => {
            !guid.is_uuid()
                && agent_id
                    .split('_')
                    .filter_map(Guid::normalize)
                    .filter(|part| part == guid)
                    .count()
                    == 1
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const A: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
    const C: &str = "00000000-0000-4000-8000-00000000000C";

    fn guid(text: &str) -> Guid {
        Guid::normalize(text).unwrap()
    }

    #[test]
    fn an_id_with_one_guid_names_that_device() {
        for id in [
            format!("WIN-A_{A}_SYSTEM"),
            format!("WIN_A_{}_CURRENTUSER", A.to_lowercase()),
            format!("X_{{{A}}}_SYSTEM"),
            A.to_owned(),
        ] {
            assert_eq!(named_device(&id), NamedDevice::One(guid(A)), "{id}");
            assert!(
                names_device(&id, &guid(A)) && !names_device(&id, &guid(C)),
                "{id}"
            );
        }
    }

    #[test]
    fn an_id_with_two_guids_names_nobody() {
        let bare = A.replace('-', "").to_lowercase();
        for id in [
            format!("WIN-A_{A}_{C}_SYSTEM"),
            format!("WIN-A_{C}_{A}_SYSTEM"),
            format!("WIN-A_{bare}_{C}_SYSTEM"),
            format!("WIN-A_{{{bare}}}_{C}_SYSTEM"),
            format!("WIN-A_urn:uuid:{bare}_{C}_SYSTEM"),
            format!("WIN-A_{A}_{A}_SYSTEM"),
        ] {
            assert_eq!(named_device(&id), NamedDevice::Several, "{id}");
            assert!(
                !names_device(&id, &guid(A)) && !names_device(&id, &guid(C)),
                "{id}"
            );
        }
    }

    #[test]
    fn an_id_without_a_guid_names_none() {
        // A host may be called after some machine's UUID: that is a part of a name, no GUID.
        for id in ["", "WIN-A_SYSTEM", "agent-svc", &format!("VM-{A}-X_SYSTEM")] {
            assert_eq!(named_device(id), NamedDevice::None, "{id}");
            assert!(!names_device(id, &guid(A)), "{id}");
        }
        let id = format!("HOST-{C}_{A}_SYSTEM");
        assert!(names_device(&id, &guid(A)));
    }

    #[test]
    fn a_guid_that_is_no_uuid_is_named_by_its_text() {
        let hello = guid("hello");
        assert!(names_device("WIN_HELLO_SYSTEM", &hello));
        for id in [
            "WIN_HELLO2_SYSTEM",
            "HELLO_HELLO_SYSTEM",
            &format!("WIN_HELLO_{A}_SYSTEM"),
        ] {
            assert!(!names_device(id, &hello), "{id}");
        }
    }

    proptest! {
        #[test]
        fn no_id_names_two_devices(parts in proptest::collection::vec("[A-Z0-9-]{0,12}|[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-8[0-9A-F]{3}-[0-9A-F]{12}", 0..5), one: [u8; 16], other: [u8; 16]) {
            let id = parts.join("_");
            let (one, other) = (Guid::from_uuid(Uuid::from_bytes(one)), Guid::from_uuid(Uuid::from_bytes(other)));
            for id in [id.clone(), format!("{id}_{one}"), format!("{one}_{id}_{other}")] {
                prop_assert!(one == other || !(names_device(&id, &one) && names_device(&id, &other)));
            }
        }
    }
}
