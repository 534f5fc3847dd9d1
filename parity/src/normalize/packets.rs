//! Engine.IO payloads in the answers to plain requests.

use super::{Normalizer, Place, join};
use crate::mask::Mask;
use crate::scenario::polling::{ENDPOINT, parts};
use serde_json::{Map, Value, json};

/// Pings come on real time, which no replay repeats.
const PING: &str = "2";

/// Whether a label is that of a request to the endpoint.
pub(super) fn is_endpoint(label: &str) -> bool {
    let path = label.split_whitespace().nth(1);
    path.is_some_and(|path| path.starts_with(ENDPOINT))
}

impl Normalizer<'_> {
    /// `{"<packets>": [...]}`: each packet as the text before its JSON and the JSON; session ids get names.
    pub(super) fn packets(&mut self, step: u32, payload: &str) -> Value {
        let mut packets = Vec::new();
        for part in parts(payload) {
            if part.head == PING {
                self.masked.note(Mask::Ping);
                continue;
            }
            let path = join("/body/<packets>", &packets.len().to_string());
            let place = Place { step, path: &path };
            let mut packet = Map::new();
            packet.insert("packet".to_owned(), self.text(place, &part.head));
            if let Some(mut data) = part.data {
                self.name_sid(place, &mut data);
                packet.insert("data".to_owned(), self.value(place, "", &data));
            }
            packets.push(Value::Object(packet));
        }
        json!({ "<packets>": packets })
    }

    /// Ids of another length are another form.
    fn name_sid(&mut self, place: Place<'_>, data: &mut Value) {
        if let Some(Value::String(sid)) = data.get_mut("sid") {
            let form = format!("sid of {} characters", sid.chars().count());
            self.name(Mask::RandomValue, sid, &form, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_endpoint_has_payloads() {
        assert!(is_endpoint("GET /socket.io/?EIO=4 as p"));
        assert!(!is_endpoint("GET /socket.iox"));
        assert!(!is_endpoint("rows: SELECT 1"));
    }
}
