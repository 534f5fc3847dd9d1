//! Long because it is a list of stories.

use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};

use super::*;
use crate::{
    builders::{approvals::DecidedDevice, install_codes::NewInstallCode},
    config::{
        logging::capture::capture,
        settings::{AccessPolicy, Settings},
    },
    domain::{devices::DeviceIdentity, json::Json, proof::ProofError},
    integrations::{
        identity::{ServedCertificate, ServerIdentity},
        random::SeededRandom,
    },
    services::{
        approvals::{ApprovalService, Decider},
        install_codes::InstallCodeService,
        operators::OperatorService,
        prune::prune_once,
    },
    testkit::{GUID, Ground},
};

/// One server over one file, and an agent that wants to join.
struct Story {
    ground: Ground,
    enrollment: EnrollmentService,
    approvals: ApprovalService,
    codes: InstallCodeService,
}

impl Story {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let environment = ground.environment.clone();
        let variables = [("BOREALIS_ROOT".to_owned(), ground.root().display().to_string())];
        let settings = Settings::from_map(&variables.into(), ground.root()).unwrap();
        let identity =
            ServerIdentity::load_or_create(&settings, &*ground.clock, &SeededRandom::new(2)).unwrap();
        let publisher = IdentityPublisher::new(
            Arc::new(ServedCertificate::load(identity.certificate).unwrap()),
            &SigningKey::from_bytes(&[3; 32]),
        );
        let tokens = AccessTokens::new(&SigningKey::from_bytes(&[4; 32])).unwrap();
        // Names are tested on a whole server.
        let rules = HostRules::new(AccessPolicy::Legacy);
        Self {
            enrollment: EnrollmentService::new(
                ground.store(),
                environment.clone(),
                tokens,
                publisher,
                rules,
                None,
            ),
            approvals: ApprovalService::new(ground.store(), environment.clone(), rules),
            codes: InstallCodeService::new(ground.store(), environment),
            ground,
        }
    }

    fn later(&self, seconds: i64) {
        self.ground.later(seconds);
    }

    async fn code(&self, max_uses: i64) -> InstallCode {
        self.codes
            .create(
                NewInstallCode {
                    ttl_hours: 1,
                    max_uses,
                },
                "1",
            )
            .await
            .unwrap()
    }

    async fn ask(
        &self,
        hostname: &str,
        code: &str,
        key: &SigningKey,
    ) -> Result<PendingEnrollment, RequestError> {
        self.enrollment
            .request(
                EnrollmentRequest {
                    hostname: hostname.to_owned(),
                    code: code.to_owned(),
                    agent_pubkey_der: key.verifying_key().to_public_key_der().unwrap().into_vec(),
                    client_nonce: NONCE.to_owned(),
                },
                "192.0.2.1",
            )
            .await
    }

    async fn decide(
        &self,
        resolution: Option<&str>,
    ) -> Result<Option<String>, crate::services::approvals::DecisionError> {
        self.decide_for(DecidedDevice::OfRequest, resolution).await
    }

    async fn decide_for(
        &self,
        device: DecidedDevice,
        resolution: Option<&str>,
    ) -> Result<Option<String>, crate::services::approvals::DecisionError> {
        let pending = self.approvals.list(Some("pending")).await.unwrap().remove(0);
        let decider = Decider {
            id: "1".to_owned(),
            username: "admin".to_owned(),
        };
        self.approvals
            .approve(&pending.approval.id, device, resolution, &decider)
            .await
    }

    async fn join_as(
        &self,
        hostname: &str,
        code: &str,
        key: &SigningKey,
        resolution: Option<&str>,
    ) -> JoinedDevice {
        let asked = self.ask(hostname, code, key).await.unwrap();
        self.decide(resolution).await.unwrap();
        match self.enrollment.poll(&signed(&asked, key)).await.unwrap() {
            PollOutcome::Approved(joined) => *joined,
            other => panic!("{other:?}"),
        }
    }

    /// The device's row.
    async fn device(&self, joined: &JoinedDevice) -> DeviceIdentity {
        let mut view = self.ground.store().view().await.unwrap();
        let device = view.find_device(joined.guid.as_str()).await.unwrap();
        device.unwrap()
    }

    async fn stored_code(&self, code: &InstallCode) -> Option<InstallCode> {
        let mut view = self.ground.store().view().await.unwrap();
        view.find_code(&code.code).await.unwrap()
    }
}

