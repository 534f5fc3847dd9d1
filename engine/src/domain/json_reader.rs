//! Reads JSON as Python's `json.loads` does, in linear time and without recursion.
//!
//! Long because it is one grammar, with Python's odds in the place where each belongs.

use std::borrow::Cow;

use super::{
    coerce::LONGEST_INTEGER,
    json::{Json, JsonObject},
};

/// Arrays and objects within one another, at most.
const DEEPEST: usize = 1000;

/// Why bytes are no JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not readable as JSON")]
pub struct Unparsable;

/// Why a text is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is no JSON.
    #[error("not readable as JSON")]
    Unparsable,
    /// It holds more values than its reader takes.
    #[error("more values than are taken")]
    TooManyValues,
}

impl From<Refused> for Unparsable {
    fn from(_: Refused) -> Self {
        Self
    }
}

/// Reads UTF-8, UTF-16 or UTF-32 text, with or without byte order mark.
///
/// # Errors
/// Malformed text; lone surrogates, integers beyond Python's length and nesting beyond its depth count as such.
pub fn read(bytes: &[u8]) -> Result<Json, Unparsable> {
    Ok(JsonReader::default().read(bytes)?)
}

/// Reads text that is decoded already.
///
/// # Errors
/// As [`read`].
pub fn read_text(text: &str) -> Result<Json, Unparsable> {
    Ok(JsonReader::default().read_text(text)?)
}

/// As [`read`], but lone surrogates and U+0000, which programs print and no text column takes, become U+FFFD.
///
/// # Errors
/// As [`read`], those apart.
pub fn read_replacing(bytes: &[u8]) -> Result<Json, Unparsable> {
    Ok(JsonReader::default().replacing().read(bytes)?)
}

/// As [`read_text`], but lone surrogates and U+0000 become U+FFFD.
///
/// # Errors
/// As [`read_text`], those apart.
pub fn read_text_replacing(text: &str) -> Result<Json, Unparsable> {
    Ok(JsonReader::default().replacing().read_text(text)?)
}

/// As [`read`], for what the legacy may have stored: it wrote lone surrogates as it was given them, and one of them must
/// not cost all the rest. They become U+FFFD.
///
/// # Errors
/// As [`read`], lone surrogates apart.
pub fn read_stored(bytes: &[u8]) -> Result<Json, Unparsable> {
    Ok(JsonReader::stored().read(bytes)?)
}

/// As [`read_stored`], for text that is decoded already.
///
/// # Errors
/// As [`read_stored`].
pub fn read_stored_text(text: &str) -> Result<Json, Unparsable> {
    Ok(JsonReader::stored().read_text(text)?)
}

/// How texts are read; by default as Python does.
#[derive(Clone, Copy, Debug)]
pub struct JsonReader {
    most_values: usize,
    /// Characters of an integer, its sign included.
    longest_integer: usize,
    odd: Odd,
}

impl Default for JsonReader {
    fn default() -> Self {
        Self {
            most_values: usize::MAX,
            longest_integer: usize::MAX,
            odd: Odd::Refused,
        }
    }
}

impl JsonReader {
    /// Refuses texts of more values than this, before they have taken the memory of more.
    pub fn within(most_values: usize) -> Self {
        Self {
            most_values,
            ..Self::default()
        }
    }

    /// Takes integers of more characters for malformed, a sign included.
    pub fn integers_within(self, longest_integer: usize) -> Self {
        Self {
            longest_integer,
            ..self
        }
    }

    /// Puts U+FFFD where lone surrogates are, and nowhere else.
    fn stored() -> Self {
        Self {
            odd: Odd::LoneReplaced,
            ..Self::default()
        }
    }

    /// Puts U+FFFD where lone surrogates and U+0000 are.
    pub fn replacing(self) -> Self {
        Self {
            odd: Odd::Replaced,
            ..self
        }
    }

    /// Reads as [`read`].
    ///
    /// # Errors
    /// As [`read`], or more values than are taken.
    pub fn read(self, bytes: &[u8]) -> Result<Json, Refused> {
        let text = decode(bytes).map_err(|Unparsable| Refused::Unparsable)?;
        self.read_text(&text)
    }

