//! How sessions of sockets are opened. Recordings do not hold it, so what the contract says of the legacy stands in for it.

use crate::normalize::OPENED;
use serde_json::{Number, Value, json};

/// Bytes of a message: the limit that the legacy announces, and the one that the register decides.
const LIMITS: (u64, u64) = (1_000_000, 100_000_000);

/// How the legacy opens a session over a transport, in the form of [`crate::socket_io::Opening`].
fn contract(over: &str) -> Value {
    let upgrades: &[&str] = if over == "polling" { &["websocket"] } else { &[] };
    json!({
        "over": over,
        "says": {
            "sid": "<20 characters>",
            "upgrades": upgrades,
            "pingTimeout": 20_000,
            "pingInterval": 25_000,
            "maxPayload": LIMITS.0,
        },
        "written": "compact",
    })
}

/// What the legacy's sockets received with what the contract says of those of which nobody knows how they were opened, where
/// it is known of the engine's; nothing where there are none.
pub(super) fn by_the_contract(legacy: &Value, engine: &Value) -> Option<Value> {
    let (theirs, ours) = (
        legacy.get(SOCKETS)?.as_object()?,
        engine.get(SOCKETS)?.as_object()?,
    );
    let unknown: Vec<(&String, &str)> = theirs
        .iter()
        .filter(|(_, socket)| socket.get(OPENED).is_none())
        .filter_map(|(name, _)| Some((name, ours.get(name)?.get(OPENED)?.get("over")?.as_str()?)))
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let mut filled = legacy.clone();
    for (name, over) in unknown {
        let socket = filled.get_mut(SOCKETS)?.get_mut(name)?.as_object_mut()?;
        socket.insert(OPENED.to_owned(), contract(over));
    }
    Some(filled)
}

const SOCKETS: &str = "sockets";

/// Whether two numbers are the limits that the register decides on, each on its side.
pub(super) fn is_the_decided_limit(path: &str, legacy: &Number, engine: &Number) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    matches!(
        segments.as_slice(),
        ["", SOCKETS, _, OPENED, "says", "maxPayload"]
    ) && (legacy.as_u64(), engine.as_u64()) == (Some(LIMITS.0), Some(LIMITS.1))
}