const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

fn signed(asked: &PendingEnrollment, key: &SigningKey) -> EnrollmentPoll {
    let nonce = vec![0; 16];
    let mut message = strict_base64::decode_strict(&asked.server_nonce).unwrap();
    message.extend_from_slice(asked.approval_reference.as_bytes());
    message.extend_from_slice(&nonce);
    EnrollmentPoll {
        approval_reference: asked.approval_reference.clone(),
        client_nonce: NONCE.to_owned(),
        client_nonce_bytes: nonce,
        proof: key.sign(&message).to_bytes().to_vec(),
    }
}

#[tokio::test]
async fn a_device_joins_once_and_its_code_is_spent() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let code = story.code(1).await;
    let asked = story.ask("WIN-1", &code.code, &key).await.unwrap();
    let poll = signed(&asked, &key);
    assert_eq!(story.enrollment.poll(&poll).await.unwrap(), PollOutcome::Pending);
    story.decide(None).await.unwrap();
    let PollOutcome::Approved(joined) = story.enrollment.poll(&poll).await.unwrap() else {
        panic!()
    };
    assert_eq!(joined.refresh_token.len(), 64);
    assert_eq!(
        story.enrollment.poll(&poll).await.unwrap(),
        PollOutcome::Finalized
    );

    let device = story.device(&joined).await;
    assert_eq!(
        (device.hostname.as_deref(), device.token_version),
        (Some("WIN-1"), Some(1))
    );
    let spent = story.stored_code(&code).await.unwrap();
    assert_eq!(
        (spent.uses(), spent.used_by_guid.as_deref()),
        (1, Some(joined.guid.as_str()))
    );

    let other = SigningKey::from_bytes(&[8; 32]);
    assert!(matches!(
        story.ask("WIN-2", &code.code, &other).await,
        Err(RequestError::InvalidCode)
    ));
    let again = story.ask("WIN-1", &code.code, &key).await;
    assert!(
        again.is_ok(),
        "the device that spent a code may come back with its key"
    );
}

