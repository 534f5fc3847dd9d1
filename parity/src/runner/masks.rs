//! What a run saw, without the machine: its root folder, and the rows and names that only a shared server has.

use serde_json::{Map, Value};

use super::Run;

impl Run<'_> {
    /// The root's path differs from run to run; the recordings show it as `${root}` too.
    pub(super) fn mask_text(&self, text: &str) -> String {
        let text = match self.target.root() {
            Some(root) => text.replace(&root.display().to_string(), "${root}"),
            None => text.to_owned(),
        };
        match &self.shared {
            Some(shared) => shared.text(&text),
            None => text,
        }
    }

    pub(super) fn mask(&mut self, value: Value) -> Value {
        self.mask_field("", value)
    }

    fn mask_field(&mut self, field: &str, value: Value) -> Value {
        if let Some(row) = self
            .shared
            .as_mut()
            .and_then(|shared| shared.number(field, &value))
        {
            return row;
        }
        match value {
            Value::String(text) => Value::String(self.mask_text(&text)),
            Value::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| self.mask_field(field, item))
                    .collect(),
            ),
            Value::Object(fields) => Value::Object(self.mask_fields(fields)),
            other => other,
        }
    }

    pub(super) fn mask_fields(&mut self, fields: Map<String, Value>) -> Map<String, Value> {
        fields
            .into_iter()
            .map(|(key, value)| {
                let value = self.mask_field(&key, value);
                (self.mask_text(&key), value)
            })
            .collect()
    }
}
