//! What events carry.

use bytes::Bytes;

use super::json::{Json, JsonObject};

/// What an event carries: its one argument. `null` is sent as an event without argument, as the legacy does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// The argument; with attachments, a [`placeholder`] in it stands for one of them.
    pub value: Json,
    /// Binary parts.
    pub attachments: Vec<Bytes>,
}

impl Payload {
    /// The members, if this carries an object. An attachment alone is none, though it is written like one.
    pub fn members(&self) -> Option<&JsonObject> {
        match self.attachment_number(&self.value) {
            None => self.value.as_object(),
            Some(_) => None,
        }
    }

    /// Whether a value inside this payload is truthy; an attachment is when it is not empty.
    pub fn is_truthy(&self, value: &Json) -> bool {
        self.attachment(value)
            .map_or_else(|| value.is_truthy(), |bytes| !bytes.is_empty())
    }

    /// The attachment that a value inside this payload stands for.
    pub fn attachment(&self, value: &Json) -> Option<&Bytes> {
        self.attachments.get(self.attachment_number(value)?)
    }

    /// Whether its text takes about so many bytes or more; no more of it is looked at than that takes.
    pub fn is_long(&self, bytes: usize) -> bool {
        fn takes(value: &Json, left: &mut usize) -> bool {
            let own = match value {
                Json::Text(text) => text.len(),
                _ => 1,
            };
            *left = left.saturating_sub(own);
            *left == 0
                || match value {
                    Json::List(items) => items.iter().any(|item| takes(item, left)),
                    Json::Object(members) => members.iter().any(|(name, member)| {
                        *left = left.saturating_sub(name.len());
                        takes(member, left)
                    }),
                    _ => false,
                }
        }
        takes(&self.value, &mut { bytes })
    }

    /// Which of the attachments a value inside this payload stands for.
    pub fn attachment_number(&self, value: &Json) -> Option<usize> {
        attachment_at(placeholder(value)?, self.attachments.len())
    }
}

/// What stands in place of an attachment: `{"_placeholder": true, "num": n}`, where anything truthy is as good as `true`.
/// Gives its number.
pub fn placeholder(value: &Json) -> Option<&Json> {
    value.get("_placeholder").filter(|mark| mark.is_truthy())?;
    value.get("num")
}

/// The place of the attachment of this number among so many. As in Python's lists, a negative one counts from the end,
/// and booleans are numbers.
pub fn attachment_at(number: &Json, attachments: usize) -> Option<usize> {
    let number = match number {
        Json::Bool(number) => i64::from(*number),
        number => number.as_int()?,
    };
    let place = if number < 0 {
        attachments.checked_sub(usize::try_from(number.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(number).ok()?
    };
    (place < attachments).then_some(place)
}

impl<T: Into<Json>> From<T> for Payload {
    fn from(value: T) -> Self {
        Self {
            value: value.into(),
            attachments: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_is_is_told_by_its_texts_and_how_many_values_there_are() {
        let text = |length: usize| Json::from("a".repeat(length));
        for (value, is_long) in [
            (text(99), false),
            (text(100), true),
            (Json::object([("image", Json::list([text(50), text(45)]))]), true),
            (Json::object([("image", text(80))]), false),
            (Json::list(vec![Json::Null; 99]), true),
            (Json::list(vec![Json::Null; 98]), false),
        ] {
            assert_eq!(Payload::from(value.clone()).is_long(100), is_long, "{value:?}");
        }
    }
}
