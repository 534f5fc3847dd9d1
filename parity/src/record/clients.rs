//! Who did what: an operator by the cookies of a session, a device by what the server has given it, anybody else by
//! nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::wire::{Exchange, header};
use crate::{scenario::agent::Agent, target::cookies::Jar};

/// Members of answers that belong to one device from then on.
const MARKS: [&str; 5] = [
    "approval_reference",
    "guid",
    "access_token",
    "refresh_token",
    "server_nonce",
];
/// The longest name that is made of something that a client said.
const LONGEST_NAME: usize = 32;

/// What is known of the clients so far.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// The cookies of each, as a replay will have them.
    jars: BTreeMap<String, Jar>,
    /// Whose a value is.
    marks: HashMap<String, String>,
    names: BTreeSet<String>,
}

/// Who asked, and the cookies that have to be written out because no client of the replay would send them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) name: Option<String>,
    pub(super) cookie: Option<String>,
}

/// The pairs of a `Cookie` header: their order means nothing.
fn pairs(cookie: &str) -> BTreeSet<&str> {
    cookie
        .split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .collect()
}

/// Every text in a JSON value, with the member that it stands in.
pub(super) fn texts<'a>(key: &'a str, value: &'a Value, found: &mut dyn FnMut(&'a str, &'a str)) {
    match value {
        Value::String(text) => found(key, text),
        Value::Array(items) => items.iter().for_each(|item| texts(key, item, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, item)| texts(key, item, found)),
        _ => {}
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A name of letters, digits and underscores.
fn plain(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .take(LONGEST_NAME)
        .collect();
    let name = name.trim_matches('_').to_owned();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("client_{name}").trim_end_matches('_').to_owned()
    }
}

impl Clients {
    pub(super) fn new(agents: &[Agent]) -> Self {
        let mut clients = Self::default();
        for agent in agents {
            clients.marks.insert(agent.pubkey(), agent.name.clone());
            clients.names.insert(agent.name.clone());
        }
        clients
    }

    /// Who asked this, and what its cookies are afterwards. Exchanges come in the order in which a replay does them.
    pub(super) fn exchange(&mut self, exchange: &Exchange) -> Who {
        let headers = &exchange.asked.headers;
        let asked = json(&exchange.asked.body.bytes);
        let answered = json(&exchange.answered.body.bytes);
        let device = self.device(headers, &asked);
        let sets: Vec<&str> = exchange
            .answered
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .map(|(_, value)| value.as_str())
            .collect();
        let who = match self.by_cookie(headers) {
            Some(who) => who,
            None => {
                let operator = || {
                    let is_login = exchange.asked.target.ends_with("/auth/login");
                    let name = asked.get("username").filter(|_| is_login)?.as_str()?;
                    Some(plain(name.trim()))
                };
                Who {
                    name: device.or_else(operator).map(|name| self.without_cookies(&name)),
                    cookie: None,
                }
            }
        };
        // A replay keeps cookies for those who have no name, too: whoever is given some gets one.
        let who = Who {
            name: who
                .name
                .or_else(|| (!sets.is_empty()).then(|| self.without_cookies("client"))),
            ..who
        };
        let now = Timestamp::from_microsecond(exchange.over.at_us).unwrap_or_default();
        if let Some(name) = &who.name {
            self.names.insert(name.clone());
            let jar = self.jars.entry(name.clone()).or_default();
            sets.iter().for_each(|set| jar.take(set, now));
            if exchange.asked.target.contains("/agent/") {
                let name = name.clone();
                texts("", &answered, &mut |key, text| {
                    if MARKS.contains(&key) {
                        self.marks.insert(text.to_owned(), name.clone());
                    }
                });
            }
        }
        who
    }

    /// Whose cookies a socket client sends.
    pub(super) fn socket(&self, headers: &[(String, String)]) -> Who {
        self.by_cookie(headers).unwrap_or(Who {
            name: None,
            cookie: None,
        })
    }

    /// Which device a request is of; a new one where it asks to be enrolled.
    fn device(&mut self, headers: &[(String, String)], asked: &Value) -> Option<String> {
        let bearer = header(headers, "authorization").and_then(|value| value.split_whitespace().nth(1));
        let mut found = bearer.and_then(|token| self.marks.get(token).cloned());
        texts("", asked, &mut |_, text| {
            if found.is_none() {
                found = self.marks.get(text).cloned();
            }
        });
        if found.is_some() {
            return found;
        }
        let key = asked.get("agent_pubkey")?.as_str()?;
        let hostname = asked.get("hostname").and_then(Value::as_str).unwrap_or("device");
        let name = self.free(&plain(hostname));
        self.names.insert(name.clone());
        self.marks.insert(key.to_owned(), name.clone());
        Some(name)
    }

    /// By the `Cookie` header; nothing where there is none.
    fn by_cookie(&self, headers: &[(String, String)]) -> Option<Who> {
        let cookie = header(headers, "cookie")?;
        let wanted = pairs(cookie);
        let jar = self
            .jars
            .iter()
            .find(|(_, jar)| jar.header().is_some_and(|there| pairs(&there) == wanted));
        let close = || {
            self.jars.iter().find(|(_, jar)| {
                jar.header()
                    .is_some_and(|there| !pairs(&there).is_disjoint(&wanted))
            })
        };
        Some(match jar {
            Some((name, _)) => Who {
                name: Some(name.clone()),
                cookie: None,
            },
            None => Who {
                name: close().map(|(name, _)| name.clone()),
                cookie: Some(cookie.to_owned()),
            },
        })
    }

    /// A client of this name, or one like it, that has no cookies.
    fn without_cookies(&self, name: &str) -> String {
        let has_none = |name: &String| self.jars.get(name).is_none_or(|jar| jar.header().is_none());
        (1..)
            .map(|number| numbered(name, number))
            .find(has_none)
            .unwrap_or_else(|| name.to_owned())
    }

    fn free(&self, name: &str) -> String {
        (1..)
            .map(|number| numbered(name, number))
            .find(|name| !self.names.contains(name))
            .unwrap_or_else(|| name.to_owned())
    }
}

/// The name, with a number from the second on.
pub(super) fn numbered(name: &str, number: usize) -> String {
    if number == 1 {
        name.to_owned()
    } else {
        format!("{name}_{number}")
    }
}
