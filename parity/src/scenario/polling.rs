//! Engine.IO payloads in the answers to plain requests.

use serde_json::Value;

/// Stands between the packets of a payload.
const SEPARATOR: char = '\u{1e}';

/// Where the endpoint lies.
pub const ENDPOINT: &str = "/socket.io/";

/// One packet of a payload: what stands before its JSON, and the JSON. A packet without JSON is all text.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Types, attachments, namespace and id: `0`, `40`, `420`, `451-`; or the whole packet.
    pub head: String,
    /// The JSON.
    pub data: Option<Value>,
}

/// The packets of a payload.
pub fn parts(payload: &str) -> Vec<Part> {
    payload
        .split(SEPARATOR)
        .map(|packet| {
            let start = packet.find(['{', '[', '"']).unwrap_or(packet.len());
            let (head, json) = packet.split_at_checked(start).unwrap_or((packet, ""));
            match serde_json::from_str(json) {
                Ok(data) => Part {
                    head: head.to_owned(),
                    data: Some(data),
                },
                Err(_) => Part {
                    head: packet.to_owned(),
                    data: None,
                },
            }
        })
        .collect()
}

/// The first value that a pointer finds in a payload's packets.
pub fn find(payload: &str, pointer: &str) -> Option<Value> {
    parts(payload)
        .iter()
        .filter_map(|part| part.data.as_ref())
        .find_map(|data| data.pointer(pointer).cloned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packets_are_split_into_head_and_data() {
        let payload = "2\u{1e}40{\"sid\":\"x\"}\u{1e}451-[\"a\"]\u{1e}bAAEC\u{1e}4{broken";
        let found: Vec<_> = parts(payload)
            .into_iter()
            .map(|part| (part.head, part.data))
            .collect();
        let expected = [
            ("2", None),
            ("40", Some(json!({"sid": "x"}))),
            ("451-", Some(json!(["a"]))),
            ("bAAEC", None),
            ("4{broken", None),
        ];
        assert_eq!(found, expected.map(|(head, data)| (head.to_owned(), data)));
        assert_eq!(find(payload, "/sid"), Some(json!("x")));
        assert_eq!(find("", "/sid"), None);
    }
}
