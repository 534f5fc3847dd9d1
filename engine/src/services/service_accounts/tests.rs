//! What check-ins leave in the audit log; what they hand out is tested on a whole server.

use super::*;
use crate::{
    domain::fernet::FernetKey,
    services::hosts::STRICT,
    testkit::{AGENT, GUID, Ground},
};

fn device() -> AuthenticatedDevice {
    AuthenticatedDevice {
        guid: Guid::normalize(GUID).unwrap(),
        stored_guid: GUID.to_owned(),
        fingerprint: "ab".to_owned(),
        token_version: 1,
        status: DeviceStatus::Active,
    }
}

#[tokio::test]
async fn a_check_in_leaves_a_line_where_the_device_comes_with_another_agent_or_key() {
    let ground = Ground::with(&format!(
        "INSERT INTO devices (guid, hostname) VALUES ('{GUID}', 'WIN-1')"
    ))
    .await;
    let environment = ground.environment.clone();
    let accounts = ServiceAccountService::new(
        ground.store(),
        environment.clone(),
        SecretBox::new(FernetKey::from_bytes([1; 32]), environment.clone()),
        Arc::new(Agents::new(Arc::clone(&environment.clock))),
        STRICT,
    );
    let _guard = ground.audited();
    let other = AGENT.replace("SYSTEM", "USER");
    // The accounts of both are there from the second time on.
    for agent_id in [AGENT, AGENT, &other, AGENT] {
        let request = CheckIn {
            account: AccountRequest {
                agent_id: agent_id.to_owned(),
                username: None,
            },
            hostname: Some("WIN-1".to_owned()),
        };
        accounts.check_in(&device(), &request).await.unwrap();
    }
    let what: Vec<_> = ground
        .audit_lines()
        .iter()
        .filter_map(|line| line.split(' ').nth(2).map(str::to_owned))
        .collect();
    assert_eq!(
        what,
        [
            "service_account.stored",
            "device.agent_changed",
            "device.key_added",
            "service_account.stored",
            "device.agent_changed",
            "device.agent_changed",
        ]
    );
}
