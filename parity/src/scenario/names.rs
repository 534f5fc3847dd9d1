//! How steps are called. A step has the name that the file gives it, or else one that follows from what it does.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{
    model::{Action, Step},
    socket::SocketAct,
};

/// What `upstream.asks` calls the time before the first step.
pub(crate) const START: &str = "start";
/// What the register calls that which is seen once the steps are over: what the server asked of GitHub, what the sockets
/// received, what the server left.
pub(crate) const AFTER_THE_STEPS: [&str; 3] = ["asked", "heard", "left"];
/// A path in a name is cut here.
const LONGEST: usize = 60;

/// The table that a statement is about.
static TABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)^\s*(?:(update)|(insert)(?:\s+or\s+[a-z]+)?\s+into|(delete)\s+from)\s+["\[`]?([a-z0-9_]+)"#,
    )
    .ok()
});
static FROM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\bfrom\s+["\[`]?([a-z0-9_]+)"#).ok());

/// What a step is called by what it does, before repeats are numbered.
pub(super) fn base(step: &Step, queries: &[(String, String)]) -> String {
    let name = match &step.action {
        Action::Http(request) => format!("{} {}", request.method, short_path(&request.path)),
        Action::Rows { statement, .. } => match queries.iter().find(|(_, text)| text == statement) {
            Some((query, _)) => format!("rows {query}"),
            None => table(statement).map_or_else(|| "rows".to_owned(), |table| format!("rows {table}")),
        },
        Action::Sql { statement, .. } => {
            captured(&TABLE, statement).map_or_else(|| "sql".to_owned(), |words| words.to_lowercase())
        }
        Action::Make { name, .. } => format!("make {name}"),
        Action::Set(values) => values
            .first()
            .map_or_else(|| "set".to_owned(), |(name, _)| format!("set {name}")),
        Action::Wait { .. } => "wait".to_owned(),
        Action::Restart => "restart".to_owned(),
        Action::File { path, .. } => format!("file {path}"),
        Action::Check(_) => "check".to_owned(),
        Action::Socket(socket) => {
            let client = &socket.client;
            match &socket.act {
                SocketAct::Connect(_) => format!("{client} connects"),
                SocketAct::Emit(emit) => format!("{client} emits {}", emit.event),
                SocketAct::Receive(event) => format!("{client} receives {event}"),
                SocketAct::Silence(event) => format!("{client} hears no {event}"),
                SocketAct::Disconnect => format!("{client} disconnects"),
            }
        }
    };
    tidy(&name)
}

/// The first table that a query reads.
pub(super) fn table(statement: &str) -> Option<String> {
    captured(&FROM, statement)
}

/// Whether no step may have the name, because it stands for something else.
pub(super) fn is_taken(name: &str) -> bool {
    name == START || AFTER_THE_STEPS.contains(&name)
}

/// One line without needless space, not too long.
pub(super) fn tidy(name: &str) -> String {
    let words: Vec<&str> = name
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    if line.chars().count() <= LONGEST {
        line
    } else {
        line.chars().take(LONGEST).chain("…".chars()).collect()
    }
}

/// All words that the pattern catches.
fn captured(pattern: &LazyLock<Option<Regex>>, text: &str) -> Option<String> {
    let found = pattern.as_ref()?.captures(text)?;
    let words: Vec<&str> = found.iter().skip(1).flatten().map(|word| word.as_str()).collect();
    Some(words.join(" "))
}

/// A path without what every path has: `/api`, whose routes they are, the query and what stands for a value.
fn short_path(path: &str) -> String {
    let mut segments: Vec<&str> = path
        .split('?')
        .next()
        .unwrap_or_default()
        .split('/')
        .filter(|segment| !segment.is_empty() && !segment.contains("${"))
        .collect();
    for prefix in [&["api"][..], &["admin", "agent"]] {
        if segments.len() > 1 && segments.first().is_some_and(|first| prefix.contains(first)) {
            segments.remove(0);
        }
    }
    if segments.is_empty() {
        "/".to_owned()
    } else {
        segments.join("/")
    }
}

/// Numbers repeats: the second step that does the same has ` 2` at its end. Steps that have a name of their own count
/// too, so that naming one leaves the others as they are called.
pub(super) fn number(bases: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for (at, base) in bases.iter().enumerate() {
        let before = bases.iter().take(at).filter(|other| *other == base).count();
        let mut times = before + 1;
        let mut name = numbered(base, times);
        while !taken.insert(name.clone()) {
            times += 1;
            name = numbered(base, times);
        }
        names.push(name);
    }
    names
}

fn numbered(base: &str, times: usize) -> String {
    if times == 1 {
        base.to_owned()
    } else {
        format!("{base} {times}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_short() {
        for (path, short) in [
            ("/api/admin/enrollment-codes?status=used", "enrollment-codes"),
            (
                "/api/admin/device-approvals/${a.id}/approve",
                "device-approvals/approve",
            ),
            ("/api/agent/enroll/poll", "enroll/poll"),
            ("/api/agent", "agent"),
            ("/health", "health"),
            ("/", "/"),
            ("/${repeat:a:8000}", "/"),
        ] {
            assert_eq!(short_path(path), short);
        }
    }

    #[test]
    fn repeats_are_numbered_and_no_two_are_alike() {
        let bases = ["a", "b", "a", "a 2", "a", "a 2"].map(str::to_owned);
        assert_eq!(number(&bases), ["a", "b", "a 2", "a 2 2", "a 3", "a 2 3"]);
    }
}