#[tokio::test]
async fn the_log_tells_the_way_of_a_device_and_no_secret() {
    let log = capture();
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let code = story.code(1).await;
    let _ = story.ask("WIN\n1", "SECRET-CODE", &key).await;
    let asked = story.ask("WIN\n1", &code.code, &key).await.unwrap();
    let poll = signed(&asked, &key);
    let forged = signed(&asked, &SigningKey::from_bytes(&[8; 32]));
    let _ = story.enrollment.poll(&forged).await;
    story.enrollment.poll(&poll).await.unwrap();
    story.decide(None).await.unwrap();
    let PollOutcome::Approved(joined) = story.enrollment.poll(&poll).await.unwrap() else {
        panic!()
    };
    story.enrollment.poll(&poll).await.unwrap();
    let unknown = EnrollmentPoll {
        approval_reference: "a\nb".to_owned(),
        ..poll.clone()
    };
    let _ = story.enrollment.poll(&unknown).await;

    let messages = log.messages();
    let fingerprint = sha256_hex(key.verifying_key().to_public_key_der().unwrap().as_bytes());
    let fingerprint = short(&fingerprint);
    let reference = &asked.approval_reference;
    let guid = &joined.guid;
    // Not the line of the code, nor that of the decision: both name random ids.
    let told: Vec<_> = messages
        .iter()
        .filter(|line| line.starts_with("enrollment"))
        .collect();
    let expected = [
        format!("enrollment request invalid_code host=WIN\\n1 fingerprint={fingerprint} code_mask=SEC***ODE"),
        format!("enrollment request queued fingerprint={fingerprint} host=WIN\\n1 ip=192.0.2.1"),
        format!("enrollment poll invalid_proof ref={reference}"),
        format!("enrollment poll pending ref={reference} host=WIN\\n1"),
        format!("enrollment finalized guid={guid} fingerprint={fingerprint} host=WIN\\n1"),
        format!("enrollment poll already_completed ref={reference} host=WIN\\n1"),
        "enrollment poll unknown_reference ref=a\\nb".to_owned(),
    ];
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    let text = messages.join("\n");
    for secret in [
        &code.code,
        "SECRET-CODE",
        NONCE,
        &asked.server_nonce,
        &strict_base64::encode(&poll.proof),
        &joined.access_token,
        &joined.refresh_token,
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn only_the_asking_key_learns_anything() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let asked = story.ask("WIN-1", &story.code(1).await.code, &key).await.unwrap();
    let forged = signed(&asked, &SigningKey::from_bytes(&[8; 32]));
    assert!(matches!(
        story.enrollment.poll(&forged).await,
        Err(PollError::Proof(ProofError::Invalid))
    ));
    let other_nonce = EnrollmentPoll {
        client_nonce: "other".to_owned(),
        ..signed(&asked, &key)
    };
    assert!(matches!(
        story.enrollment.poll(&other_nonce).await,
        Err(PollError::NonceMismatch)
    ));
    let unknown = EnrollmentPoll {
        approval_reference: "nobody".to_owned(),
        ..signed(&asked, &key)
    };
    assert!(matches!(
        story.enrollment.poll(&unknown).await,
        Err(PollError::UnknownReference)
    ));
}

#[tokio::test]
async fn overwriting_rotates_the_key_and_coexisting_makes_a_neighbour() {
    let story = Story::new().await;
    let code = story.code(10).await;
    let first = story
        .join_as("WIN-1", &code.code, &SigningKey::from_bytes(&[1; 32]), None)
        .await;

    let second_key = SigningKey::from_bytes(&[2; 32]);
    story.ask("WIN-1", &code.code, &second_key).await.unwrap();
    assert!(matches!(
        story.decide(None).await,
        Err(crate::services::approvals::DecisionError::ConflictUnresolved { .. })
    ));
    let second = story
        .join_as("WIN-1", &code.code, &second_key, Some("overwrite"))
        .await;
    assert_eq!(second.guid, first.guid);
    let device = story.device(&first).await;
    assert_eq!(device.token_version, Some(2));

    let third = story
        .join_as(
            "WIN-1",
            &code.code,
            &SigningKey::from_bytes(&[3; 32]),
            Some("coexist"),
        )
        .await;
    let device = story.device(&third).await;
    assert_eq!(device.hostname.as_deref(), Some("WIN-1-1"));
}

#[tokio::test]
async fn a_guid_that_names_nothing_leaves_a_returning_device_in_conflict_with_itself() {
    let story = Story::new().await;
    let code = story.code(1).await;
    let key = SigningKey::from_bytes(&[1; 32]);
    let joined = story.join_as("WIN-1", &code.code, &key, None).await;
    for (device, resolution) in [
        (DecidedDevice::Blank, Some("auto_merge_fingerprint")),
        (DecidedDevice::OfRequest, None),
    ] {
        let asked = story.ask("WIN-1", &code.code, &key).await.unwrap();
        let decided = story.decide_for(device, None).await.unwrap();
        assert_eq!(decided.as_deref(), resolution);
        let stored = format!(
            "SELECT guid FROM device_approvals WHERE approval_reference = '{}'",
            asked.approval_reference
        );
        let stored = story.ground.column(&stored).await;
        assert_eq!(stored, [Some(joined.guid.to_string())]);
        story.enrollment.poll(&signed(&asked, &key)).await.unwrap();
    }
}

#[tokio::test]
async fn a_device_without_a_guid_leaves_an_approval_its_own() {
    let story = Story::new().await;
    let code = story.code(10).await;
    for (seed, fingerprint, resolution) in [
        (1, "'other'", Some("overwrite")),
        (2, "ssl_key_fingerprint_claimed", None),
    ] {
        let hostname = format!("BARE-{seed}");
        let key = SigningKey::from_bytes(&[seed; 32]);
        story.ask(&hostname, &code.code, &key).await.unwrap();
        let rows = format!(
            "UPDATE device_approvals SET guid = '{GUID}' WHERE status = 'pending'; \
             INSERT INTO devices (hostname, ssl_key_fingerprint) \
             SELECT hostname_claimed, {fingerprint} FROM device_approvals WHERE status = 'pending';"
        );
        story.ground.sql(&rows).await;
        story.decide(resolution).await.unwrap();
        let approved = format!("SELECT guid FROM device_approvals WHERE hostname_claimed = '{hostname}'");
        assert_eq!(
            story.ground.column(&approved).await,
            [Some(GUID.to_owned())],
            "{hostname}"
        );
    }
}

#[tokio::test]
async fn what_is_stored_of_a_codes_uses_is_shown_as_it_is_and_counts_as_a_number() {
    let story = Story::new().await;
    let code = story.code(3).await;
    for (max_uses, use_count, shown, allowed, uses) in [
        ("'many'", "'two'", (Json::from("many"), "two".into()), 1, 0),
        ("2.5", "1.5", (2.5.into(), 1.5.into()), 2, 1),
        ("7", "x'00'", (7.into(), Json::Null), 7, 0),
        ("-4", "'two'", ((-4).into(), "two".into()), 1, 0),
    ] {
        let change =
            format!("UPDATE enrollment_install_codes SET max_uses = {max_uses}, use_count = {use_count}");
        story.ground.sql(&change).await;
        let stored = story.stored_code(&code).await.unwrap();
        assert_eq!(
            (stored.allowed_uses(), stored.uses()),
            (allowed, uses),
            "{max_uses}"
        );
        assert_eq!((stored.max_uses, stored.use_count), shown, "{max_uses}");
    }
    story
        .ground
        .sql("UPDATE enrollment_install_codes SET max_uses = 3, use_count = 0, expires_at = '9999-12-31T23:59:59+00:00'")
        .await;
    let key = SigningKey::from_bytes(&[5; 32]);
    assert!(
        story.ask("WIN-1", &code.code, &key).await.is_ok(),
        "it never ends"
    );
}

#[tokio::test]
async fn a_used_proof_is_refused_for_five_minutes() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let asked = story.ask("WIN-1", &story.code(2).await.code, &key).await.unwrap();
    story.decide(None).await.unwrap();
    let poll = signed(&asked, &key);
    story.enrollment.poll(&poll).await.unwrap();
    let mut work = story.ground.store().begin().await.unwrap();
    let mut approval = work
        .find_approval_by_reference(&asked.approval_reference)
        .await
        .unwrap()
        .unwrap();
    approval.status = "approved".to_owned();
    work.put_approval(&approval).await.unwrap();
    work.save().await.unwrap();
    assert!(matches!(
        story.enrollment.poll(&poll).await,
        Err(PollError::Replayed)
    ));
    story.later(301);
    assert!(matches!(
        story.enrollment.poll(&poll).await,
        Ok(PollOutcome::Approved(_))
    ));
}

