//! What events carry.

use bytes::Bytes;

use super::json::Json;

/// What an event carries: its one argument. `null` is sent as an event without argument, as the legacy does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// The argument; with attachments, `{"_placeholder": true, "num": n}` stands for the nth of them.
    pub value: Json,
    /// Binary parts.
    pub attachments: Vec<Bytes>,
}

impl Payload {
    /// The attachment that a value inside this payload stands for.
    pub fn attachment(&self, value: &Json) -> Option<&Bytes> {
        self.attachments.get(self.attachment_number(value)?)
    }

    /// Which of the attachments a value inside this payload stands for.
    pub fn attachment_number(&self, value: &Json) -> Option<usize> {
        if self.attachments.is_empty() || value.get("_placeholder") != Some(&Json::Bool(true)) {
            return None;
        }
        let number = usize::try_from(value.get("num")?.as_int()?).ok()?;
        (number < self.attachments.len()).then_some(number)
    }
}

impl<T: Into<Json>> From<T> for Payload {
    fn from(value: T) -> Self {
        Self {
            value: value.into(),
            attachments: Vec::new(),
        }
    }
}
