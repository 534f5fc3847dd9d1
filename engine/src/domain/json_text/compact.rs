//! From the text of a column to the text of an answer, without a tree of values between them.
//!
//! An inventory is written once and read often, and most of what answers say is inventory. What both servers store is in
//! nearly all cases text that an answer says in the same words, with other blanks and sorted members. Whatever else
//! somebody may have written into a column is left to the reader.

use super::float;

/// Arrays and objects within one another, at most. Each depth may move what is below it once more.
const DEEPEST: usize = 16;
/// Digits of an integer that surely fits.
const SURE_DIGITS: usize = 18;

/// What a text says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    List,
    Object,
    /// Anything else.
    Scalar,
}

/// Appends what [`compact_text`](super::compact_text) makes of the value that `stored` is the text of. `None`, and
/// nothing appended, where that takes the reader: malformed or deep texts, members whose names are escaped or come
/// twice, numbers and characters that are stored in another form than answers have.
pub fn push_compact(text: &mut String, stored: &str) -> Option<Shape> {
    let before = text.len();
    let mut compacting = Compacting {
        stored,
        position: 0,
        text,
        members: Vec::new(),
        scratch: String::new(),
    };
    let shape = compacting.document();
    if shape.is_none() {
        text.truncate(before);
    }
    shape
}

/// Where a member of an object stands in the text: its name with both quotes, then the rest of it.
#[derive(Clone, Copy)]
struct Member {
    begin: usize,
    name_end: usize,
    end: usize,
}

struct Compacting<'a> {
    stored: &'a str,
    position: usize,
    text: &'a mut String,
    /// Of the objects whose ends have not come yet, the innermost last.
    members: Vec<Member>,
    scratch: String,
}