#[tokio::test]
async fn a_request_on_an_ended_code_expires_with_it() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let code = story.code(1).await;
    let asked = story.ask("WIN-1", &code.code, &key).await.unwrap();
    story.later(3700);
    let operators = OperatorService::new(
        story.ground.store(),
        story.ground.environment.clone(),
        AccessPolicy::Strict,
        0,
    );
    prune_once(&*story.ground.store(), &story.ground.environment, &operators)
        .await
        .unwrap();
    assert_eq!(
        story.enrollment.poll(&signed(&asked, &key)).await.unwrap(),
        PollOutcome::Expired
    );
    assert_eq!(story.stored_code(&code).await, None);
}

#[tokio::test]
async fn one_key_may_ask_twelve_times_a_minute_and_one_address_forty_times() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    for _ in 0..12 {
        assert!(matches!(
            story.ask("WIN-1", "wrong", &key).await,
            Err(RequestError::InvalidCode)
        ));
    }
    assert!(matches!(
        story.ask("WIN-1", "wrong", &key).await,
        Err(RequestError::RateLimited(_))
    ));
    for _ in 0..40 {
        story.enrollment.admit_address("192.0.2.1").unwrap();
    }
    let log = capture();
    assert!(story.enrollment.admit_address("192.0.2.1").is_err());
    assert_eq!(
        log.messages(),
        ["enrollment rate limited key=ip:192.0.2.1 limit=40/60s retry_after=60.00"]
    );
    assert!(story.enrollment.admit_address("192.0.2.2").is_ok());
}
