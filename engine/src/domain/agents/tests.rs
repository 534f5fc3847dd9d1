//! Long because it is a list of stories.

use super::*;
use crate::domain::guid::Guid;

use crate::testkit::START as NOW;

fn connect(registry: &mut AgentRegistry, id: &str, mode: ServiceMode) -> Option<Sighting> {
    let event = ConnectAgent {
        agent_id: id.to_owned(),
        mode,
    };
    registry.connect(&event, NOW)
}

fn heartbeat_of(id: &str, host: &str, mode: ServiceMode) -> AgentHeartbeat {
    AgentHeartbeat {
        agent_id: id.to_owned(),
        hostname: Some(host.to_owned()).filter(|host| !host.is_empty()),
        operating_system: None,
        last_seen: LastSeen::At(7),
        mode,
    }
}

fn beat(registry: &mut AgentRegistry, id: &str, host: &str, mode: ServiceMode) -> HeartbeatOutcome {
    registry.heartbeat(&heartbeat_of(id, host, mode), None, NOW)
}

fn seen(host: &str, id: &str, last_seen: i128) -> Sighting {
    Sighting {
        hostname: host.to_owned(),
        agent_id: id.to_owned(),
        last_seen,
    }
}

fn roles(name: &str) -> Json {
    Json::list([name])
}

#[test]
fn modes_are_read_from_words_then_from_the_id() {
    let mode = |word: &str, id| ServiceMode::read(Some(&word.into()), id);
    for word in ["system", " SVC\n", "service", "System_Service"] {
        assert_eq!(mode(word, "a"), ServiceMode::System, "{word:?}");
    }
    for word in ["interactive", "currentuser", "user", "current_user", "bogus", ""] {
        assert_eq!(mode(word, "a"), ServiceMode::CurrentUser, "{word:?}");
    }
    for id in ["a-SVC", "a-svc-1"] {
        assert_eq!(mode(" ", id), ServiceMode::System);
        assert_eq!(ServiceMode::read(Some(&5.into()), id), ServiceMode::System);
        assert_eq!(mode("bogus", id), ServiceMode::CurrentUser);
    }
    assert_eq!(ServiceMode::read(None, "a-svcx"), ServiceMode::CurrentUser);
}

#[test]
fn an_announced_agent_is_stored_only_once_its_host_is_known() {
    let mut registry = AgentRegistry::default();
    assert_eq!(connect(&mut registry, "A", ServiceMode::System), None);
    let record = registry.get("A").unwrap();
    assert_eq!(record.hostname.as_deref(), Some("unknown"));
    assert_eq!(record.operating_system, Some("-".into()));
    assert_eq!(record.last_seen, Some(NOW.into()));
    assert_eq!(record.status, Some(AgentStatus::Orphaned));
    assert_eq!(
        beat(&mut registry, "A", "H", ServiceMode::System),
        HeartbeatOutcome::Taken(Some(seen("H", "A", 7)))
    );
    assert_eq!(
        connect(&mut registry, "A", ServiceMode::System),
        Some(seen("H", "A", NOW.into()))
    );
    for unknown in ["", " UnKnown "] {
        let outcome = beat(&mut registry, "B", unknown, ServiceMode::System);
        assert_eq!(outcome, HeartbeatOutcome::Taken(None), "{unknown:?}");
    }
}

#[test]
fn a_newcomer_takes_place_and_first_configuration_of_its_host_and_mode() {
    let mut registry = AgentRegistry::default();
    beat(&mut registry, "user", "H", ServiceMode::CurrentUser);
    beat(&mut registry, "one", "H", ServiceMode::System);
    // Two of one host and mode, as only a details route or another spelling leaves them.
    let rename = |name: &str| {
        let name = Some(name.to_owned());
        move |record: &mut AgentRecord| record.hostname = name
    };
    registry.records.change("one", rename("X"));
    beat(&mut registry, "two", "H", ServiceMode::System);
    registry.records.change("one", rename("H"));
    registry.provision("one", roles("first"));
    registry.provision("two", roles("second"));
    beat(&mut registry, "new", "H", ServiceMode::System);
    assert!(registry.get("one").is_none() && registry.get("two").is_none());
    assert!(registry.get("user").is_some());
    assert_eq!(registry.configuration("new"), Some(&roles("first")));
    assert_eq!(registry.configuration("two"), None);
    assert_eq!(
        registry.get("new").unwrap().status,
        Some(AgentStatus::Provisioned)
    );
}

#[test]
fn a_configured_newcomer_keeps_its_own_configuration() {
    let mut registry = AgentRegistry::default();
    beat(&mut registry, "old", "H", ServiceMode::System);
    registry.provision("old", roles("old"));
    registry.provision("new", roles("new"));
    beat(&mut registry, "new", "H", ServiceMode::System);
    assert_eq!(registry.configuration("new"), Some(&roles("new")));
    assert_eq!(registry.configuration("old"), None);
}

