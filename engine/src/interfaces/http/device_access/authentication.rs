//! The device that calls: an extractor that answers before body or path are looked at.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};

use crate::{
    domain::{mask::shown, text::python_trim},
    interfaces::http::{
        compat::{headers::joined, reply::Answer},
        connections::RequestConnection,
        device_access::dpop::Proof,
        routing::ClientUri,
        state::AppState,
    },
    services::{
        audit::{self, Actor},
        device_access::authentication::{AuthenticatedDevice, DeviceStatus},
    },
};

/// The device that a call was authenticated as: its access token is valid and its row lets it call.
#[derive(Clone, Debug)]
pub struct Device(pub AuthenticatedDevice);

impl FromRequestParts<AppState> for Device {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let token = bearer_token(&parts.headers).ok_or_else(|| {
            Answer::error(StatusCode::UNAUTHORIZED, "missing_authorization").into_response()
        })?;
        let Ok(Proof(proof)) = Proof::from_request_parts(parts, state).await;
        let device = state
            .device_authenticator
            .authenticate(&token, proof.as_ref())
            .await
            .map_err(|error| error.into_response())?;
        if device.status == DeviceStatus::Quarantined {
            let path = parts
                .extensions
                .get::<ClientUri>()
                .map_or(parts.uri.path(), |ClientUri(uri)| uri.path());
            tracing::warn!(
                "device {} is quarantined; limited access for {}",
                device.guid,
                shown(path)
            );
        }
        RequestConnection::note_authenticated(parts);
        audit::acts(Actor::Device(device.guid.as_str()));
        Ok(Self(device))
    }
}

/// What follows `Bearer ` in the `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let value = joined(headers, header::AUTHORIZATION)?;
    let token = python_trim(value.strip_prefix("Bearer ")?);
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_token_follows_exactly_one_word() {
        let token = |text| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(text))]);
            bearer_token(&headers)
        };
        assert_eq!(token("Bearer   a.b").as_deref(), Some("a.b"));
        for text in ["", "Bearer", "Bearer  ", "bearer a", "Basic a", " Bearer a"] {
            assert_eq!(token(text), None, "{text:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }

    #[test]
    fn two_headers_are_one_with_a_comma() {
        let token = |lines: [&'static str; 2]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(line));
            }
            bearer_token(&headers)
        };
        assert_eq!(token(["Bearer a", "Bearer b"]).as_deref(), Some("a,Bearer b"));
        assert_eq!(token(["Basic a", "Bearer b"]), None);
        assert_eq!(token(["", "Bearer b"]), None);
    }
}
