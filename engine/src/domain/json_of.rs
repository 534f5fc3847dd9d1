//! Types that derive `Serialize`, as JSON values.

use std::fmt;

use serde::ser::{Error, Serialize, Serializer};

use super::{
    json::{Json, JsonObject},
    json_text::{column_text, compact_text},
};

/// Marks an integer that does not fit, on its way through the serializer.
const BIG_INTEGER: &str = "borealis::BigInt";
/// Marks what is a value already, and may be as deep as the reader takes.
pub(super) const VALUE: &str = "borealis::Json";

impl Json {
    /// The value that a type writes; its fields keep their order. Keys of maps that are no texts become texts, and a
    /// type whose own `Serialize` fails becomes `null`: derived ones do not.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        value.serialize(ToJson).unwrap_or_else(|error| {
            tracing::error!(r#type = std::any::type_name::<T>(), %error, "an answer cannot be written");
            Self::Null
        })
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(VALUE, &Plain(self))
    }
}

/// A value, or a part of one.
struct Plain<'a>(&'a Json);

/// The text of an answer; `{:#}` is that of a column.
impl fmt::Display for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        out.write_str(&if out.alternate() {
            column_text(value)
        } else {
            compact_text(value)
        })
    }
}

impl Serialize for Plain<'_> {
    /// Level by level, or as a text where no person reads what is asked for: a deep value takes much of the stack level by
    /// level.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value) = self;
        if !serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        match value {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Int(value) => serializer.serialize_i64(*value),
            Json::BigInt(digits) => serializer.serialize_newtype_struct(BIG_INTEGER, digits),
            Json::Float(value) => serializer.serialize_f64(*value),
            Json::Text(text) => serializer.serialize_str(text),
            Json::List(items) => serializer.collect_seq(items.iter().map(Plain)),
            Json::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, member)| (name, Plain(member))))
            }
        }
    }
}

/// What a type's own `Serialize` refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Makes a value of what a type writes.
pub(super) struct ToJson;

impl ToJson {
    /// What the key of a map is called.
    pub(super) fn key<T: Serialize + ?Sized>(key: &T) -> Result<String, Refused> {
        Ok(match key.serialize(Self)? {
            Json::Text(text) => text,
            other => compact_text(&other),
        })
    }
}

/// An array or an object that is being written, and the variant that it belongs to.
#[derive(Default)]
pub(super) struct Parts {
    variant: Option<&'static str>,
    items: Vec<Json>,
    members: JsonObject,
    key: String,
}

impl Parts {
    fn new(variant: Option<&'static str>) -> Self {
        Self {
            variant,
            ..Self::default()
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.items.push(value.serialize(ToJson)?);
        Ok(())
    }

    fn insert<T: Serialize + ?Sized>(&mut self, key: impl Into<String>, value: &T) -> Result<(), Refused> {
        self.members.insert(key.into(), value.serialize(ToJson)?);
        Ok(())
    }

    fn list(self) -> Json {
        of_variant(self.variant, Json::List(self.items))
    }

    fn object(self) -> Json {
        of_variant(self.variant, Json::Object(self.members))
    }
}

fn of_variant(variant: Option<&'static str>, value: Json) -> Json {
    match variant {
        Some(variant) => Json::object([(variant, value)]),
        None => value,
    }
}

impl Serializer for ToJson {
    type Ok = Json;
    type Error = Refused;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    fn serialize_bool(self, value: bool) -> Result<Json, Refused> {
        Ok(value.into())
    }

    fn serialize_i8(self, value: i8) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Json, Refused> {
        Ok(Json::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Json, Refused> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Json, Refused> {
        Ok(i64::try_from(value).map_or_else(|_| Json::BigInt(value.to_string()), Json::Int))
    }

    fn serialize_f32(self, value: f32) -> Result<Json, Refused> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Json, Refused> {
        Ok(Json::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Json, Refused> {
        Ok(Json::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Json, Refused> {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Json, Refused> {
        Ok(Json::list(value.iter().map(|byte| i64::from(*byte))))
    }

    fn serialize_none(self) -> Result<Json, Refused> {
        Ok(Json::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Json, Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Json, Refused> {
        Ok(Json::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Json, Refused> {
        Ok(Json::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Json, Refused> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Json, Refused> {
        Ok(match value.serialize(self)? {
            Json::Text(digits) if name == BIG_INTEGER => Json::BigInt(digits),
            value => value,
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Json, Refused> {
        Ok(of_variant(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, Refused> {
        Ok(Parts::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, Refused> {
        Ok(Parts::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, Refused> {
        Ok(Parts::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Refused> {
        Ok(Parts::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, Refused> {
        Ok(Parts::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, Refused> {
        Ok(Parts::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Refused> {
        Ok(Parts::new(Some(variant)))
    }
}

/// Implements what serde asks of an array that is being written, under each of its names for one.
macro_rules! serialize_items {
    ($parts:ty => $ok:ty, $end:ident) => {
        serialize_items!(SerializeSeq, serialize_element, $parts => $ok, $end);
        serialize_items!(SerializeTuple, serialize_element, $parts => $ok, $end);
        serialize_items!(SerializeTupleStruct, serialize_field, $parts => $ok, $end);
        serialize_items!(SerializeTupleVariant, serialize_field, $parts => $ok, $end);
    };
    ($serialize:ident, $item:ident, $parts:ty => $ok:ty, $end:ident) => {
        impl serde::ser::$serialize for $parts {
            type Ok = $ok;
            type Error = Refused;

            fn $item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.push(value)
            }

            fn end(self) -> Result<$ok, Refused> {
                Ok(self.$end())
            }
        }
    };
}

/// The same for an object.
macro_rules! serialize_members {
    ($parts:ty => $ok:ty, $end:ident) => {
        impl serde::ser::SerializeMap for $parts {
            type Ok = $ok;
            type Error = Refused;

            fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
                self.key = ToJson::key(key)?;
                Ok(())
            }

            fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                let key = std::mem::take(&mut self.key);
                self.insert(key, value)
            }

            fn end(self) -> Result<$ok, Refused> {
                Ok(self.$end())
            }
        }

        serialize_members!(SerializeStruct, $parts => $ok, $end);
        serialize_members!(SerializeStructVariant, $parts => $ok, $end);
    };
    ($serialize:ident, $parts:ty => $ok:ty, $end:ident) => {
        impl serde::ser::$serialize for $parts {
            type Ok = $ok;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.insert(name, value)
            }

            fn end(self) -> Result<$ok, Refused> {
                Ok(self.$end())
            }
        }
    };
}

pub(super) use {serialize_items, serialize_members};

serialize_items!(Parts => Json, list);
serialize_members!(Parts => Json, object);

#[cfg(test)]
mod tests;
