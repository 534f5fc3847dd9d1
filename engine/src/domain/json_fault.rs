//! What Python's reader says of a text that is no JSON: the words that operators see under a workflow's editor.

/// What is wrong with the text, in the words of Python's `json.loads`; `None` where its grammar has nothing against it.
pub fn json_fault(text: &str) -> Option<String> {
    if text.starts_with('\u{feff}') {
        return Some(Fault::new("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0).message(text));
    }
    let mut scanner = Scanner { text, at: 0 };
    scanner.document().err().map(|fault| fault.message(text))
}

struct Fault {
    what: &'static str,
    /// In bytes.
    at: usize,
}

impl Fault {
    fn new(what: &'static str, at: usize) -> Self {
        Self { what, at }
    }

    /// Lines and columns count from one, characters from zero.
    fn message(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        let character = before.chars().count();
        format!("{}: line {line} column {column} (char {character})", self.what)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Open {
    List,
    Object,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        // No recursion: the depth is the caller's.
        let mut open = Vec::new();
        self.skip_space();
        loop {
            let opened = self.value()?;
            if let Some(kind) = opened {
                self.skip_space();
                let end = if kind == Open::List { b']' } else { b'}' };
                if !self.take(end) {
                    if kind == Open::Object {
                        self.name()?;
                    }
                    open.push(kind);
                    continue;
                }
            }
            // The value is whole, and so may be what it stands in.
            loop {
                self.skip_space();
                let Some(kind) = open.last() else {
                    return if self.at == self.text.len() {
                        Ok(())
                    } else {
                        Err(Fault::new("Extra data", self.at))
                    };
                };
                let end = if *kind == Open::List { b']' } else { b'}' };
                if self.take(end) {
                    open.pop();
                    continue;
                }
                if !self.take(b',') {
                    return Err(Fault::new("Expecting ',' delimiter", self.at));
                }
                self.skip_space();
                if *kind == Open::Object {
                    self.name()?;
                }
                break;
            }
        }
    }

    /// A value without parts, or the beginning of one that has them.
    fn value(&mut self) -> Result<Option<Open>, Fault> {
        if self.take(b'[') {
            return Ok(Some(Open::List));
        }
        if self.take(b'{') {
            return Ok(Some(Open::Object));
        }
        if self.peek() == Some(b'"') {
            self.string()?;
            return Ok(None);
        }
        for word in ["null", "true", "false", "NaN", "Infinity", "-Infinity"] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(None);
            }
        }
        self.number()?;
        Ok(None)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(Fault::new("Expecting value", start));
        }
        let integer = self.at;
        if !(self.take(b'.') && self.digits() > 0) {
            self.at = integer;
        }
        let fraction = self.at;
        let is_exponent = (self.take(b'e') || self.take(b'E')) && {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits() > 0
        };
        if !is_exponent {
            self.at = fraction;
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let count = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    /// A member's name with its colon.
    fn name(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            let what = "Expecting property name enclosed in double quotes";
            return Err(Fault::new(what, self.at));
        }
        self.string()?;
        self.skip_space();
        if !self.take(b':') {
            return Err(Fault::new("Expecting ':' delimiter", self.at));
        }
        self.skip_space();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(Fault::new("Unterminated string starting at", start)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(start)?,
                Some(..=0x1f) => return Err(Fault::new("Invalid control character at", self.at)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, string: usize) -> Result<(), Fault> {
        let backslash = self.at;
        self.at += 1;
        match self.peek() {
            None => Err(Fault::new("Unterminated string starting at", string)),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.rest().get(1..5);
                let is_whole = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                // Python wants one more character, which a string always has.
                if !is_whole || self.rest().len() <= 5 {
                    return Err(Fault::new("Invalid \\uXXXX escape", self.at));
                }
                self.at += 5;
                Ok(())
            }
            Some(_) => Err(Fault::new("Invalid \\escape", backslash)),
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::json_reader::read_text;

    #[test]
    fn faults_are_told_as_python_tells_them() {
        for (text, fault) in [
            (
                "{bad",
                "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
            ("", "Expecting value: line 1 column 1 (char 0)"),
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            (
                "{\"a\": 1,}",
                "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)",
            ),
            ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("[1\n 2]", "Expecting ',' delimiter: line 2 column 2 (char 4)"),
            ("{} x", "Extra data: line 1 column 4 (char 3)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            (
                "\"abc",
                "Unterminated string starting at: line 1 column 1 (char 0)",
            ),
            (
                "\"é\n\"",
                "Invalid control character at: line 1 column 3 (char 2)",
            ),
            ("\"\\q\"", "Invalid \\escape: line 1 column 2 (char 1)"),
            ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            (
                "\u{feff}{}",
                "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)",
            ),
            ("{\"a\": -}", "Expecting value: line 1 column 7 (char 6)"),
            (
                "{",
                "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
        ] {
            assert_eq!(json_fault(text).as_deref(), Some(fault), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_has_a_fault_is_what_is_not_read(text in r#"([\[\]{},:"0-9eE.+ \n-]|\\["u0-9a-fn]|null|é){0,12}"#) {
            prop_assert_eq!(json_fault(&text).is_some(), read_text(&text).is_err(), "{}", text);
        }
    }
}
