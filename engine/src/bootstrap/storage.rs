//! The database, and the keys that open what is sealed in it.

use super::StartError;
use crate::{
    config::settings::Settings,
    domain::{clock::Clock, random::Random},
    integrations::identity::sealing_key,
    repositories::sqlite::{self, SqliteStore, Upgraded},
    services::{Environment, sealing_keys::SealingKeys, secret_box::SecretBox},
};

/// Says what was done to an older database, and where the copy of it lies.
pub fn log_upgrade(upgraded: &Upgraded) {
    if let Some(backup) = &upgraded.backup {
        tracing::warn!(
            "the database was of an older server and was upgraded; as it was before, it lies in {}",
            backup.display()
        );
    }
    for change in &upgraded.changes {
        tracing::info!("upgrade: {change}");
    }
}

/// Opens the database, upgraded where the settings allow it.
pub(super) async fn open_store(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<SqliteStore, StartError> {
    let path = || settings.database_path.clone();
    let store = SqliteStore::open_with(&settings.database_path, settings.timing.database_deadline)
        .await
        .map_err(|source| StartError::Store { path: path(), source })?;
    if settings.auto_migrate {
        tracing::info!("migrations-start");
        let upgraded = store
            .upgrade(clock.now(), random)
            .await
            .map_err(|source| StartError::Migration { path: path(), source })?;
        log_upgrade(&upgraded);
        tracing::info!("migrations-complete");
    } else {
        store
            .make_own_tables()
            .await
            .map_err(|source| StartError::Store { path: path(), source })?;
        tracing::info!("migrations-skipped");
    }
    Ok(store)
}

/// Decides with which keys stored secrets are opened, before anything is changed.
pub(super) async fn choose_sealing_keys(settings: &Settings) -> Result<SealingKeys, StartError> {
    let path = &settings.database_path;
    let stored = sqlite::stored_secrets(path)
        .await
        .map_err(|source| StartError::Store {
            path: path.clone(),
            source,
        })?;
    let keys = SealingKeys::choose(sealing_key::find(settings)?, &stored);
    match keys.refuse_loss() {
        Err(refusal) if !settings.accept_lost_secrets => return Err(refusal.into()),
        _ => {}
    }
    if let Some(preference) = keys.preference() {
        tracing::warn!("{preference}");
    }
    if let Some(loss) = keys.loss() {
        tracing::error!("{loss}");
    }
    Ok(keys)
}

/// What seals and opens secrets, with a key that is made where there is none.
pub(super) fn secret_box(
    keys: SealingKeys,
    settings: &Settings,
    environment: &Environment,
) -> Result<SecretBox, StartError> {
    let main = match keys.main {
        Some(main) => main,
        None => sealing_key::make(settings, &*environment.random)?,
    };
    let former = keys.others.into_iter().map(|other| other.key).collect();
    Ok(SecretBox::new(main.key, environment.clone()).with_former_keys(former))
}