impl Compacting<'_> {
    fn document(&mut self) -> Option<Shape> {
        self.skip_space();
        let shape = match self.peek()? {
            b'[' => Shape::List,
            b'{' => Shape::Object,
            _ => Shape::Scalar,
        };
        self.value(0)?;
        self.skip_space();
        (self.position == self.stored.len()).then_some(shape)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'[' => self.list(depth + 1),
            b'{' => self.object(depth + 1),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.open(depth)?;
        self.text.push('[');
        if !self.take(b']') {
            loop {
                self.value(depth)?;
                self.skip_space();
                if !self.take(b',') {
                    break;
                }
                self.text.push(',');
                self.skip_space();
            }
            self.expect(b']')?;
        }
        self.text.push(']');
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.open(depth)?;
        self.text.push('{');
        let first = self.members.len();
        let mut is_sorted = true;
        if !self.take(b'}') {
            loop {
                let begin = self.text.len();
                // Escaped names sort as what they mean, which is not how they are written.
                if self.string()?.is_escaped {
                    return None;
                }
                let name_end = self.text.len();
                is_sorted = is_sorted && self.is_behind_last(first, begin, name_end);
                self.skip_space();
                self.expect(b':')?;
                self.text.push(':');
                self.skip_space();
                self.value(depth)?;
                self.members.push(Member {
                    begin,
                    name_end,
                    end: self.text.len(),
                });
                self.skip_space();
                if !self.take(b',') {
                    break;
                }
                self.text.push(',');
                self.skip_space();
            }
            self.expect(b'}')?;
        }
        if !is_sorted {
            self.sort(first)?;
        }
        self.members.truncate(first);
        self.text.push('}');
        Some(())
    }

    fn open(&mut self, depth: usize) -> Option<()> {
        self.position += 1;
        self.skip_space();
        (depth <= DEEPEST).then_some(())
    }

    /// Whether a name sorts behind the one before it in the same object.
    fn is_behind_last(&self, first: usize, begin: usize, name_end: usize) -> bool {
        match self.members.get(first..).and_then(<[Member]>::last) {
            None => true,
            Some(last) => name(self.text, last.begin, last.name_end) < name(self.text, begin, name_end),
        }
    }

    /// Puts the members of the innermost object into order; `None` where a name comes twice.
    fn sort(&mut self, first: usize) -> Option<()> {
        let members = self.members.get_mut(first..)?;
        let begin = members.first()?.begin;
        let text = &*self.text;
        members.sort_unstable_by(|one, other| {
            name(text, one.begin, one.name_end).cmp(name(text, other.begin, other.name_end))
        });
        let mut last = None;
        self.scratch.clear();
        for member in &*members {
            let name = name(text, member.begin, member.name_end);
            if last == Some(name) {
                return None;
            }
            if last.is_some() {
                self.scratch.push(',');
            }
            self.scratch.push_str(text.get(member.begin..member.end)?);
            last = Some(name);
        }
        self.text.truncate(begin);
        self.text.push_str(&self.scratch);
        Some(())
    }

    /// A string that is stored as answers write it, or with nothing but escaped slashes beside that.
    fn string(&mut self) -> Option<Name> {
        self.expect(b'"')?;
        self.text.push('"');
        let mut is_escaped = false;
        loop {
            let rest = self.stored.as_bytes().get(self.position..)?;
            let plain = rest.iter().position(|byte| !is_plain(*byte))?;
            self.copy(plain)?;
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
            is_escaped = true;
        }
        self.position += 1;
        self.text.push('"');
        Some(Name { is_escaped })
    }

    fn escape(&mut self) -> Option<()> {
        let rest = self.stored.as_bytes().get(self.position + 1..)?;
        match *rest.first()? {
            b'"' | b'\\' | b'n' | b'r' | b't' | b'b' | b'f' => self.copy(2),
            b'/' => {
                self.text.push('/');
                self.position += 2;
                Some(())
            }
            b'u' => match unit(rest)? {
                // With a shorter escape, or plain.
                0x8 | 0x9 | 0xa | 0xc | 0xd | 0x20..=0x7e => None,
                0xd800..=0xdbff => match rest.get(5..7)? {
                    b"\\u" if matches!(unit(rest.get(6..)?)?, 0xdc00..=0xdfff) => self.copy(12),
                    _ => None,
                },
                0xdc00..=0xdfff => None,
                _ => self.copy(6),
            },
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.stored.as_bytes().get(self.position..)?;
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(rest.len());
        let token = self.stored.get(self.position..self.position + end)?;
        let digits = token.strip_prefix('-').unwrap_or(token);
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_integer {
            let is_canonical = match digits.as_bytes() {
                [b'0'] => digits.len() == token.len(),
                [b'1'..=b'9', ..] => digits.len() <= SURE_DIGITS,
                _ => false,
            };
            return if is_canonical { self.copy(end) } else { None };
        }
        if !is_fraction(digits.as_bytes()) {
            return None;
        }
        let number: f64 = token.parse().ok()?;
        if !number.is_finite() {
            return None;
        }
        self.text.push_str(&float(number));
        self.position += end;
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        let rest = self.stored.get(self.position..)?;
        let word = ["null", "true", "false"]
            .into_iter()
            .find(|word| rest.starts_with(word))?;
        self.copy(word.len())
    }

    /// Takes over so many bytes as they are.
    fn copy(&mut self, bytes: usize) -> Option<()> {
        let end = self.position + bytes;
        self.text.push_str(self.stored.get(self.position..end)?);
        self.position = end;
        Some(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.stored.as_bytes().get(self.position).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }
}

/// A string that was just copied.
struct Name {
    is_escaped: bool,
}

/// A name without its quotes, which would sort before a shorter name's end.
fn name(text: &str, begin: usize, end: usize) -> &str {
    text.get(begin + 1..end.saturating_sub(1)).unwrap_or_default()
}

/// Whether a byte stands for itself in a string.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The unit of an escape `uXXXX`, whose digits are written small.
fn unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.get(1..5)?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(unit << 4 | u32::from(digit))
    })
}

/// Whether these are digits, and a fraction or an exponent behind them, as JSON has it.
fn is_fraction(mut number: &[u8]) -> bool {
    fn digits<'a>(number: &mut &'a [u8]) -> &'a [u8] {
        let end = number
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(number.len());
        let (digits, rest) = number.split_at(end);
        *number = rest;
        digits
    }
    let number = &mut number;
    if !matches!(digits(number), [b'0'] | [b'1'..=b'9', ..]) {
        return false;
    }
    if let Some(rest) = number.strip_prefix(b".") {
        *number = rest;
        if digits(number).is_empty() {
            return false;
        }
    }
    if let Some(rest) = number.strip_prefix(b"e").or(number.strip_prefix(b"E")) {
        *number = rest
            .strip_prefix(b"+")
            .or(rest.strip_prefix(b"-"))
            .unwrap_or(rest);
        if digits(number).is_empty() {
            return false;
        }
    }
    number.is_empty()
}

#[cfg(test)]
mod tests;
