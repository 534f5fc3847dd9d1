//! The operator's two cookies, byte for byte as the legacy makes and reads them: a login made on either server is
//! valid on the other while both have the same secret.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::{headers::joined, json_reader, json_writer, signed_value::Signer};
use crate::{
    config::settings::{CookieSettings, Settings},
    domain::json::{Json, JsonObject},
    services::operators::Operator,
};

/// How long a session cookie is believed, in seconds: 31 days.
const SESSION_MAX_AGE: i64 = 2_678_400;
const SESSION_COOKIE: &str = "session";
const TOKEN_COOKIE: &str = "borealis_auth";
/// A moment in the past: browsers drop the cookie.
const GONE: &str = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// The content of the session cookie, and whether this request changed it: only then the cookie is sent.
#[derive(Debug, Default)]
pub struct Session {
    members: JsonObject,
    changed: bool,
}

impl Session {
    /// A member.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.get(name)
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
    /// The operator token, also told in the body.
    pub token: String,
    /// The values of `Set-Cookie`, in order.
    pub set_cookie: Vec<HeaderValue>,
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
        }
    }

    /// The user name that the request's session cookie, bearer token or `borealis_auth` cookie names, in this order.
    /// A bearer value that is no good does not fall back to the cookie.
    pub fn identify(&self, headers: &HeaderMap, now: i64) -> Option<String> {
        if let Some(name) = self.open(headers, now).get("username").and_then(Json::as_text)
            && !name.is_empty()
        {
            return Some(name.to_owned());
        }
        let token = bearer(headers).or_else(|| cookie(headers, TOKEN_COOKIE))?;
        let payload = self.token.verify(&token, now, self.token_ttl?)?;
        let payload = json_reader::read(&payload).ok()?;
        payload
            .get("u")
            .and_then(Json::as_text)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }

    /// The cookies of a completed login. What else the session holds is kept.
    pub fn login(&self, mut session: Session, operator: &Operator, now: i64) -> LoginCookies {
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
        let set_cookie = [self.live(TOKEN_COOKIE, &token, false), self.save(session, now)];
        LoginCookies {
            token,
            set_cookie: set_cookie.into_iter().flatten().collect(),
        }
    }

    /// The cookies that a logout sends.
    pub fn logout(&self) -> Vec<HeaderValue> {
        // The legacy clears this one without its domain, so that a browser keeps it where one is set (OPR-9).
        let token = if self.cookies.domain.is_some() {
            self.cleared(TOKEN_COOKIE, "", false)
        } else {
            HeaderValue::try_from(format!("{TOKEN_COOKIE}=; {GONE}; Path=/")).ok()
        };
        [token, self.cleared(SESSION_COOKIE, "; Max-Age=0", true)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The session of a request; empty where its cookie is missing, too old or not signed by this secret.
    pub fn open(&self, headers: &HeaderMap, now: i64) -> Session {
        let members = cookie(headers, SESSION_COOKIE)
            .and_then(|value| self.session.verify(&value, now, SESSION_MAX_AGE))
            .and_then(|payload| match json_reader::read(&payload) {
                Ok(Json::Object(members)) => Some(members),
                _ => None,
            })
            .unwrap_or_default();
        Session {
            members,
            changed: false,
        }
    }

    /// The value of `Set-Cookie` for a session; `None` where this request did not change it.
    pub fn save(&self, session: Session, now: i64) -> Option<HeaderValue> {
        if !session.changed {
            return None;
        }
        if session.members.is_empty() {
            return self.cleared(SESSION_COOKIE, "; Max-Age=0", true);
        }
        let payload = json_writer::write(&Json::Object(session.members));
        self.live(SESSION_COOKIE, &self.session.sign(&payload, now), true)
    }

    fn live(&self, name: &str, value: &str, http_only: bool) -> Option<HeaderValue> {
        self.attributed(&format!("{name}={value}"), "", http_only)
    }

    fn cleared(&self, name: &str, max_age: &str, http_only: bool) -> Option<HeaderValue> {
        self.attributed(&format!("{name}="), &format!("; {GONE}{max_age}"), http_only)
    }

    /// Attributes in the legacy's order: `Domain`, expiry, `Secure`, `HttpOnly`, `Path`, `SameSite`.
    fn attributed(&self, pair: &str, expiry: &str, http_only: bool) -> Option<HeaderValue> {
        let domain = self
            .cookies
            .domain
            .as_ref()
            .map(|domain| format!("; Domain={domain}"))
            .unwrap_or_default();
        let secure = if self.cookies.secure { "; Secure" } else { "" };
        let http_only = if http_only { "; HttpOnly" } else { "" };
        let same_site = &self.cookies.same_site;
        HeaderValue::try_from(format!(
            "{pair}{domain}{expiry}{secure}{http_only}; Path=/; SameSite={same_site}"
        ))
        .ok()
    }
}

/// The token of `Authorization: Bearer …`, the scheme in any letter case.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = joined(headers, header::AUTHORIZATION)?;
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer ") && !token.is_empty()).then(|| token.to_owned())
}

/// The first cookie of this name; double quotes around its value are taken off.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = value.trim();
            let unquoted = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value);
            (key.trim() == name).then(|| unquoted.to_owned())
        })
}

#[cfg(test)]
mod tests;