#[test]
fn a_script_helper_yields_to_the_main_agent() {
    let mut registry = AgentRegistry::default();
    beat(&mut registry, "main", "H", ServiceMode::System);
    assert_eq!(
        beat(&mut registry, "h-SCRIPT", "H", ServiceMode::System),
        HeartbeatOutcome::Taken(Some(seen("H", "main", 7)))
    );
    // It yields whatever time it sends; one that cannot be read is not stored.
    let event = AgentHeartbeat {
        last_seen: LastSeen::Unreadable,
        ..heartbeat_of("h-script", "H", ServiceMode::System)
    };
    assert_eq!(
        registry.heartbeat(&event, None, NOW),
        HeartbeatOutcome::Taken(None)
    );
    assert!(registry.get("h-SCRIPT").is_none());
    assert!(registry.get("h-script").is_none());
    beat(&mut registry, "a-script", "H2", ServiceMode::System);
    beat(&mut registry, "b-script", "H2", ServiceMode::System);
    assert!(registry.get("a-script").is_none());
    assert_eq!(registry.get("b-script").unwrap().is_script_agent, Some(true));
}

#[test]
fn an_unreadable_last_seen_leaves_a_half_written_record() {
    let mut registry = AgentRegistry::default();
    beat(&mut registry, "old", "H", ServiceMode::System);
    let mut event = heartbeat_of("new", "H", ServiceMode::System);
    event.last_seen = LastSeen::Unreadable;
    assert_eq!(registry.heartbeat(&event, None, NOW), HeartbeatOutcome::Failed);
    assert!(registry.get("old").is_none());
    let half = AgentRecord {
        announced: true,
        hostname: Some("H".to_owned()),
        ..AgentRecord::default()
    };
    assert_eq!(registry.get("new"), Some(&half));
}

#[test]
fn a_device_is_offline_until_it_announces_itself() {
    let device = |agent_id: &str, host: &str| RegisteredDevice {
        agent_id: Some(agent_id.to_owned()),
        hostname: Some(host.to_owned()),
        guid: Some("{3f2504e0-4f89-11d3-9a0c-0305e82c3301}".to_owned()),
        ..RegisteredDevice::default()
    };
    let mut registry = AgentRegistry::from_devices([device("A", "H"), device(" ", "H2")], false);
    assert_eq!(
        registry.records().map(|(id, _)| id).collect::<Vec<_>>(),
        ["A", "H2"]
    );
    let one = listed(&registry, 0.0, "A").record;
    assert_eq!(one.status, Some(AgentStatus::Offline));
    assert_eq!(one.device_type.as_deref(), Some(""));
    assert_eq!(one.last_seen, Some(0));
    let guid = one.agent_guid.as_ref().map(|guid| guid.to_string());
    assert_eq!(guid.as_deref(), Some("3F2504E0-4F89-11D3-9A0C-0305E82C3301"));
    assert_eq!(one.agent_hash, None);
    beat(&mut registry, "A", "", ServiceMode::System);
    assert_eq!(registry.get("A").unwrap().status, Some(AgentStatus::Offline));
    connect(&mut registry, "A", ServiceMode::System);
    assert_eq!(registry.get("A").unwrap().status, Some(AgentStatus::Orphaned));
}

#[test]
fn every_row_is_an_agent_at_start_and_its_columns_are_trimmed() {
    let device = |agent_id: Option<&str>, host: Option<&str>| RegisteredDevice {
        agent_id: agent_id.map(str::to_owned),
        hostname: host.map(str::to_owned),
        operating_system: Some("\u{1f}Windows ".to_owned()),
        device_type: Some(" Laptop\n".to_owned()),
        ..RegisteredDevice::default()
    };
    let mut registry = AgentRegistry::from_devices(
        [
            device(Some(" A\t"), Some("H")),
            device(None, Some("  ")),
            device(Some(" "), None),
            device(Some("B"), None),
        ],
        false,
    );
    let ids: Vec<_> = registry.records().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(ids, ["A", "  ", "", "B"]);
    let record = registry.get("A").unwrap();
    assert_eq!(record.device_type.as_deref(), Some("Laptop"));
    assert_eq!(record.operating_system, Some("Windows".into()));
    // A row without a host name has an empty one, which no announcement makes unknown and nothing is stored under.
    assert_eq!(connect(&mut registry, "B", ServiceMode::System), None);
    assert_eq!(registry.get("B").unwrap().hostname.as_deref(), Some(""));
    let event = CollectorStatus {
        agent_id: "B".to_owned(),
        hostname: None,
        active: true,
        last_user: Some("bob".to_owned()),
        mode: ServiceMode::System,
    };
    assert_eq!(registry.collector(&event, 1.5), Some(None));
    let nameless = listing(&registry.snapshot(), 0.0);
    assert!(
        nameless
            .iter()
            .any(|agent| agent.record.shown_hostname() == UNKNOWN_HOST)
    );
}

