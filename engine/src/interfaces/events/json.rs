//! JSON on the channel: read as the legacy reads it, and written as it writes it.

use std::borrow::Cow;

use bytes::Bytes;
use socketio_server::socket_io::{Data, Emit, Unreadable};

use crate::domain::{
    json::Json,
    json_reader::{JsonReader, Refused},
    json_text::push_wire_text,
    payload::{Payload, attachment_at, placeholder},
};

/// Characters of an integer in a packet, its sign included: the legacy's library drops packets with longer ones.
const LONGEST_INTEGER: usize = 100;

impl From<Refused> for UnreadableJson {
    fn from(refused: Refused) -> Self {
        Self(match refused {
            Refused::Unparsable => Unreadable::NotJson,
            Refused::TooManyValues => Unreadable::TooManyValues,
        })
    }
}

/// So that `?` can be used: neither type is of this crate.
struct UnreadableJson(Unreadable);

impl Data for Json {
    fn read(text: &str, most_values: usize) -> Result<Self, Unreadable> {
        let reader = JsonReader::within(most_values).integers_within(LONGEST_INTEGER);
        read(text, reader).map_err(|UnreadableJson(unreadable)| unreadable)
    }

    fn write(&self, output: &mut String) {
        push_wire_text(output, self);
    }

    fn items(&self) -> Option<&[Self]> {
        self.as_list()
    }

    fn into_items(self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        self.as_text()
    }

    fn is_object(&self) -> bool {
        self.as_object().is_some()
    }

    fn is_complete(&self, attachments: usize) -> bool {
        match self {
            Self::List(items) => items.iter().all(|item| item.is_complete(attachments)),
            Self::Object(members) => match placeholder(self) {
                Some(number) => attachment_at(number, attachments).is_some(),
                None => members.values().all(|member| member.is_complete(attachments)),
            },
            _ => true,
        }
    }
}

/// Reads the data of a packet. A result may hold whatever a script printed; every other text that is no JSON is
/// refused.
fn read(text: &str, reader: JsonReader) -> Result<Json, UnreadableJson> {
    let read = reader.read_text(text);
    // The rest pay nothing for it: texts with neither are read once.
    if read == Err(Refused::TooManyValues) || read.is_ok() && !text.contains("\\u0000") {
        return Ok(read?);
    }
    let replaced = reader.replacing().read_text(text)?;
    if names_result(&replaced) {
        return Ok(replaced);
    }
    Ok(read?)
}

/// Whether it is the event of a result.
fn names_result(data: &Json) -> bool {
    let name = data.as_list().and_then(|parts| parts.first());
    name.and_then(Json::as_text) == Some("quick_job_result")
}

/// A payload as the one argument of an event. Attachments are numbered in the order in which the value names them, and
/// those that it does not name are left out.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    value: Cow<'a, Json>,
    attachments: Vec<Bytes>,
}

impl<'a> Argument<'a> {
    pub(super) fn of(payload: &'a Payload) -> Self {
        if payload.attachments.is_empty() {
            return Self {
                value: Cow::Borrowed(&payload.value),
                attachments: Vec::new(),
            };
        }
        let mut renumbering = Renumbering {
            payload,
            used: Vec::new(),
        };
        Self {
            value: Cow::Owned(renumbering.apply(&payload.value)),
            attachments: renumbering.attachments(),
        }
    }

    /// An event with it; `null` makes one without argument, as with the legacy.
    pub(super) fn event<'b>(&'b self, name: &'b str) -> Emit<'b, Json> {
        let arguments = match &*self.value {
            Json::Null => &[][..],
            value => std::slice::from_ref(value),
        };
        Emit {
            attachments: self.attachments.clone(),
            ..Emit::new("/", name, arguments)
        }
    }
}

/// The attachments that an event names, each once, in the order in which it names them first.
#[derive(Debug)]
struct Renumbering<'a> {
    payload: &'a Payload,
    /// The old numbers, at their new ones.
    used: Vec<usize>,
}

