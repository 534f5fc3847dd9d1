//! JSON values with everything that Python's reader keeps: big integers, floats apart from integers, key order.

use indexmap::IndexMap;

use super::text::{python_float, python_quoted, python_trim};

/// The members of a JSON object in the order they came; a duplicate key keeps its first place and its last value.
pub type JsonObject = IndexMap<String, Json>;

#[derive(Clone, Debug, Default)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// Any other integer, as canonical decimal text.
    BigInt(String),
    /// A number with a fraction or an exponent, `NaN` and the infinities.
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(JsonObject),
}

/// As values, but that `NaN` equals itself: of two looks at one text neither is a change.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::BigInt(one), Self::BigInt(other)) | (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other || (one.is_nan() && other.is_nan()),
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            _ => false,
        }
    }
}

impl Json {
    /// An object of these members.
    pub fn object<K: Into<String>, const N: usize>(members: [(K, Json); N]) -> Self {
        Self::Object(Self::members(members))
    }

    /// The members of an object, in this order.
    pub fn members<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> JsonObject {
        let named = members.into_iter().map(|(name, value)| (name.into(), value));
        named.collect()
    }

    /// An array of these items.
    pub fn list<T: Into<Json>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// Python's truth: `null`, `false`, zero, and empty texts, arrays and objects are false.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::BigInt(_) => true,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(members) => !members.is_empty(),
        }
    }

    /// The value, or 0 where it is falsy.
    #[must_use]
    pub fn or_zero(self) -> Self {
        if self.is_truthy() { self } else { Self::Int(0) }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Whether no `NaN` and no infinity is in it, which only Python takes for JSON.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Float(value) => value.is_finite(),
            Self::List(items) => items.iter().all(Self::is_finite),
            Self::Object(members) => members.values().all(Self::is_finite),
            _ => true,
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if this is one that fits; no coercion.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, if this is an array.
    pub fn as_list(&self) -> Option<&[Json]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&JsonObject> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The member `name`, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    /// The value as Python's `str` prints it: `None`, `True`, `1.0`, texts as they are, arrays and objects as literals.
    pub fn python_str(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.python_repr(),
        }
    }

    /// The "text of" a value: nothing for a falsy value, otherwise [`Json::python_str`] trimmed.
    pub fn python_text(&self) -> String {
        if self.is_truthy() {
            python_trim(&self.python_str()).to_owned()
        } else {
            String::new()
        }
    }

    fn python_repr(&self) -> String {
        let mut text = String::new();
        self.write_repr(&mut text);
        text
    }

    // Into one text: handing up a text of its own from every depth would copy a long one as often as it is nested.
    fn write_repr(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("None"),
            Self::Bool(true) => text.push_str("True"),
            Self::Bool(false) => text.push_str("False"),
            Self::Int(value) => text.push_str(&value.to_string()),
            Self::BigInt(digits) => text.push_str(digits),
            Self::Float(value) => text.push_str(&python_float(*value)),
            Self::Text(inner) => text.push_str(&python_quoted(inner)),
            Self::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push_str(", ");
                    }
                    item.write_repr(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        text.push_str(", ");
                    }
                    text.push_str(&python_quoted(name));
                    text.push_str(": ");
                    value.write_repr(text);
                }
                text.push('}');
            }
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or_else(|_| Self::BigInt(value.to_string()), Self::Int)
    }
}

impl From<i128> for Json {
    fn from(value: i128) -> Self {
        i64::try_from(value).map_or_else(|_| Self::BigInt(value.to_string()), Self::Int)
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<JsonObject> for Json {
    fn from(members: JsonObject) -> Self {
        Self::Object(members)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::list(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_equals_itself_whatever_it_is() {
        let nested = Json::object([("a", Json::list([f64::NAN, 1.5]))]);
        assert_eq!(nested, nested.clone());
        for (one, other) in [
            (Json::from(f64::NAN), Json::from(0.0)),
            (1.into(), 1.0.into()),
            (1.into(), true.into()),
            ("1".into(), Json::BigInt("1".to_owned())),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn truth_is_pythons() {
        for falsy in [
            Json::Null,
            false.into(),
            0.into(),
            (-0.0).into(),
            "".into(),
            Json::List(Vec::new()),
            Json::Object(JsonObject::new()),
        ] {
            assert!(!falsy.is_truthy(), "{falsy:?}");
            assert_eq!(falsy.python_text(), "");
        }
        for truthy in [f64::NAN.into(), "false".into(), Json::list([0]), (-1).into()] {
            assert!(truthy.is_truthy(), "{truthy:?}");
        }
    }

    #[test]
    fn texts_of_values_are_pythons() {
        assert_eq!(Json::from(true).python_text(), "True");
        assert_eq!(Json::from(1e30).python_text(), "1e+30");
        assert_eq!(Json::from(" a\u{1f}").python_text(), "a");
        assert_eq!(Json::BigInt("9".repeat(30)).python_text(), "9".repeat(30));
        let nested = Json::object([
            ("z", Json::list([Json::Null, "x".into(), 1.0.into()])),
            ("a", false.into()),
        ]);
        assert_eq!(nested.python_text(), "{'z': [None, 'x', 1.0], 'a': False}");
    }
}
