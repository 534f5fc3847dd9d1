use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use jiff::Timestamp;
use x509_cert::{Certificate, der::DecodePem as _};

use super::{sealing_key::KeySource, *};
use crate::{
    domain::fernet::FernetKey,
    integrations::{clock::ManualClock, random::SeededRandom},
};

fn settings(root: &Path) -> Settings {
    let variables = [("BOREALIS_ROOT".to_owned(), root.display().to_string())].into();
    Settings::from_map(&variables, root).unwrap()
}

fn load(root: &Path) -> Result<ServerIdentity, IdentityError> {
    let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
    ServerIdentity::load_or_create(&settings(root), &clock, &SeededRandom::new(7))
}

#[test]
fn a_new_certificate_has_the_legacy_s_fields() {
    let root = tempfile::tempdir().unwrap();
    let identity = load(root.path()).unwrap();
    let pem = fs::read(&identity.bundle).unwrap();
    let certificate = Certificate::from_pem(&pem).unwrap();
    let body = certificate.tbs_certificate();
    assert_eq!(body.subject().to_string(), "O=Borealis,CN=Borealis Server");
    assert_eq!(body.issuer().to_string(), "CN=Borealis Server");
    let lifetime =
        body.validity().not_after.to_unix_duration() - body.validity().not_before.to_unix_duration();
    assert_eq!(lifetime.as_secs(), 36_500 * 86_400 + 300);
    let extensions: Vec<_> = body
        .extensions()
        .unwrap()
        .iter()
        .map(|one| (one.extn_id.to_string(), one.critical))
        .collect();
    assert_eq!(
        extensions,
        [("2.5.29.17".to_owned(), false), ("2.5.29.19".to_owned(), true)]
    );
    let key = fs::read_to_string(&identity.tls_key).unwrap();
    assert!(key.starts_with("-----BEGIN EC PRIVATE KEY-----"), "{key}");
    assert_eq!(
        fs::metadata(&identity.tls_key).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_is_there_is_used_and_not_written_again() {
    let root = tempfile::tempdir().unwrap();
    let first = load(root.path()).unwrap();
    let bundle = fs::read(&first.bundle).unwrap();
    let clock = ManualClock::new(Timestamp::from_second(1_800_000_100).unwrap());
    let again =
        ServerIdentity::load_or_create(&settings(root.path()), &clock, &SeededRandom::new(8)).unwrap();
    assert_eq!(fs::read(&again.bundle).unwrap(), bundle);
    assert_eq!(again.script_key.to_bytes(), first.script_key.to_bytes());
    assert_eq!(again.token_key.to_bytes(), first.token_key.to_bytes());
}

#[test]
fn an_expired_certificate_and_its_bundle_are_replaced() {
    let root = tempfile::tempdir().unwrap();
    let first = load(root.path()).unwrap();
    let bundle = fs::read(&first.bundle).unwrap();
    let clock = ManualClock::new(Timestamp::from_second(1_800_000_000 + 36_501 * 86_400).unwrap());
    ServerIdentity::load_or_create(&settings(root.path()), &clock, &SeededRandom::new(8)).unwrap();
    assert_ne!(fs::read(&first.bundle).unwrap(), bundle);
}

#[test]
fn keys_are_taken_over_from_where_older_versions_kept_them() {
    let old = tempfile::tempdir().unwrap();
    let made = load(old.path()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let keys = root.path().join("Server/Borealis/keys");
    fs::create_dir_all(&keys).unwrap();
    let token_key = old
        .path()
        .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    fs::copy(token_key, keys.join("borealis-jwt-ed25519.key")).unwrap();
    assert_eq!(
        load(root.path()).unwrap().token_key.to_bytes(),
        made.token_key.to_bytes()
    );
    assert!(!keys.join("borealis-jwt-ed25519.key").exists());
}

#[test]
fn an_unreadable_key_stops_the_start_and_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let path = root
        .path()
        .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "garbage").unwrap();
    let error = load(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("borealis-jwt-ed25519.key") && error.contains("restore"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
}

#[test]
fn a_look_finds_each_state_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let settings = settings(root.path());
    let now = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
    let state = ServerIdentity::inspect(&settings, &now);
    assert!(matches!(state.certificate, PartState::Missing(_)));
    assert!(matches!(state.script_key, PartState::Missing(_)));
    assert!(fs::read_dir(root.path()).unwrap().next().is_none());

    let made = load(root.path()).unwrap();
    let state = ServerIdentity::inspect(&settings, &now);
    assert!(matches!(state.certificate, PartState::Present(_)));
    assert!(matches!(state.token_key, PartState::Present(_)));
    let later = ManualClock::new(Timestamp::from_second(1_800_000_000 + 36_501 * 86_400).unwrap());
    let state = ServerIdentity::inspect(&settings, &later);
    assert!(matches!(state.certificate, PartState::Expired { .. }));

    let runtime = root.path().join("Server/Borealis");
    fs::rename(runtime.join("auth_keys"), runtime.join("keys")).unwrap();
    fs::remove_file(&made.tls_key).unwrap();
    let state = ServerIdentity::inspect(&settings, &now);
    assert!(matches!(state.token_key, PartState::Former { .. }));
    assert!(matches!(state.certificate, PartState::Unfit { .. }));
    assert!(!runtime.join("auth_keys").exists());
}

#[test]
fn the_sealing_key_is_made_once_and_never_replaced() {
    let root = tempfile::tempdir().unwrap();
    let settings = settings(root.path());
    let path = root.path().join("Data/Server/server_secret.key");
    assert_eq!(sealing_key::find(&settings).unwrap(), []);
    let made = sealing_key::make(&settings, &SeededRandom::new(7)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!((text.len(), text.as_str()), (44, made.key.to_text().as_str()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, format!("{text}\n")).unwrap();
    assert_eq!(sealing_key::find(&settings).unwrap(), [made]);
    fs::write(&path, "no key").unwrap();
    assert!(matches!(
        sealing_key::find(&settings),
        Err(IdentityError::UnreadableSealingKey { .. })
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "no key");
}

#[test]
fn sealing_keys_are_found_in_their_order_each_once() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = settings(root.path());
    let [first, second] = settings.sealing_key_files();
    let write = |path: &Path, number: u8| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, FernetKey::from_bytes([number; 32]).to_text()).unwrap();
    };
    let sources = |settings: &Settings| -> Vec<_> {
        let found = sealing_key::find(settings).unwrap();
        found.into_iter().map(|one| one.source).collect()
    };
    write(&second, 2);
    assert_eq!(sources(&settings), [KeySource::File(second.clone())]);
    write(&first, 2);
    assert_eq!(sources(&settings), [KeySource::File(first.clone())]);
    write(&first, 1);
    assert_eq!(
        sources(&settings),
        [KeySource::File(first.clone()), KeySource::File(second.clone())]
    );
    settings.sealing_key = Some(FernetKey::from_bytes([7; 32]));
    fs::write(&first, "no key, and the legacy server does not look at it").unwrap();
    assert_eq!(sources(&settings), [KeySource::Variable, KeySource::File(second)]);
}
