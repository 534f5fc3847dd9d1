//! Types that derive `Serialize`, written as text at once: a long answer needs no tree of values beside it.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::ser::{Serialize, Serializer};

use super::{COLUMN, COMPACT, Layout, write_string, write_value};
use crate::domain::{
    json::Json,
    json_of::{Refused, ToJson, VALUE, serialize_items, serialize_members},
};

/// The text form of a type in an answer: members sorted by code point, no blanks.
pub fn compact_text_of<T: Serialize + ?Sized>(value: &T) -> String {
    text_of(value, COMPACT)
}

/// The text form of a type in a column, and in the answers of some routes: members as the type has them, blanks after
/// commas and colons.
pub fn column_text_of<T: Serialize + ?Sized>(value: &T) -> String {
    text_of(value, COLUMN)
}

fn text_of<T: Serialize + ?Sized>(value: &T, layout: Layout) -> String {
    let mut text = String::new();
    match value.serialize(Writer::new(&mut text, layout)) {
        Ok(()) => text,
        Err(error) => {
            tracing::error!(r#type = std::any::type_name::<T>(), %error, "an answer cannot be written");
            "null".to_owned()
        }
    }
}

struct Writer<'a> {
    text: &'a mut String,
    layout: Layout,
    /// Whether what is written is a [`Json`], which hands over its text.
    is_of_value: bool,
}

impl<'a> Writer<'a> {
    fn new(text: &'a mut String, layout: Layout) -> Self {
        Self {
            text,
            layout,
            is_of_value: false,
        }
    }

    fn value(self, value: &Json) -> Result<(), Refused> {
        write_value(self.text, value, self.layout);
        Ok(())
    }

    /// Begins an object of one member that is called as the variant.
    fn variant(&mut self, variant: &str) {
        self.text.push('{');
        write_string(self.text, variant);
        self.text.push_str(self.layout.colon);
    }

    fn list(self, close: &'static str) -> Items<'a> {
        self.text.push('[');
        Items {
            text: self.text,
            layout: self.layout,
            close,
            is_first: true,
        }
    }

    fn object(self, close: &'static str) -> Members<'a> {
        self.text.push('{');
        Members {
            begin: self.text.len(),
            text: self.text,
            layout: self.layout,
            close,
            key: String::new(),
            members: Vec::new(),
            is_in_order: true,
        }
    }
}

/// An array that is being written.
struct Items<'a> {
    text: &'a mut String,
    layout: Layout,
    close: &'static str,
    is_first: bool,
}

impl Items<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        if !std::mem::take(&mut self.is_first) {
            self.text.push_str(self.layout.comma);
        }
        value.serialize(Writer::new(self.text, self.layout))
    }

    fn close(self) {
        self.text.push_str(self.close);
    }
}

/// An object that is being written. Its members are put in order at its end, where they did not come so: of a long one that
/// does, nothing is moved.
struct Members<'a> {
    text: &'a mut String,
    layout: Layout,
    close: &'static str,
    /// Where the first member begins.
    begin: usize,
    key: String,
    /// Each member, where it begins and where it ends.
    members: Vec<(Cow<'static, str>, usize, usize)>,
    is_in_order: bool,
}

impl Members<'_> {
    fn insert<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: &T,
    ) -> Result<(), Refused> {
        let key = key.into();
        if let Some((last, ..)) = self.members.last() {
            // Texts compare byte by byte, which for UTF-8 is the order of code points.
            self.is_in_order &= *last <= key;
            self.text.push_str(self.layout.comma);
        }
        let begin = self.text.len();
        write_string(self.text, &key);
        self.text.push_str(self.layout.colon);
        value.serialize(Writer::new(self.text, self.layout))?;
        self.members.push((key, begin, self.text.len()));
        Ok(())
    }

    fn close(self) {
        if self.layout.sorted && !self.is_in_order {
            let written = self.text.split_off(self.begin);
            let mut members = self.members;
            members.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            for (index, (_, from, to)) in members.into_iter().enumerate() {
                if index > 0 {
                    self.text.push_str(self.layout.comma);
                }
                let member = written.get(from - self.begin..to - self.begin);
                self.text.push_str(member.unwrap_or_default());
            }
        }
        self.text.push_str(self.close);
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Refused> {
        self.value(&Json::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Refused> {
        self.value(&Json::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Refused> {
        self.text.push_str(&value.to_string());
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        self.value(&Json::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<(), Refused> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        write_string(self.text, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
        self.collect_seq(value)
    }

    fn is_human_readable(&self) -> bool {
        !self.is_of_value
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Refused> {
        // Writing to a text cannot fail.
        let _ = match (self.is_of_value, self.layout.sorted) {
            (true, true) => write!(self.text, "{value}"),
            (true, false) => write!(self.text, "{value:#}"),
            (false, _) => return self.serialize_str(&value.to_string()),
        };
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.value(&Json::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Refused> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(Writer {
            is_of_value: name == VALUE,
            ..self
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.variant(variant);
        value.serialize(Writer::new(self.text, self.layout))?;
        self.text.push('}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Refused> {
        Ok(self.list("]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.list("]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.list("]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        self.variant(variant);
        Ok(self.list("]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Refused> {
        Ok(self.object("}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Refused> {
        Ok(self.object("}"))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Refused> {
        self.variant(variant);
        Ok(self.object("}}"))
    }
}

serialize_items!(Items<'_> => (), close);
serialize_members!(Members<'_> => (), close);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::domain::{
        arbitrary,
        json_text::{column_text, compact_text},
    };

    #[derive(Debug, Serialize)]
    enum Kind {
        None,
        One(u64),
        Two(i8, &'static str),
        Named { z: Option<bool>, a: char },
    }

    #[derive(Debug, Serialize)]
    struct Whole {
        z: Vec<Kind>,
        unit: (),
        #[serde(skip_serializing_if = "Option::is_none")]
        nothing: Option<Kind>,
        a: Json,
        map: BTreeMap<i64, f32>,
        pair: (u8, Json),
    }

    fn same(value: &(impl Serialize + fmt::Debug)) -> Result<(), TestCaseError> {
        let tree = Json::of(value);
        prop_assert_eq!(compact_text_of(value), compact_text(&tree));
        prop_assert_eq!(column_text_of(value), column_text(&tree));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_type_is_written_as_its_tree_is(one in arbitrary::any_json(), two in arbitrary::any_json(), number: u64, float: f32) {
            same(&one)?;
            same(&Whole {
                z: vec![Kind::None, Kind::One(number), Kind::Two(-1, "\u{e9}\""), Kind::Named { z: None, a: '\u{1f600}' }],
                unit: (),
                nothing: None,
                a: one,
                map: BTreeMap::from([(2, float), (10, 0.5)]),
                pair: (7, two),
            })?;
        }
    }
}
