//! What several of these tests need.

use std::{collections::BTreeMap, net::TcpListener, path::Path, sync::Arc};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    integrations::{clock::ManualClock, random::SeededRandom},
    services::device_access::tokens::AccessTokens,
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;

/// When the clock of [`start`] stands still, Unix seconds.
#[allow(dead_code, reason = "not every file needs it")]
pub(crate) const START: i64 = 1_800_000_000;

/// A whole server over `root`, on a free loopback port.
#[allow(dead_code, reason = "not every file needs it")]
pub(crate) async fn start(root: &Path, variables: &[(&str, &str)]) -> RunningEngine {
    start_with(root, variables, |_| ()).await
}

/// The same, with settings that no variable sets.
pub(crate) async fn start_with(
    root: &Path,
    variables: &[(&str, &str)],
    adjust: impl FnOnce(&mut Settings),
) -> RunningEngine {
    let mut all = BTreeMap::from([
        ("BOREALIS_ROOT".to_owned(), root.display().to_string()),
        (
            "BOREALIS_GITHUB_API_URL".to_owned(),
            "http://127.0.0.1:9".to_owned(),
        ),
        // With a default one nothing that is forwarded would be answered.
        ("BOREALIS_SECRET".to_owned(), "the secret of the tests".to_owned()),
    ]);
    for (name, value) in variables {
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    let mut settings = Settings::from_map(&all, root).unwrap();
    adjust(&mut settings);
    Engine::start(
        settings,
        Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap())),
        Arc::new(SeededRandom::new(1)),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    )
    .await
    .unwrap()
}

/// Signs tokens as the server over `root` does.
#[allow(dead_code, reason = "not every file needs it")]
pub(crate) fn tokens(root: &Path) -> AccessTokens {
    let file = root.join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    let key = std::fs::read_to_string(file).unwrap();
    AccessTokens::new(&SigningKey::from_pkcs8_pem(&key).unwrap()).unwrap()
}
