//! A server that runs already, at a URL. Others may use it.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Capabilities, Target, TargetError,
    endpoint::{Endpoint, Url},
    http_client::{HttpError, Outgoing, Received, send},
    operator::Operator,
    tls::Verification,
};
use crate::{
    scenario::clock::real_time,
    transcript::{Keys, Left},
};

/// What it can do: nothing but answer.
pub const CAPABILITIES: Capabilities = Capabilities {
    clock: false,
    database: false,
    files: false,
    restart: false,
    upstream: false,
    fresh: false,
};

/// How often its clock is asked for.
const ASKED: usize = 3;
/// A Date header says the second.
const SECOND_US: i64 = 1_000_000;
const NOT_RESTARTED: &str = "a server at a URL is not parity's to restart";
const NO_FILES: &str = "the files of a server at a URL cannot be reached";

/// A server at a URL, as it is chosen.
#[derive(Clone, Debug)]
pub struct UrlSettings {
    /// As it was written.
    pub text: String,
    /// As it was read.
    pub url: Url,
    /// How its certificate is verified.
    pub verification: Verification,
    /// The secret that it signs cookies with, where it is known.
    pub secret: Option<String>,
    /// Who logs in there.
    pub operator: Operator,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// A server at a URL.
#[derive(Debug)]
pub struct Remote {
    endpoint: Endpoint,
    secret: Option<String>,
    skew_us: (i64, i64),
}

impl UrlSettings {
    /// Where it is found.
    ///
    /// # Errors
    /// If its certificate cannot be verified at all.
    pub fn endpoint(&self) -> Result<Endpoint, TargetError> {
        let tls = if self.url.is_tls {
            let config = self.verification.config();
            Some(config.map_err(|error| TargetError::Unreachable {
                reason: error.to_string(),
                cure: "name a file of certificates in PEM form",
            })?)
        } else {
            None
        };
        Ok(self.url.endpoint(tls, self.patience))
    }

    /// Reaches it, and compares its clock with this machine's.
    ///
    /// # Errors
    /// If nobody answers there.
    pub async fn reach(&self) -> Result<Remote, TargetError> {
        let endpoint = self.endpoint()?;
        let mut skew_us: Option<(i64, i64)> = None;
        for _ in 0..ASKED {
            let one = skew(&endpoint).await.map_err(|error| TargetError::Unreachable {
                cure: error.cure(),
                reason: error.to_string(),
            })?;
            if skew_us.is_none_or(|known| one.1 < known.1) {
                skew_us = Some(one);
            }
        }
        // What cannot be told from no difference is none.
        let (ahead, within) = skew_us.unwrap_or_default();
        let ahead = if ahead.abs() <= within { 0 } else { ahead };
        Ok(Remote {
            endpoint,
            secret: self.secret.clone(),
            skew_us: (ahead, within),
        })
    }
}

/// How far a server's clock is ahead, and how exactly that is known.
async fn skew(endpoint: &Endpoint) -> Result<(i64, i64), HttpError> {
    let ask = Outgoing {
        method: "GET".to_owned(),
        path: "/api/server/time".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let before = real_time().as_microsecond();
    let answer = send(endpoint, &ask).await?;
    let after = real_time().as_microsecond();
    Ok(skew_of(&answer, before, after))
}

fn skew_of(answer: &Received, before: i64, after: i64) -> (i64, i64) {
    let half = (after - before) / 2;
    let exact = || -> Option<i64> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let time: Timestamp = body.get("utc_iso")?.as_str()?.parse().ok()?;
        Some(time.as_microsecond())
    };
    let second = || -> Option<i64> {
        let mut headers = answer.headers.iter();
        let (_, date) = headers.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
        let date = jiff::fmt::rfc2822::parse(date).ok()?;
        Some(date.timestamp().as_microsecond() + SECOND_US / 2)
    };
    if let Some(time) = exact() {
        (time - (before + half), half)
    } else if let Some(time) = second() {
        (time - (before + half), half + SECOND_US / 2)
    } else {
        (0, half + SECOND_US)
    }
}

#[async_trait]
impl Target for Remote {
    fn endpoint(&self) -> Option<&Endpoint> {
        Some(&self.endpoint)
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn at(&self, _time: Timestamp) {}

    fn skew_us(&self) -> (i64, i64) {
        self.skew_us
    }

    fn process_id(&self) -> Option<u32> {
        None
    }

    fn database(&self) -> Option<PathBuf> {
        None
    }

    fn root(&self) -> Option<PathBuf> {
        None
    }

    async fn left(&self) -> Result<Option<Left>, TargetError> {
        Ok(None)
    }

    fn add_keys(&self, keys: &mut Keys) {
        keys.cookie_secret.clone_from(&self.secret);
    }

    fn place_file(&self, _path: &str, _bytes: &[u8], _time: Timestamp) -> Result<(), TargetError> {
        Err(TargetError::Cannot(NO_FILES))
    }

    async fn restart(&mut self) -> Result<(), TargetError> {
        Err(TargetError::Cannot(NOT_RESTARTED))
    }

    async fn stop(&mut self) -> Option<PathBuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::StatusLine;

    #[test]
    fn a_clock_that_is_ahead_is_known_as_exactly_as_the_answer_tells() {
        let answer = |body: &str, date: &str| Received {
            line: StatusLine {
                version: "1.1".to_owned(),
                status: 200,
                reason: "OK".to_owned(),
            },
            headers: vec![("date".to_owned(), date.to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let noon: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let noon = noon.as_microsecond();
        let exact = answer("{\"utc_iso\": \"2026-11-29T12:00:03.5Z\"}", "");
        assert_eq!(skew_of(&exact, noon, noon + 1000), (3_499_500, 500));
        let second = answer("no such page", "Sun, 29 Nov 2026 12:00:03 GMT");
        assert_eq!(skew_of(&second, noon, noon + 1000), (3_499_500, 500_500));
        assert_eq!(skew_of(&answer("", ""), noon, noon), (0, 1_000_000));
    }
}
