//! The operator's two cookies, byte for byte as the legacy makes and reads them: a login made on either server is
//! valid on the other while both have the same secret.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::{
    cookies::cookie,
    headers::joined,
    json_reader, json_writer,
    signed_value::{Signer, issue_of},
};
use crate::{
    config::{
        cookies::CookieSettings,
        settings::{AccessPolicy, Settings},
    },
    domain::{
        json::{Json, JsonObject},
        operator_session::{Issue, OperatorCredential, SESSION_MAX_AGE},
        text::python_trim,
    },
    services::operators::Operator,
};

const SESSION_COOKIE: &str = "session";
const TOKEN_COOKIE: &str = "borealis_auth";
const BROWSER_COOKIE: &str = "borealis_browser";
const SOCKET_COOKIE: &str = "borealis_socket";
/// Characters of its value: 16 bytes in base64.
const BROWSER_ID: usize = 22;
/// A moment in the past: browsers drop the cookie.
const GONE: &str = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// The content of the session cookie, and whether this request changed it: only then the cookie is sent.
#[derive(Debug, Default)]
pub struct Session {
    members: JsonObject,
    issue: Option<Issue>,
    changed: bool,
}

impl Session {
    /// A member.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.get(name)
    }

    /// When and how it was signed; `None` where there was none.
    pub fn issue(&self) -> Option<&Issue> {
        self.issue.as_ref()
    }

    /// Sets a member. This counts as a change even where it had this value before, as in the legacy.
    pub fn set(&mut self, name: &str, value: Json) {
        self.members.insert(name.to_owned(), value);
        self.changed = true;
    }

    /// Removes a member; nothing is changed where there is none.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let member = self.members.shift_remove(name);
        self.changed |= member.is_some();
        member
    }
}

/// Writes and reads the cookies.
#[derive(Clone, Debug)]
pub struct SessionCodec {
    session: Signer,
    token: Signer,
    token_ttl: Option<i64>,
    cookies: CookieSettings,
    /// Whether cookies of requests that come over TLS are kept to TLS.
    follows_tls: bool,
}

/// How a request came, as far as its cookies depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// Over TLS, by this server's own listener or the word of a proxy that is trusted.
    Tls,
    /// In the clear.
    Plain,
}

/// The payload of an operator token, in the legacy's order.
#[derive(Debug, Deserialize, Serialize)]
struct TokenPayload {
    u: String,
    r: String,
    ts: i64,
}

/// What a completed login hands out.
#[derive(Debug)]
pub struct LoginCookies {
    /// The operator token, also sent in the body.
    pub token: String,
    /// The values of `Set-Cookie`, in order.
    pub set_cookie: Vec<HeaderValue>,
    /// By what both are known.
    pub issues: Vec<Issue>,
}

/// A session cookie that is sent.
#[derive(Debug)]
pub struct SavedSession {
    /// The value of `Set-Cookie`.
    pub set_cookie: HeaderValue,
    /// By what it is known; `None` where the cookie is deleted.
    pub issue: Option<Issue>,
}

impl SessionCodec {
    /// Signs with the settings' secret.
    pub fn new(settings: &Settings) -> Self {
        let secret = settings.session_secret.expose();
        Self {
            session: Signer::session(secret),
            token: Signer::operator_token(secret),
            token_ttl: settings.operator_token_ttl,
            cookies: settings.cookies.clone(),
            follows_tls: settings.access_policy == AccessPolicy::Strict,
        }
    }

    /// Whom the request claims to come from: by session cookie, bearer token or `borealis_auth` cookie, in this order.
    /// A bearer value that is no good does not fall back to the cookie.
    pub fn identify(&self, headers: &HeaderMap, now: i64) -> Option<OperatorCredential> {
        let by_token = || {
            let token = bearer(headers).or_else(|| cookie(headers, TOKEN_COOKIE))?;
            self.read_token(&token, now)
        };
        self.read_session(headers, now).or_else(by_token)
    }

    /// Every credential that a request shows.
    pub fn credentials(&self, headers: &HeaderMap, now: i64) -> Vec<OperatorCredential> {
        let tokens = [bearer(headers), cookie(headers, TOKEN_COOKIE)];
        let by_token = tokens
            .into_iter()
            .flatten()
            .filter_map(|token| self.read_token(&token, now));
        self.read_session(headers, now)
            .into_iter()
            .chain(by_token)
            .collect()
    }

    /// Whether a request has one of the cookies that operators are known by, good or not.
    pub fn has_cookie(headers: &HeaderMap) -> bool {
        [SESSION_COOKIE, TOKEN_COOKIE]
            .iter()
            .any(|name| cookie(headers, name).is_some_and(|value| !value.is_empty()))
    }

    fn read_session(&self, headers: &HeaderMap, now: i64) -> Option<OperatorCredential> {
        let session = self.open(headers, now);
        credential(session.get("username")?, session.issue.clone()?)
    }

    fn read_token(&self, token: &str, now: i64) -> Option<OperatorCredential> {
        let signed = self.token.verify(token, now, self.token_ttl?)?;
        let payload = json_reader::read(&signed.payload).ok()?;
        credential(payload.get("u")?, signed.issue)
    }

    /// The cookies of a completed login, signed at `now`. What else the session holds is kept.
    pub fn login(
        &self,
        mut session: Session,
        operator: &Operator,
        now: i64,
        arrival: Arrival,
    ) -> LoginCookies {
        let payload = TokenPayload {
            u: operator.username.clone(),
            r: operator.role.clone(),
            ts: now,
        };
        // A struct of texts and a number always becomes JSON.
        let token = self
            .token
            .sign(&serde_json::to_string(&payload).unwrap_or_default(), now);
        session.take("mfa_pending");
        session.set("username", operator.username.as_str().into());
        session.set("role", operator.role.as_str().into());
        let mut set_cookie: Vec<_> = self
            .live(TOKEN_COOKIE, &token, false, arrival)
            .into_iter()
            .collect();
        let mut issues = vec![issue_of(&token, now)];
        if let Some(saved) = self.save(session, now, arrival) {
            set_cookie.push(saved.set_cookie);
            issues.extend(saved.issue);
        }
        LoginCookies {
            token,
            set_cookie,
            issues,
        }
    }