fn listed(registry: &AgentRegistry, now: f64, id: &str) -> AgentSummary {
    listing(&registry.snapshot(), now)
        .into_iter()
        .find(|agent| &*agent.id == id)
        .unwrap()
}

#[test]
fn collectors_tell_persons_not_system_accounts() {
    let user = |id: &str, user: &str| {
        let event = CollectorStatus {
            agent_id: id.to_owned(),
            hostname: Some("H".to_owned()),
            active: false,
            last_user: Some(user.to_owned()),
            mode: ServiceMode::CurrentUser,
        };
        let sighting = AgentRegistry::default().collector(&event, 1.5).unwrap();
        sighting.map(|sighting| sighting.last_user)
    };
    for person in ["DOM\\bob", "SYSTEM", "local service", "x$y"] {
        assert_eq!(user("a", person).as_deref(), Some(person));
    }
    for system in [
        "",
        "HOST$",
        "nt authority\\x",
        "NT Service\\MSSQL",
        "D\\system",
        "D\\Local Service",
        "anonymous logon",
    ] {
        assert_eq!(user("a", system), None, "{system:?}");
    }
    assert_eq!(user("a-svc", "bob"), None);
    assert_eq!(user("a-svc-1-script", "bob").as_deref(), Some("bob"));
}

#[test]
fn collectors_are_active_for_a_while() {
    let mut registry = AgentRegistry::default();
    let mut event = CollectorStatus {
        agent_id: "a".to_owned(),
        hostname: Some("H".to_owned()),
        active: true,
        last_user: None,
        mode: ServiceMode::System,
    };
    registry.collector(&event, 1000.5);
    event.active = false;
    registry.collector(&event, 1001.5);
    assert!(listed(&registry, 1130.4, "a").is_collecting);
    assert!(!listed(&registry, 1130.5, "a").is_collecting);
    assert!(registry.is_host_collected("H", 1300.5));
    assert!(!registry.is_host_collected("H", 1300.6) && !registry.is_host_collected("h", 1300.5));
    assert_eq!(registry.get("a").unwrap().status, None);
}

#[test]
fn listings_fold_hosts_and_hide_helpers() {
    let mut registry = AgentRegistry::default();
    for id in ["L1", "L2", "L3"] {
        connect(&mut registry, id, ServiceMode::System);
    }
    beat(&mut registry, "L4", "H", ServiceMode::CurrentUser);
    beat(&mut registry, "L5", " H", ServiceMode::CurrentUser);
    beat(&mut registry, "s-script", "S", ServiceMode::System);
    beat(&mut registry, "u-script", "S", ServiceMode::CurrentUser);
    let mut shown = listing(&registry.snapshot(), 0.0);
    shown.sort_by(|one, other| one.id.cmp(&other.id));
    let ids: Vec<_> = shown.iter().map(|agent| &*agent.id).collect();
    assert_eq!(ids, ["L3", "L5", "u-script"]);
    assert_eq!(shown[1].record.shown_hostname(), "H");
}

#[test]
fn removal_drops_both_and_says_whether_there_was_an_agent() {
    let mut registry = AgentRegistry::default();
    registry.provision("ghost", roles("x"));
    assert!(!registry.remove("ghost"));
    assert_eq!(registry.configuration("ghost"), None);
    connect(&mut registry, "A", ServiceMode::System);
    assert!(registry.remove("A"));
    assert!(registry.get("A").is_none());
}

#[test]
fn device_routes_note_what_they_learn() {
    let guid = Guid::normalize("3F2504E0-4F89-11D3-9A0C-0305E82C3301").unwrap();
    let mut registry = AgentRegistry::default();
    beat(&mut registry, "A", "H", ServiceMode::System);
    beat(&mut registry, "B", "H", ServiceMode::CurrentUser);
    registry.note_check_in("C", &guid);
    assert_eq!(registry.first_with_guid(&guid).unwrap().0, "C");
    registry.note_hash(&HashNote {
        guid: &guid,
        agent_hash: "abc",
        agent_id: Some("A"),
        hostname: None,
        own_only: false,
    });
    assert_eq!(registry.get("A").unwrap().agent_hash.as_deref(), Some("abc"));
    assert_eq!(registry.get("C").unwrap().agent_hash.as_deref(), Some("abc"));
    assert_eq!(registry.get("B").unwrap().agent_hash, None);
    registry.note_details(&DetailsNote {
        guid: &guid,
        agent_id: Some("A"),
        hostname: "H",
        own_only: false,
        agent_hash: Some("def"),
        operating_system: Some(&"Windows".into()),
        device_type: None,
    });
    let record = registry.get("B").unwrap();
    assert_eq!(record.agent_hash.as_deref(), Some("def"));
    assert_eq!(record.operating_system, None);
    assert_eq!(
        registry.get("A").unwrap().operating_system,
        Some("Windows".into())
    );
    // Nobody announced it, so it shows no id of its own.
    assert!(!listed(&registry, 0.0, "C").record.announced);
}

