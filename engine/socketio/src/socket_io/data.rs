//! The JSON that packets carry.

use serde_json::Value;

use super::packet::{EVENT, Packets};
use crate::json_text::push_string;

/// A JSON value, as an application wants it read and written. [`serde_json::Value`] is one.
pub trait Data: Clone + Send + Sync + Sized + 'static {
    /// Reads a text that is to hold at most so many values.
    ///
    /// # Errors
    /// It is no JSON, or holds more.
    fn read(text: &str, most_values: usize) -> Result<Self, Unreadable>;

    /// Appends the value as JSON without line breaks.
    fn write(&self, output: &mut String);

    /// The items of an array.
    fn items(&self) -> Option<&[Self]>;

    /// The items of an array, taken out of it: one may be long.
    fn into_items(self) -> Option<Vec<Self>>;

    /// The text of a string.
    fn text(&self) -> Option<&str>;

    /// Whether it is an object.
    fn is_object(&self) -> bool;

    /// Whether every placeholder in it names one of so many attachments.
    fn is_complete(&self, attachments: usize) -> bool;
}

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreadable {
    /// It is no JSON.
    NotJson,
    /// It holds more values than are read.
    TooManyValues,
}

impl Data for Value {
    fn read(text: &str, most_values: usize) -> Result<Self, Unreadable> {
        // A look at the text costs little; the values that would be refused in the end take many times its size. The
        // reader bounds how deep they are nested.
        if text.len() / 2 > most_values && commas(text) >= most_values {
            return Err(Unreadable::TooManyValues);
        }
        serde_json::from_str(text).map_err(|_| Unreadable::NotJson)
    }

    fn write(&self, output: &mut String) {
        output.push_str(&self.to_string());
    }

    fn items(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }

    fn into_items(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        self.as_str()
    }

    fn is_object(&self) -> bool {
        self.is_object()
    }

    // The reader bounds the depth.
    fn is_complete(&self, attachments: usize) -> bool {
        match self {
            Self::Array(items) => items.iter().all(|item| item.is_complete(attachments)),
            Self::Object(members) if members.get("_placeholder") == Some(&Self::Bool(true)) => members
                .get("num")
                .and_then(Self::as_u64)
                .is_some_and(|number| number < attachments as u64),
            Self::Object(members) => members.values().all(|member| member.is_complete(attachments)),
            _ => true,
        }
    }
}

/// The commas outside strings: a document has more values than that.
fn commas(text: &str) -> usize {
    let mut count = 0;
    let mut in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // Whatever is escaped ends no string.
            b'\\' if in_string => drop(bytes.next()),
            b',' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Arguments with their attachments: what events and acknowledgements carry. `{"_placeholder":true,"num":n}` in an
/// argument stands for the nth attachment.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments<D> {
    /// The arguments.
    pub values: Vec<D>,
    /// The attachments, each of which they name.
    pub attachments: Vec<bytes::Bytes>,
}

impl<D: Data> Arguments<D> {
    /// None.
    pub fn none() -> Self {
        Self {
            values: Vec::new(),
            attachments: Vec::new(),
        }
    }

    /// These, without attachments.
    pub fn of(values: impl Into<Vec<D>>) -> Self {
        Self {
            values: values.into(),
            attachments: Vec::new(),
        }
    }
}

/// An event for any number of clients.
#[derive(Clone, Debug)]
pub struct Emit<'a, D> {
    /// To whoever is in this namespace.
    pub namespace: &'a str,
    /// Its name.
    pub event: &'a str,
    /// Its arguments.
    pub arguments: &'a [D],
    /// Their attachments, each of which they name, in the order in which they name them first.
    pub attachments: Vec<bytes::Bytes>,
}

impl<'a, D: Data> Emit<'a, D> {
    /// An event without attachments.
    pub fn new(namespace: &'a str, event: &'a str, arguments: &'a [D]) -> Self {
        Self {
            namespace,
            event,
            arguments,
            attachments: Vec::new(),
        }
    }

    /// The event as packets, for any number of clients.
    pub fn packets(&self) -> Packets {
        self.with_id(None)
    }

    /// The event with a number under which the client shall acknowledge.
    pub(super) fn numbered(&self, number: u64) -> Packets {
        self.with_id(Some(&number.to_string()))
    }

    fn with_id(&self, id: Option<&str>) -> Packets {
        let attachments = self.attachments.clone();
        Packets::with_json(EVENT, self.namespace, id, attachments, |text| self.write(text))
    }

    fn write(&self, output: &mut String) {
        output.push('[');
        push_string(output, self.event);
        for argument in self.arguments {
            output.push(',');
            argument.write(output);
        }
        output.push(']');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_counted_before_they_are_read() {
        let text = r#"["a,b,c,d,e,f,g,h,i,\",,,,,,","\\",1]"#;
        assert!(Value::read(text, 4).is_ok());
        assert_eq!(Value::read(text, 2), Err(Unreadable::TooManyValues));
        assert_eq!(Value::read("[1", 9), Err(Unreadable::NotJson));
    }

    #[test]
    fn placeholders_name_attachments() {
        let placeholder = |number: u64| json!({"_placeholder": true, "num": number});
        let value = json!(["x", {"a": [placeholder(1)]}, placeholder(0)]);
        assert!(value.is_complete(2));
        assert!(!value.is_complete(1));
        assert!(!json!([{"_placeholder": true}]).is_complete(9));
    }
}