    /// The cookies that a logout sends.
    pub fn logout(&self, arrival: Arrival) -> Vec<HeaderValue> {
        // The legacy clears this one bare, so that a browser keeps it where a domain is set (OPR-9). Under `strict` what
        // came over TLS is told so in every cookie.
        let attributed = self.cookies.domain.is_some() || (self.follows_tls && self.is_secure(arrival));
        let token = if attributed {
            self.cleared(TOKEN_COOKIE, "", false, arrival)
        } else {
            HeaderValue::try_from(format!("{TOKEN_COOKIE}=; {GONE}; Path=/")).ok()
        };
        [token, self.cleared(SESSION_COOKIE, "; Max-Age=0", true, arrival)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The session of a request; empty where its cookie is missing, too old or not signed by this secret.
    pub fn open(&self, headers: &HeaderMap, now: i64) -> Session {
        cookie(headers, SESSION_COOKIE)
            .and_then(|value| self.session.verify(&value, now, SESSION_MAX_AGE))
            .and_then(|signed| match json_reader::read(&signed.payload) {
                Ok(Json::Object(members)) => Some(Session {
                    members,
                    issue: Some(signed.issue),
                    changed: false,
                }),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// What is sent of a session, signed at `now`; `None` where this request did not change it.
    pub fn save(&self, session: Session, now: i64, arrival: Arrival) -> Option<SavedSession> {
        if !session.changed {
            return None;
        }
        if session.members.is_empty() {
            let set_cookie = self.cleared(SESSION_COOKIE, "; Max-Age=0", true, arrival)?;
            return Some(SavedSession {
                set_cookie,
                issue: None,
            });
        }
        let payload = json_writer::write(&Json::Object(session.members));
        let value = self.session.sign(&payload, now);
        Some(SavedSession {
            set_cookie: self.live(SESSION_COOKIE, &value, true, arrival)?,
            issue: Some(issue_of(&value, now)),
        })
    }

    /// The cookie by which this server knows a browser again.
    pub fn browser(&self, id: &str, arrival: Arrival) -> Option<HeaderValue> {
        let secure = if self.is_secure(arrival) { "; Secure" } else { "" };
        let same_site = &self.cookies.same_site;
        // Without the domain: it is of no use to another host.
        HeaderValue::try_from(format!(
            "{BROWSER_COOKIE}={id}{secure}; HttpOnly; Path=/; SameSite={same_site}"
        ))
        .ok()
    }

    /// The cookie by which the socket endpoint knows the client again that opened a connection by polling.
    pub fn socket(&self, key: &str, arrival: Arrival) -> Option<HeaderValue> {
        let secure = if self.is_secure(arrival) { "; Secure" } else { "" };
        let same_site = &self.cookies.same_site;
        HeaderValue::try_from(format!(
            "{SOCKET_COOKIE}={key}{secure}; HttpOnly; Path=/socket.io/; SameSite={same_site}"
        ))
        .ok()
    }

    fn is_secure(&self, arrival: Arrival) -> bool {
        let over_tls = self.follows_tls && arrival == Arrival::Tls;
        self.cookies.secure.unwrap_or(over_tls)
    }

    fn live(&self, name: &str, value: &str, http_only: bool, arrival: Arrival) -> Option<HeaderValue> {
        self.attributed(&format!("{name}={value}"), "", http_only, arrival)
    }

    fn cleared(&self, name: &str, max_age: &str, http_only: bool, arrival: Arrival) -> Option<HeaderValue> {
        self.attributed(
            &format!("{name}="),
            &format!("; {GONE}{max_age}"),
            http_only,
            arrival,
        )
    }

    /// Attributes in the legacy's order: `Domain`, expiry, `Secure`, `HttpOnly`, `Path`, `SameSite`.
    fn attributed(&self, pair: &str, expiry: &str, http_only: bool, arrival: Arrival) -> Option<HeaderValue> {
        let domain = self
            .cookies
            .domain
            .as_ref()
            .map(|domain| format!("; Domain={domain}"))
            .unwrap_or_default();
        let secure = if self.is_secure(arrival) { "; Secure" } else { "" };
        let http_only = if http_only { "; HttpOnly" } else { "" };
        let same_site = &self.cookies.same_site;
        HeaderValue::try_from(format!(
            "{pair}{domain}{expiry}{secure}{http_only}; Path=/; SameSite={same_site}"
        ))
        .ok()
    }
}

/// The id of the browser that a request comes from, where it was given one.
pub fn browser_id(headers: &HeaderMap) -> Option<String> {
    let is_well_formed = |id: &String| {
        id.len() == BROWSER_ID
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    cookie(headers, BROWSER_COOKIE).filter(is_well_formed)
}

/// What a request shows of the connection that its client opened by polling.
pub fn socket_key(headers: &HeaderMap) -> Option<String> {
    cookie(headers, SOCKET_COOKIE)
}

fn credential(username: &Json, issue: Issue) -> Option<OperatorCredential> {
    let username = username.as_text().filter(|name| !name.is_empty())?;
    Some(OperatorCredential {
        username: python_trim(username).to_owned(),
        issue,
    })
}

/// The token of `Authorization: Bearer …`, the scheme in any letter case.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = joined(headers, header::AUTHORIZATION)?;
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer ") && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests;
