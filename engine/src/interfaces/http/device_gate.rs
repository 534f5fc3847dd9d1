//! The device that calls: an extractor that answers before body or path are looked at.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};

use super::{compat::reply::JsonReply, state::AppState};
use crate::{
    repositories::Store,
    services::{
        access_tokens::TokenError,
        device_gate::{AuthenticatedDevice, DeviceStatus, GateError},
    },
};

/// A device with a good access token that may come in.
#[derive(Clone, Debug)]
pub struct Device(pub AuthenticatedDevice);

impl<S: Store> FromRequestParts<AppState<S>> for Device {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState<S>) -> Result<Self, Response> {
        let token = bearer_token(&parts.headers).ok_or_else(|| {
            JsonReply::error(StatusCode::UNAUTHORIZED, "missing_authorization").into_response()
        })?;
        let token =
            std::str::from_utf8(token).map_err(|_| GateError::from(TokenError::Invalid).into_response())?;
        let device = state
            .device_gate
            .admit(token, has_proof(&parts.headers))
            .await
            .map_err(|error| error.into_response())?;
        if device.status == DeviceStatus::Quarantined {
            tracing::warn!(
                "device {} is quarantined; limited access for {}",
                device.guid,
                parts.uri.path().escape_debug()
            );
        }
        Ok(Self(device))
    }
}

/// What follows `Bearer ` in the `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let token = headers
        .get(header::AUTHORIZATION)?
        .as_bytes()
        .strip_prefix(b"Bearer ")?
        .trim_ascii();
    (!token.is_empty()).then_some(token)
}

/// Whether there is a DPoP proof; an empty header is none.
pub(super) fn has_proof(headers: &HeaderMap) -> bool {
    headers
        .get_all("dpop")
        .iter()
        .any(|proof| !proof.as_bytes().trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_token_follows_exactly_one_word() {
        let token = |text| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(text))]);
            bearer_token(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(token("Bearer   a.b"), Some(b"a.b".to_vec()));
        for text in ["", "Bearer", "Bearer  ", "bearer a", "Basic a", " Bearer a"] {
            assert_eq!(token(text), None, "{text:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }

    #[test]
    fn an_empty_proof_is_none() {
        let mut headers = HeaderMap::new();
        assert!(!has_proof(&headers));
        headers.append("DPoP", HeaderValue::from_static(""));
        assert!(!has_proof(&headers));
        headers.append("DPoP", HeaderValue::from_static("x"));
        assert!(has_proof(&headers));
    }
}
