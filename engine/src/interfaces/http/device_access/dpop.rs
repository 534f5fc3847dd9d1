//! The DPoP proof that came with a request: an extractor that never fails.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{
    domain::dpop::PresentedProof,
    interfaces::http::{
        compat::{address::current_url, forwarded::Caller, headers::joined},
        routing::ClientUri,
    },
};

/// The proof, and the request that it is to prove; an empty header is none.
#[derive(Clone, Debug)]
pub struct Proof(pub Option<PresentedProof>);

impl<S: Sync> FromRequestParts<S> for Proof {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(presented(parts)))
    }
}

fn presented(parts: &Parts) -> Option<PresentedProof> {
    let proof = joined(&parts.headers, "dpop").filter(|proof| !proof.is_empty())?;
    let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
    let uri = parts
        .extensions
        .get::<ClientUri>()
        .map_or(&parts.uri, |ClientUri(uri)| uri);
    Some(PresentedProof {
        proof,
        method: parts.method.as_str().to_owned(),
        url: current_url(&caller, uri),
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn proof(lines: &[&str]) -> Option<PresentedProof> {
        let mut request = Request::builder()
            .method("POST")
            .uri("/7/x")
            .extension(ClientUri("/x?y".parse().unwrap()));
        for line in lines {
            request = request.header("DPoP", *line);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        presented(&parts)
    }

    #[test]
    fn a_proof_comes_with_the_address_that_the_client_sent() {
        let presented = proof(&["a"]).unwrap();
        assert_eq!(
            (presented.proof.as_str(), presented.method.as_str()),
            ("a", "POST")
        );
        assert_eq!(presented.url, "http://localhost/x?y");
    }

    #[test]
    fn an_empty_proof_is_none_and_two_are_no_good_one() {
        assert_eq!(proof(&[]), None);
        assert_eq!(proof(&[""]), None);
        assert_eq!(proof(&["a", "a"]).unwrap().proof, "a,a");
    }
}