#[test]
fn there_is_room_for_so_many_agents() {
    let mut registry = AgentRegistry::default();
    for number in 0..MOST_AGENTS {
        connect(&mut registry, &number.to_string(), ServiceMode::System);
    }
    assert_eq!(
        beat(&mut registry, "one more", "H", ServiceMode::System),
        HeartbeatOutcome::Failed
    );
    assert!(registry.get("one more").is_none());
    assert_eq!(
        beat(&mut registry, "1", "H", ServiceMode::System),
        HeartbeatOutcome::Taken(Some(seen("H", "1", 7)))
    );
}

#[test]
fn a_device_with_too_many_agents_loses_its_own_oldest() {
    let guid = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
    let mut registry = AgentRegistry::default();
    connect(&mut registry, "OTHER", ServiceMode::System);
    for number in 0..MOST_OF_DEVICE + 2 {
        connect(
            &mut registry,
            &format!("{number}_{guid}_SYSTEM"),
            ServiceMode::System,
        );
    }
    let is_there = |number: usize| registry.get(&format!("{number}_{guid}_SYSTEM")).is_some();
    assert_eq!([0, 1, 2].map(is_there), [false, false, true]);
    assert!(is_there(MOST_OF_DEVICE + 1));
    assert!(registry.get("OTHER").is_some());
}

#[test]
fn agents_of_other_devices_are_left_alone_where_devices_are_known() {
    let own = Guid::normalize("3F2504E0-4F89-11D3-9A0C-0305E82C3301").unwrap();
    let id = |guid: &str, context: &str| format!("H_{guid}_{context}");
    let other = id("00000000-0000-4000-8000-000000000002", "SYSTEM");
    let mine = id(own.as_str(), "SYSTEM");
    let mut registry = AgentRegistry::default();
    beat(&mut registry, &other, "H", ServiceMode::System);
    beat(&mut registry, "stranger", "H", ServiceMode::CurrentUser);
    registry.note_check_in(
        "stranger",
        &Guid::normalize("00000000-0000-4000-8000-000000000003").unwrap(),
    );
    // It takes the place of its own device's agent alone.
    for agent in [id(own.as_str(), "OLD"), mine.clone()] {
        registry.heartbeat(&heartbeat_of(&agent, "H", ServiceMode::System), Some(&own), NOW);
    }
    let ids: Vec<_> = registry.records().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(ids, [other.as_str(), "stranger", mine.as_str()]);
    registry.note_hash(&HashNote {
        guid: &own,
        agent_hash: "abc",
        agent_id: None,
        hostname: Some("H"),
        own_only: true,
    });
    registry.note_details(&DetailsNote {
        guid: &own,
        agent_id: None,
        hostname: "H",
        own_only: true,
        agent_hash: Some("def"),
        operating_system: None,
        device_type: None,
    });
    let hashes: Vec<_> = registry
        .records()
        .map(|(_, record)| record.agent_hash.as_deref())
        .collect();
    assert_eq!(hashes, [None, None, Some("def")]);
}

#[test]
fn at_start_no_device_has_an_agent_whose_id_names_another() {
    let (own, other) = (
        "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "00000000-0000-4000-8000-000000000002",
    );
    let device = |agent_id: String, hostname: &str| RegisteredDevice {
        agent_id: Some(agent_id),
        hostname: Some(hostname.to_owned()),
        guid: Some(own.to_owned()),
        ..RegisteredDevice::default()
    };
    let ids = [
        format!("H_{own}_SYSTEM"),
        format!("H_{other}_SYSTEM"),
        format!("H_{other}_{own}_SYSTEM"),
        "older".to_owned(),
    ];
    let devices = ids
        .iter()
        .zip(["H1", "H2", "H3", "H4"])
        .map(|(id, host)| device(id.clone(), host));
    let registry = AgentRegistry::from_devices(devices, true);
    let known: Vec<_> = registry.records().map(|(id, _)| id).collect();
    assert_eq!(known, [ids[0].as_str(), "H2", "H3", "older"]);
}
