//! Socket.IO packets, protocol 5.

use serde_json::Value;

use super::binary;

/// A packet with more attachments is refused.
const MOST_ATTACHMENTS: usize = 256;

/// The namespace that everybody uses.
pub const ROOT: &str = "/";

#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// The namespace, with its slash.
    pub namespace: String,
    pub content: Content,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Joins the namespace, or says that it was joined.
    Connect(Option<Value>),
    /// Leaves the namespace.
    Disconnect,
    /// An event: its name and its arguments.
    Event {
        /// Where an acknowledgement is asked for.
        id: Option<u64>,
        name: String,
        /// The arguments; binary ones as [`binary`] writes them.
        arguments: Vec<Value>,
    },
    Ack {
        /// Of the event with this id.
        id: u64,
        /// What it carries.
        arguments: Vec<Value>,
    },
    /// The namespace was refused.
    ConnectError(Value),
}

/// Why something is no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Socket.IO packet: {0}")]
pub struct DecodeError(&'static str);

impl Packet {
    /// A packet of the root namespace.
    pub fn root(content: Content) -> Self {
        Self {
            namespace: ROOT.to_owned(),
            content,
        }
    }

    /// The text and its attachments.
    #[must_use]
    pub fn encode(&self) -> (String, Vec<Vec<u8>>) {
        let (kind, id, mut data) = match &self.content {
            Content::Connect(data) => ('0', None, data.clone()),
            Content::Disconnect => ('1', None, None),
            Content::Event { id, name, arguments } => {
                let mut all = vec![Value::String(name.clone())];
                all.extend(arguments.iter().cloned());
                ('2', *id, Some(Value::Array(all)))
            }
            Content::Ack { id, arguments } => ('3', Some(*id), Some(Value::Array(arguments.clone()))),
            Content::ConnectError(data) => ('4', None, Some(data.clone())),
        };
        let mut attachments = Vec::new();
        if let ('2' | '3', Some(data)) = (kind, &mut data) {
            binary::take_out(data, &mut attachments);
        }
        let mut text = match (kind, attachments.len()) {
            (_, 0) => kind.to_string(),
            ('2', count) => format!("5{count}-"),
            (_, count) => format!("6{count}-"),
        };
        if self.namespace != ROOT {
            text.push_str(&self.namespace);
            text.push(',');
        }
        if let Some(id) = id {
            text.push_str(&id.to_string());
        }
        if let Some(data) = data {
            text.push_str(&data.to_string());
        }
        (text, attachments)
    }
}

/// Puts packets together from texts and attachments.
#[derive(Debug, Default)]
pub struct Decoder {
    /// A packet that still waits for attachments.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    head: Head,
    attachments: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Head {
    kind: char,
    attachments: usize,
    namespace: String,
    id: Option<u64>,
    data: Option<Value>,
}

impl Decoder {
    /// Takes a text. `None` if the packet needs attachments first.
    ///
    /// # Errors
    /// If it is no packet, or attachments of the one before are missing.
    pub fn text(&mut self, text: &str) -> Result<Option<Packet>, DecodeError> {
        if self.open.take().is_some() {
            return Err(DecodeError("a text where an attachment is due"));
        }
        let head = head(text)?;
        if head.attachments == 0 {
            return finish(head, &[]).map(Some);
        }
        self.open = Some(Open {
            head,
            attachments: Vec::new(),
        });
        Ok(None)
    }

    /// Takes an attachment. The packet, if this was its last one.
    ///
    /// # Errors
    /// If none is due, or a placeholder names none.
    pub fn binary(&mut self, bytes: Vec<u8>) -> Result<Option<Packet>, DecodeError> {
        let mut open = self
            .open
            .take()
            .ok_or(DecodeError("an attachment that belongs to nothing"))?;
        open.attachments.push(bytes);
        if open.attachments.len() == open.head.attachments {
            return finish(open.head, &open.attachments).map(Some);
        }
        self.open = Some(open);
        Ok(None)
    }
}

fn head(text: &str) -> Result<Head, DecodeError> {
    let mut characters = text.chars();
    let kind = characters.next().ok_or(DecodeError("it is empty"))?;
    let mut rest = characters.as_str();
    let mut attachments = 0;
    if matches!(kind, '5' | '6') {
        let (count, after) = rest
            .split_once('-')
            .ok_or(DecodeError("no number of attachments"))?;
        attachments = number(count)
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| *count <= MOST_ATTACHMENTS)
            .ok_or(DecodeError("no number of attachments that can be"))?;
        rest = after;
    } else if !matches!(kind, '0'..='4') {
        return Err(DecodeError("an unknown type"));
    }
    let mut namespace = ROOT.to_owned();
    if rest.starts_with('/') {
        let (found, after) = rest.split_once(',').unwrap_or((rest, ""));
        // The query that old clients append says nothing about the namespace.
        namespace = found.split('?').next().unwrap_or(found).to_owned();
        rest = after;
    }
    let digits = rest.len()
        - rest
            .trim_start_matches(|digit: char| digit.is_ascii_digit())
            .len();
    let mut id = None;
    if let ('2' | '3' | '5' | '6', Some((digits, after))) = (kind, rest.split_at_checked(digits))
        && !digits.is_empty()
    {
        id = Some(number(digits).ok_or(DecodeError("an id that is too large"))?);
        rest = after;
    }
    let data = if rest.is_empty() {
        None
    } else {
        Some(serde_json::from_str(rest).map_err(|_| DecodeError("its data is no JSON"))?)
    };
    Ok(Head {
        kind,
        attachments,
        namespace,
        id,
        data,
    })
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn finish(head: Head, attachments: &[Vec<u8>]) -> Result<Packet, DecodeError> {
    let Head {
        kind,
        namespace,
        id,
        mut data,
        ..
    } = head;
    if let ('5' | '6', Some(data)) = (kind, &mut data) {
        binary::put_in(data, attachments).ok_or(DecodeError("a placeholder names no attachment"))?;
    }
    let content = match (kind, id, data) {
        ('0', None, data) => Content::Connect(data),
        ('1', None, _) => Content::Disconnect,
        ('2' | '5', id, Some(Value::Array(all))) => {
            let mut all = all.into_iter();
            match all.next() {
                Some(Value::String(name)) => Content::Event {
                    id,
                    name,
                    arguments: all.collect(),
                },
                _ => return Err(DecodeError("an event without a name")),
            }
        }
        ('3' | '6', Some(id), Some(Value::Array(arguments))) => Content::Ack { id, arguments },
        ('4', None, data) => Content::ConnectError(data.unwrap_or_default()),
        _ => return Err(DecodeError("fields that do not belong together")),
    };
    Ok(Packet { namespace, content })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decode(text: &str, attachments: &[Vec<u8>]) -> Result<Option<Packet>, DecodeError> {
        let mut decoder = Decoder::default();
        let mut found = decoder.text(text)?;
        for bytes in attachments {
            found = decoder.binary(bytes.clone())?;
        }
        Ok(found)
    }

    fn event(id: Option<u64>, name: &str, arguments: &[Value]) -> Packet {
        Packet::root(Content::Event {
            id,
            name: name.to_owned(),
            arguments: arguments.to_vec(),
        })
    }

    #[test]
    fn texts_are_those_of_the_protocol() {
        let cases = [
            ("0", Packet::root(Content::Connect(None))),
            (
                "0{\"sid\":\"x\"}",
                Packet::root(Content::Connect(Some(json!({"sid": "x"})))),
            ),
            ("1", Packet::root(Content::Disconnect)),
            ("2[\"a\"]", event(None, "a", &[])),
            (
                "27[\"a\",null,{}]",
                event(Some(7), "a", &[json!(null), json!({})]),
            ),
            (
                "30[]",
                Packet::root(Content::Ack {
                    id: 0,
                    arguments: vec![],
                }),
            ),
            (
                "4/other,\"Unable to connect\"",
                Packet {
                    namespace: "/other".to_owned(),
                    content: Content::ConnectError(json!("Unable to connect")),
                },
            ),
        ];
        for (text, packet) in cases {
            assert_eq!(packet.encode(), (text.to_owned(), vec![]));
            assert_eq!(decode(text, &[]), Ok(Some(packet)));
        }
        let binary = event(None, "s", &[json!({"image": binary::value(&[0, 1, 2])})]);
        let text = "51-[\"s\",{\"image\":{\"_placeholder\":true,\"num\":0}}]";
        assert_eq!(binary.encode(), (text.to_owned(), vec![vec![0, 1, 2]]));
        assert_eq!(decode(text, &[vec![0, 1, 2]]), Ok(Some(binary)));
        assert_eq!(decode(text, &[]), Ok(None));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for text in [
            "",
            "9",
            "2",
            "2{}",
            "2[]",
            "2[5]",
            "3[]",
            "51[\"a\"]",
            "5999-[\"a\"]",
            "2[\"a\"",
        ] {
            assert!(decode(text, &[]).is_err(), "{text}");
        }
        assert!(decode("51-[\"a\",{\"_placeholder\":true,\"num\":1}]", &[vec![]]).is_err());
        assert!(Decoder::default().binary(vec![]).is_err());
        let mut decoder = Decoder::default();
        assert_eq!(decoder.text("51-[\"a\"]"), Ok(None));
        assert!(decoder.text("2[\"a\"]").is_err());
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| binary::value(&bytes)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z/,]{0,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(id in proptest::option::of(any::<u64>()), name in ".{0,9}", arguments in proptest::collection::vec(json_value(), 0..4)) {
            let packet = event(id, &name, &arguments);
            let (text, attachments) = packet.encode();
            prop_assert_eq!(decode(&text, &attachments), Ok(Some(packet)));
            let ack = Packet::root(Content::Ack { id: id.unwrap_or(3), arguments });
            let (text, attachments) = ack.encode();
            prop_assert_eq!(decode(&text, &attachments), Ok(Some(ack)));
        }

        #[test]
        fn what_is_decoded_is_encoded_again_and_what_is_refused_leaves_nothing_behind(
            text in prop_oneof![
                "[0-6]?.{0,40}",
                "[0-9/,\\[\\]\"a-]{0,24}",
                "[0-6]([0-3]-)?(/[a-z?]{0,3},)?[0-9]{0,3}(\\[\"[a-z]\"(,[0-9]|,null)?\\]|\\{\\}|[0-9]|\\[\\])?",
            ],
            bytes in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut decoder = Decoder::default();
            let mut decoded = decoder.text(&text);
            while decoded == Ok(None) {
                decoded = decoder.binary(bytes.clone());
            }
            match decoded {
                Ok(packet) => {
                    let (text, attachments) = packet.clone().unwrap().encode();
                    prop_assert_eq!(decode(&text, &attachments), Ok(packet));
                }
                Err(_) => prop_assert_eq!(decoder.text("2[\"a\"]"), Ok(Some(event(None, "a", &[])))),
            }
            prop_assert!(decoder.binary(bytes).is_err());
        }
    }
}
