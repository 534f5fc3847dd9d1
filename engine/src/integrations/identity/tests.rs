use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use jiff::Timestamp;

use super::{sealing_key::KeySource, *};
use crate::{
    domain::fernet::FernetKey,
    integrations::{clock::ManualClock, random::SeededRandom},
    testkit::START,
};

mod certificate;

fn settings(root: &Path) -> Settings {
    let variables = [("BOREALIS_ROOT".to_owned(), root.display().to_string())].into();
    Settings::from_map(&variables, root).unwrap()
}

fn clock(seconds: i64) -> ManualClock {
    ManualClock::new(Timestamp::from_second(seconds).unwrap())
}

fn load(root: &Path) -> Result<ServerIdentity, IdentityError> {
    ServerIdentity::load_or_create(&settings(root), &clock(START), &SeededRandom::new(7))
}

#[test]
fn what_is_there_is_used_and_not_written_again() {
    let root = tempfile::tempdir().unwrap();
    let first = load(root.path()).unwrap();
    let bundle = fs::read(&first.certificate.bundle).unwrap();
    let again =
        ServerIdentity::load_or_create(&settings(root.path()), &clock(START + 100), &SeededRandom::new(8))
            .unwrap();
    assert_eq!(fs::read(&again.certificate.bundle).unwrap(), bundle);
    assert_eq!(again.script_key.to_bytes(), first.script_key.to_bytes());
    assert_eq!(again.token_key.to_bytes(), first.token_key.to_bytes());
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
    let look = |now: i64| ServerIdentity::inspect(&settings, &clock(now), &SeededRandom::new(1));
    let state = look(START);
    assert!(matches!(state.certificate, PartState::Missing(_)));
    assert!(matches!(state.script_key, PartState::Missing(_)));
    assert!(fs::read_dir(root.path()).unwrap().next().is_none());

    let made = load(root.path()).unwrap();
    let state = look(START);
    assert!(matches!(state.certificate, PartState::Present(_)));
    assert_eq!(state.certificate_warnings, []);
    assert!(matches!(state.token_key, PartState::Present(_)));
    let after = START + 6 * 365 * 86_400;
    assert!(matches!(
        look(after).certificate,
        PartState::Expired { reissued: true, .. }
    ));
    let folder = &settings.server_certificates;
    fs::remove_file(folder.join("borealis-root-ca.pem")).unwrap();
    assert!(matches!(
        look(after).certificate,
        PartState::Expired { reissued: false, .. }
    ));

    let runtime = root.path().join("Server/Borealis");
    fs::rename(runtime.join("auth_keys"), runtime.join("keys")).unwrap();
    fs::remove_file(&made.certificate.key).unwrap();
    let state = look(START);
    assert!(matches!(state.token_key, PartState::Former { .. }));
    assert!(matches!(
        state.certificate,
        PartState::Unusable(IdentityError::KeyMissing { .. })
    ));
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