impl Renumbering<'_> {
    // The reader bounds the depth.
    fn apply(&mut self, value: &Json) -> Json {
        if let Some(old) = self.payload.attachment_number(value) {
            let number = self.used.iter().position(|used| *used == old);
            let number = number.unwrap_or_else(|| {
                self.used.push(old);
                self.used.len() - 1
            });
            return Json::object([("_placeholder", true.into()), ("num", number.into())]);
        }
        match value {
            Json::List(items) => Json::List(items.iter().map(|item| self.apply(item)).collect()),
            Json::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), self.apply(member)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    fn attachments(self) -> Vec<Bytes> {
        let attachments = &self.payload.attachments;
        self.used
            .iter()
            .filter_map(|old| attachments.get(*old).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use socketio_server::engine_io::Frame;

    use super::*;
    use crate::domain::json_reader;

    fn frames(payload: &Payload) -> Vec<Frame> {
        Argument::of(payload).event("e").packets().frames().to_vec()
    }

    fn frames_of(json: &str) -> Vec<Frame> {
        frames(&json_reader::read_text(json).unwrap().into())
    }

    fn text(text: &str) -> Frame {
        Frame::Text(text.into())
    }

    #[test]
    fn events_are_written_as_the_legacy_writes_them() {
        assert_eq!(
            frames_of("{\"z\": 1.50, \"a\": [1e3, 123456789012345678901234567890, \"\u{e9}\u{1f600}/\"]}"),
            [text(
                "42[\"e\",{\"z\":1.5,\"a\":[1000.0,123456789012345678901234567890,\"\\u00e9\\ud83d\\ude00/\"]}]"
            )]
        );
        assert_eq!(frames_of("null"), [text("42[\"e\"]")]);
        assert_eq!(frames_of("[]"), [text("42[\"e\",[]]")]);
        // Nothing came with it, so this is no placeholder.
        let alike = "{\"_placeholder\":true,\"num\":0}";
        assert_eq!(frames_of(alike), [text(&format!("42[\"e\",{alike}]"))]);
    }

    #[test]
    fn attachments_are_numbered_anew_and_the_unnamed_left_out() {
        let payload = Payload {
            value: json_reader::read_text(
                "[{\"_placeholder\":true,\"num\":2},{\"_placeholder\":true,\"num\":0}]",
            )
            .unwrap(),
            attachments: vec![
                Bytes::from_static(b"a"),
                Bytes::from_static(b"b"),
                Bytes::from_static(b"c"),
            ],
        };
        assert_eq!(
            frames(&payload),
            [
                text("452-[\"e\",[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]]"),
                Frame::Binary(Bytes::from_static(b"c")),
                Frame::Binary(Bytes::from_static(b"a")),
            ]
        );
        assert!(payload.value.is_complete(3));
        assert!(!payload.value.is_complete(2));
    }

    #[test]
    fn placeholders_are_what_the_legacy_takes_for_them() {
        let relayed = |value: &str| {
            let value = json_reader::read_text(value).unwrap();
            let payload = Payload {
                attachments: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
                value,
            };
            let frames = frames(&payload);
            let attachments: Vec<_> = frames[1..].to_vec();
            (payload.value.is_complete(2), attachments)
        };
        let [a, b] = ["a", "b"].map(|bytes| Frame::Binary(bytes.into()));
        for (value, attachment) in [
            (r#"{"_placeholder":1,"num":0}"#, &a),
            (r#"{"_placeholder":"no","num":1,"x":2}"#, &b),
            (r#"{"_placeholder":true,"num":true}"#, &b),
            (r#"{"_placeholder":true,"num":false}"#, &a),
            (r#"{"_placeholder":true,"num":-1}"#, &b),
            (r#"{"_placeholder":true,"num":-2}"#, &a),
        ] {
            assert_eq!(relayed(value), (true, vec![attachment.clone()]), "{value}");
        }
        for (value, is_complete) in [
            (r#"{"_placeholder":0,"num":0}"#, true),
            (r#"{"_placeholder":true}"#, true),
            (r#"{"_placeholder":true,"num":2}"#, false),
            (r#"{"_placeholder":true,"num":-3}"#, false),
            (r#"{"_placeholder":true,"num":0.0}"#, false),
            (r#"{"_placeholder":true,"num":"0"}"#, false),
        ] {
            assert_eq!(relayed(value), (is_complete, vec![]), "{value}");
        }
    }

    #[test]
    fn an_integer_has_a_hundred_characters_at_most() {
        let read =
            |integer: &str| <Json as Data>::read(&format!("[\"macro_status\",{{\"n\":{integer}}}]"), 99);
        for (sign, digits, is_read) in [
            ("", 100, true),
            ("", 101, false),
            ("-", 99, true),
            ("-", 100, false),
        ] {
            let integer = format!("{sign}{}", "9".repeat(digits));
            assert_eq!(read(&integer).is_ok(), is_read, "{sign}{digits}");
            let result = format!("[\"quick_job_result\",\"\\u0000\",{integer}]");
            assert_eq!(
                <Json as Data>::read(&result, 99).is_ok(),
                is_read,
                "{sign}{digits}"
            );
        }
        // Floats have no such bound.
        assert!(read(&format!("{}.5", "9".repeat(200))).is_ok());
    }

    #[test]
    fn what_scripts_print_is_read_where_a_result_carries_it() {
        let printed = "\"\\u0000\\ud800\"";
        let result = <Json as Data>::read(&format!("[\"quick_job_result\",{printed}]"), usize::MAX).unwrap();
        assert_eq!(result.as_list().unwrap()[1], Json::from("\u{fffd}\u{fffd}"));
        let other = <Json as Data>::read(&format!("[\"macro_status\",{printed}]"), usize::MAX);
        assert_eq!(other, Err(Unreadable::NotJson));
        let many = <Json as Data>::read("[\"x\",[0,0,0,0,0,0,0,0]]", 5);
        assert_eq!(many, Err(Unreadable::TooManyValues));
    }

    proptest! {
        #[test]
        fn what_is_sent_reads_back(value in crate::domain::arbitrary::any_json()) {
            prop_assume!(!value.is_null());
            let frames = frames(&value.clone().into());
            let [Frame::Text(text)] = frames.as_slice() else { panic!("{frames:?}") };
            let data = <Json as Data>::read(text.get(2..).unwrap(), usize::MAX).unwrap();
            prop_assert_eq!(data.as_list(), Some(&["e".into(), value][..]));
        }
    }
}
