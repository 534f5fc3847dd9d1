//! `/api/credentials` and below. Secrets are never shown, sealed or not.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;

use super::{
    compat::{body::RawBody, path::row_id, query::first, reply::JsonReply},
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::credentials::{credential_change, credential_filter, new_credential},
    domain::{
        credentials::{Credential, Secrets},
        json::{Json, JsonObject},
    },
    services::credentials::{CredentialError, metadata, or_default, stored},
};

fn shown(credential: Credential) -> JsonObject {
    let has = stored(&credential.secrets);
    let metadata = metadata(&credential);
    let kind = or_default(&credential.credential_type, "machine");
    let connection = or_default(&credential.connection_type, "ssh");
    let members = [
        ("id", credential.id.into()),
        ("credential_type", kind.into()),
        ("connection_type", connection.into()),
        ("name", credential.name.into()),
        ("description", credential.description.unwrap_or_default().into()),
        ("username", credential.username.unwrap_or_default().into()),
        ("site_id", credential.site_id.into()),
        ("site_name", credential.site_name.into()),
        (
            "become_method",
            credential.become_method.unwrap_or_default().into(),
        ),
        (
            "become_username",
            credential.become_username.unwrap_or_default().into(),
        ),
        ("has_password", has.password.into()),
        ("has_private_key", has.private_key.into()),
        ("has_private_key_passphrase", has.private_key_passphrase.into()),
        ("has_become_password", has.become_password.into()),
        ("metadata", metadata.into()),
        ("created_at", credential.created_at.into()),
        ("updated_at", credential.updated_at.into()),
    ];
    members
        .into_iter()
        .map(|(name, value): (&str, Json)| (name.to_owned(), value))
        .collect()
}

fn with_fingerprints(mut shown: JsonObject, fingerprints: Secrets<String>) -> JsonObject {
    let mut add = |name: &str, value: String| shown.insert(name.to_owned(), value.into());
    add("password_fingerprint", fingerprints.password);
    add("private_key_fingerprint", fingerprints.private_key);
    add("become_password_fingerprint", fingerprints.become_password);
    shown
}

fn answer(status: StatusCode, credential: JsonObject) -> JsonReply {
    JsonReply::new(status, Json::object([("credential", credential.into())]))
}

/// `GET /api/credentials`. A failure is an empty list and a line in the log, as in the legacy.
pub async fn list(State(app): State<AppState>, _: Admin, RawQuery(query): RawQuery) -> JsonReply {
    let parameter = |name| first(query.as_deref(), name);
    let filter = credential_filter(
        parameter("site_id").as_deref(),
        parameter("connection_type").as_deref(),
    );
    let found = match filter {
        Ok(filter) => app
            .credentials
            .list(filter)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let credentials = found.unwrap_or_else(|error| {
        tracing::error!("credential query failure: {error}");
        Vec::new()
    });
    JsonReply::ok(Json::object([(
        "credentials",
        Json::list(credentials.into_iter().map(shown)),
    )]))
}

/// `POST /api/credentials`
pub async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let credential = new_credential(&body)?;
    let made = app.credentials.create(credential, &caller).await?;
    Ok(answer(StatusCode::CREATED, shown(made)))
}

/// `GET /api/credentials/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<JsonReply, CredentialError> {
    let (credential, fingerprints) = app.credentials.read(row_id(&id)).await?;
    Ok(answer(
        StatusCode::OK,
        with_fingerprints(shown(credential), fingerprints),
    ))
}

/// `PUT /api/credentials/{id}`
pub async fn update(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let change = credential_change(&body)?;
    let changed = app.credentials.update(row_id(&id), change, &caller).await?;
    Ok(answer(StatusCode::OK, shown(changed)))
}

/// `DELETE /api/credentials/{id}`
pub async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<JsonReply, CredentialError> {
    app.credentials.delete(row_id(&id), &caller).await?;
    Ok(JsonReply::ok(Json::object([("status", "ok".into())])))
}