    /// Reads as [`read_text`].
    ///
    /// # Errors
    /// As [`read_text`], or more values than are taken.
    pub fn read_text(self, text: &str) -> Result<Json, Refused> {
        // A look at the text costs little; the values that would be refused in the end take fifty times its size.
        if text.len() / 2 > self.most_values && commas(text) >= self.most_values {
            return Err(Refused::TooManyValues);
        }
        let mut reader = Reader::new(text, self);
        let read = reader.document();
        read.map_err(|Unparsable| match reader.values_left {
            None => Refused::TooManyValues,
            Some(_) => Refused::Unparsable,
        })
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

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unparsable> {
    let (width, big_endian, mark) = match bytes {
        [0, 0, 0xfe, 0xff, ..] => (4, true, 4),
        [0xff, 0xfe, 0, 0, ..] => (4, false, 4),
        [0xfe, 0xff, ..] => (2, true, 2),
        [0xff, 0xfe, ..] => (2, false, 2),
        [0xef, 0xbb, 0xbf, ..] => (1, false, 3),
        [0, 0, _, _, ..] => (4, true, 0),
        [0, _, _, _, ..] | [0, _] => (2, true, 0),
        [_, 0, 0, 0, ..] => (4, false, 0),
        [_, 0, _, _, ..] | [_, 0] => (2, false, 0),
        _ => (1, false, 0),
    };
    let bytes = bytes.get(mark..).unwrap_or_default();
    if width == 1 {
        return std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| Unparsable);
    }
    let units = bytes.chunks_exact(width);
    if !units.remainder().is_empty() {
        return Err(Unparsable);
    }
    let units = units.map(|unit| {
        let join = |number: u32, byte: &u8| (number << 8) | u32::from(*byte);
        if big_endian {
            unit.iter().fold(0, join)
        } else {
            unit.iter().rev().fold(0, join)
        }
    });
    let text: Option<String> = if width == 4 {
        units.map(char::from_u32).collect()
    } else {
        char::decode_utf16(units.map(|unit| unit as u16))
            .map(Result::ok)
            .collect()
    };
    text.map(Cow::Owned).ok_or(Unparsable)
}

/// An array or object whose end has not come yet.
enum Open {
    List(Vec<Json>),
    /// The members so far and the name of the one being read.
    Object(JsonObject, String),
}

/// What becomes of escapes that name no character of a text column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Odd {
    /// Lone surrogates make the text malformed; U+0000 is a character.
    Refused,
    /// Lone surrogates become U+FFFD; U+0000 is a character.
    LoneReplaced,
    /// Both become U+FFFD.
    Replaced,
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    open: Vec<Open>,
    longest_integer: usize,
    odd: Odd,
    /// How many values may still come; `None` once too many came.
    values_left: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, rules: JsonReader) -> Self {
        Self {
            text,
            position: 0,
            open: Vec::new(),
            longest_integer: rules.longest_integer,
            odd: rules.odd,
            values_left: Some(rules.most_values),
        }
    }

    fn document(&mut self) -> Result<Json, Unparsable> {
        loop {
            self.skip_space();
            let Some(mut value) = self.begin_value()? else {
                continue;
            };
            // The value may close the array or object it stands in, and that one the next.
            loop {
                self.skip_space();
                match self.open.pop() {
                    None if self.position == self.text.len() => return Ok(value),
                    None => return Err(Unparsable),
                    Some(Open::List(mut items)) => {
                        items.push(value);
                        if self.take(b',') {
                            self.open.push(Open::List(items));
                            break;
                        }
                        self.expect(b']')?;
                        value = Json::List(items);
                    }
                    Some(Open::Object(mut members, name)) => {
                        members.insert(name, value);
                        if self.take(b',') {
                            self.skip_space();
                            let name = self.name()?;
                            self.open.push(Open::Object(members, name));
                            break;
                        }
                        self.expect(b'}')?;
                        value = Json::Object(members);
                    }
                }
            }
        }
    }

    /// A whole value, or nothing when an array or object was opened whose first item comes next.
    fn begin_value(&mut self) -> Result<Option<Json>, Unparsable> {
        self.values_left = self.values_left.and_then(|left| left.checked_sub(1));
        if self.values_left.is_none() {
            return Err(Unparsable);
        }
        match self.peek().ok_or(Unparsable)? {
            b'[' => {
                self.enter()?;
                if self.take(b']') {
                    return Ok(Some(Json::List(Vec::new())));
                }
                self.open.push(Open::List(Vec::new()));
                Ok(None)
            }
            b'{' => {
                self.enter()?;
                if self.take(b'}') {
                    return Ok(Some(Json::Object(JsonObject::new())));
                }
                let name = self.name()?;
                self.open.push(Open::Object(JsonObject::new(), name));
                Ok(None)
            }
            b'"' => self.string().map(Json::Text).map(Some),
            b'-' | b'0'..=b'9' if !self.rest().starts_with("-I") => self.number().map(Some),
            _ => self.word().map(Some),
        }
    }

    fn enter(&mut self) -> Result<(), Unparsable> {
        if self.open.len() >= DEEPEST {
            return Err(Unparsable);
        }
        self.position += 1;
        self.skip_space();
        Ok(())
    }

    fn word(&mut self) -> Result<Json, Unparsable> {
        for (word, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ] {
            if self.rest().starts_with(word) {
                self.position += word.len();
                return Ok(value);
            }
        }
        Err(Unparsable)
    }

    fn number(&mut self) -> Result<Json, Unparsable> {
        let start = self.position;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(Unparsable);
        }
        let integer = self.since(start);
        // A point or an exponent without digits does not belong to the number; what is left over is refused later.
        let fraction = self.optional(|reader| reader.take(b'.') && reader.digits() > 0);
        let exponent = self.optional(|reader| {
            (reader.take(b'e') || reader.take(b'E')) && {
                let _sign = reader.take(b'+') || reader.take(b'-');
                reader.digits() > 0
            }
        });
        if fraction || exponent {
            return self.since(start).parse().map(Json::Float).map_err(|_| Unparsable);
        }
        if integer.trim_start_matches('-').len() > LONGEST_INTEGER || integer.len() > self.longest_integer {
            return Err(Unparsable);
        }
        Ok(integer
            .parse()
            .map_or_else(|_| Json::BigInt(integer.to_owned()), Json::Int))
    }

    /// Reads on if `part` is there, else stays where it was.
    fn optional(&mut self, part: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.position;
        let found = part(self);
        if !found {
            self.position = start;
        }
        found
    }

    fn digits(&mut self) -> usize {
        let start = self.position;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        self.position - start
    }

    fn name(&mut self) -> Result<String, Unparsable> {
        let name = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        Ok(name)
    }

    fn string(&mut self) -> Result<String, Unparsable> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let start = self.position;
            while self
                .peek()
                .is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
            {
                self.position += 1;
            }
            string.push_str(self.since(start));
            if self.take(b'"') {
                return Ok(string);
            }
            self.expect(b'\\')?;
            string.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Unparsable> {
        let letter = self.peek().ok_or(Unparsable)?;
        self.position += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                match (self.character(unit), self.odd) {
                    (None, Odd::Refused) => return Err(Unparsable),
                    (None, _) | (Some('\0'), Odd::Replaced) => char::REPLACEMENT_CHARACTER,
                    (Some(character), _) => character,
                }
            }
            _ => return Err(Unparsable),
        })
    }

    /// The character that a unit names, with the one behind it where it is the first of a pair; `None` for a lone
    /// surrogate, which takes nothing with it.
    fn character(&mut self, unit: u16) -> Option<char> {
        let start = self.position;
        let low = if (0xd800..0xdc00).contains(&unit) && self.take(b'\\') && self.take(b'u') {
            self.unit().ok()
        } else {
            None
        };
        let character = char::decode_utf16(std::iter::once(unit).chain(low))
            .next()
            .and_then(Result::ok);
        if character.is_none() {
            self.position = start;
        }
        character
    }

    fn unit(&mut self) -> Result<u16, Unparsable> {
        let digits = self
            .text
            .get(self.position..self.position + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or(Unparsable)?;
        self.position += 4;
        u16::from_str_radix(digits, 16).map_err(|_| Unparsable)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unparsable> {
        self.take(byte).then_some(()).ok_or(Unparsable)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }
}

/// The object that a text of a test says.
#[cfg(test)]
pub(crate) fn object(text: &str) -> JsonObject {
    match read_text(text) {
        Ok(Json::Object(members)) => members,
        other => panic!("no object: {other:?}"),
    }
}

#[cfg(test)]
mod tests;
