//! `/api/credentials` and below. Secrets are never shown, sealed or not.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        path::storable_row_id,
        query::first,
        reply::{Answer, Status},
    },
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::credentials::{credential_change, credential_filter, new_credential},
    domain::{credentials::Credential, json::Json},
    services::credentials::{metadata, or_default, stored},
};

/// A credential as every listing shows it.
#[derive(Debug, Serialize)]
pub struct ListedCredential {
    id: i64,
    credential_type: String,
    connection_type: String,
    name: String,
    description: String,
    username: String,
    site_id: Json,
    site_name: Option<String>,
    become_method: String,
    become_username: String,
    has_password: bool,
    has_private_key: bool,
    has_private_key_passphrase: bool,
    has_become_password: bool,
    metadata: Json,
    created_at: i64,
    updated_at: i64,
}

impl From<Credential> for ListedCredential {
    fn from(credential: Credential) -> Self {
        let has = stored(&credential.secrets);
        Self {
            metadata: metadata(&credential).into(),
            id: credential.id,
            credential_type: or_default(&credential.credential_type, "machine").to_owned(),
            connection_type: or_default(&credential.connection_type, "ssh").to_owned(),
            name: credential.name,
            description: credential.description.unwrap_or_default(),
            username: credential.username.unwrap_or_default(),
            site_id: credential.site_id,
            site_name: credential.site_name,
            become_method: credential.become_method.unwrap_or_default(),
            become_username: credential.become_username.unwrap_or_default(),
            has_password: has.password,
            has_private_key: has.private_key,
            has_private_key_passphrase: has.private_key_passphrase,
            has_become_password: has.become_password,
            created_at: credential.created_at,
            updated_at: credential.updated_at,
        }
    }
}

/// All credentials, or those of a site or a kind of connection.
#[derive(Debug, Serialize)]
pub struct CredentialList {
    credentials: Vec<ListedCredential>,
}

#[derive(Debug, Serialize)]
pub struct One<T> {
    credential: T,
}

/// A credential with fingerprints of its secrets.
#[derive(Debug, Serialize)]
pub struct Fingerprinted {
    #[serde(flatten)]
    credential: ListedCredential,
    password_fingerprint: String,
    private_key_fingerprint: String,
    become_password_fingerprint: String,
}

/// The answer to whoever made or changed a credential.
type Changed = Answer<One<ListedCredential>>;

fn changed(status: StatusCode, credential: Credential) -> Changed {
    let credential = credential.into();
    Answer::new(status, One { credential })
}

/// `GET /api/credentials`. A failure is an empty list and a line in the log, as in the legacy.
pub async fn list(
    State(app): State<AppState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Answer<CredentialList> {
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
    Answer::ok(CredentialList {
        credentials: credentials.into_iter().map(Into::into).collect(),
    })
}

/// `POST /api/credentials`
pub async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    body: RawBody,
) -> Result<Changed, ErrorResponse> {
    let body = body.lenient().await?;
    let credential = new_credential(&body)?;
    let made = app.credentials.create(credential, &caller).await?;
    Ok(changed(StatusCode::CREATED, made))
}

/// `GET /api/credentials/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Answer<One<Fingerprinted>>, ErrorResponse> {
    let (credential, fingerprints) = app.credentials.read(storable_row_id(&id)?).await?;
    Ok(Answer::ok(One {
        credential: Fingerprinted {
            credential: credential.into(),
            password_fingerprint: fingerprints.password,
            private_key_fingerprint: fingerprints.private_key,
            become_password_fingerprint: fingerprints.become_password,
        },
    }))
}

/// `PUT /api/credentials/{id}`
pub async fn update(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<Changed, ErrorResponse> {
    let body = body.lenient().await?;
    let change = credential_change(&body)?;
    let credential = app
        .credentials
        .update(storable_row_id(&id)?, change, &caller)
        .await?;
    Ok(changed(StatusCode::OK, credential))
}

/// `DELETE /api/credentials/{id}`
pub async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    app.credentials.delete(storable_row_id(&id)?, &caller).await?;
    Ok(Answer::status("ok"))
}
