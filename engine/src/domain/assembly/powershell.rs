//! What PowerShell makes of each place of a script: code, or a text, and which. Only as much of its grammar as decides
//! that; where a place can be read in two ways, both are followed.
//!
//! Long because it is one automaton: no state of it can be read without the others.

/// The characters that PowerShell takes for a single quote.
const SINGLE_QUOTES: [char; 5] = ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'];
/// The characters that PowerShell takes for a double quote.
const DOUBLE_QUOTES: [char; 4] = ['"', '\u{201c}', '\u{201d}', '\u{201e}'];
/// Readings of one script that are followed at the same time.
const MOST_READINGS: usize = 32;

/// Whether PowerShell takes a character for a single quote.
pub fn is_single_quote(character: char) -> bool {
    SINGLE_QUOTES.contains(&character)
}

fn is_double_quote(character: char) -> bool {
    DOUBLE_QUOTES.contains(&character)
}

fn is_newline(character: char) -> bool {
    matches!(character, '\n' | '\r')
}

fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2013}'..='\u{2015}')
}

/// A kind of text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Text {
    /// `'...'`
    Single,
    /// `"..."`
    Double,
    /// `@'` to `'@`
    HereSingle,
    /// `@"` to `"@`
    HereDouble,
    /// `#` to the end of the line, or `<#` to `#>`.
    Comment,
}

impl Text {
    /// Where it is, for people.
    pub fn place(self) -> &'static str {
        match self {
            Self::Single => "inside single quotes",
            Self::Double => "inside double quotes",
            Self::HereSingle | Self::HereDouble => "inside a here-string",
            Self::Comment => "in a comment",
        }
    }
}

/// A text in which `$` and the backtick count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expandable {
    Double,
    Here,
}

impl Expandable {
    fn place(self, seen: InText) -> Place {
        match self {
            Self::Double => Place::Double(seen),
            Self::Here => Place::HereDouble(seen),
        }
    }
}

/// What was just seen in code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InCode {
    /// What ends a token: the next character begins one.
    Boundary,
    /// A part of a token.
    Token,
    /// What may or may not have ended a token.
    Operator,
    Backtick,
    Dollar,
    /// `@`, and whether it surely began a token.
    At(bool),
    /// `@` and a quote, and blanks since; with whether a here-string is what it begins, if a line end follows.
    Header {
        double: bool,
        sure: bool,
    },
    /// `<`, and whether it began a token.
    Less(bool),
    /// So many dashes that began a token.
    Dashes(u8),
    /// `--%`
    Stop,
}

/// What was just seen in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InText {
    Nothing,
    /// A quote that ends the text unless another follows.
    Quote,
    Backtick,
    Dollar,
    /// The end of a line, in a here-string.
    Newline,
    /// A quote at the beginning of a line, in a here-string.
    NewlineQuote,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Code(InCode),
    Single(InText),
    Double(InText),
    HereSingle(InText),
    HereDouble(InText),
    LineComment,
    BlockComment {
        hash: bool,
    },
    /// `${`, inside this text or in code.
    Braced {
        inside: Option<Expandable>,
        escaped: bool,
    },
    /// After `--%`.
    Verbatim {
        quoted: bool,
    },
}

/// One reading of a script, up to some place.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reading {
    place: Place,
    /// The texts around this code, each with the parentheses that are open in the code inside it.
    around: Vec<(Expandable, usize)>,
}

impl Reading {
    fn text(&self) -> Option<Text> {
        match self.place {
            Place::Single(_) => Some(Text::Single),
            Place::Double(_) => Some(Text::Double),
            Place::HereSingle(_) => Some(Text::HereSingle),
            Place::HereDouble(_) => Some(Text::HereDouble),
            Place::LineComment | Place::BlockComment { .. } => Some(Text::Comment),
            Place::Code(_) | Place::Braced { .. } | Place::Verbatim { .. } => None,
        }
    }

    /// Reads a character; both ways where there are two.
    fn read(mut self, character: char) -> (Self, Option<Self>) {
        let mut other = None;
        self.place = match self.place {
            Place::Code(seen) => self.code(seen, character, &mut other),
            Place::Single(InText::Quote) if is_single_quote(character) => Place::Single(InText::Nothing),
            Place::Double(InText::Quote) if is_double_quote(character) => Place::Double(InText::Nothing),
            // The text has ended with the quote before.
            Place::Single(InText::Quote) | Place::Double(InText::Quote) => {
                self.code(InCode::Operator, character, &mut other)
            }
            Place::Single(_) if is_single_quote(character) => Place::Single(InText::Quote),
            Place::Single(_) => Place::Single(InText::Nothing),
            Place::Double(seen) => self.expandable(Expandable::Double, seen, character, &mut other),
            Place::HereDouble(seen) => self.expandable(Expandable::Here, seen, character, &mut other),
            Place::HereSingle(seen) => here(seen, character, is_single_quote)
                .map_or(Place::Code(InCode::Operator), Place::HereSingle),
            Place::LineComment if is_newline(character) => Place::Code(InCode::Boundary),
            Place::LineComment => Place::LineComment,
            Place::BlockComment { hash: true } if character == '>' => Place::Code(InCode::Boundary),
            Place::BlockComment { .. } => Place::BlockComment {
                hash: character == '#',
            },
            Place::Braced { inside, escaped } => match character {
                '}' if !escaped => {
                    inside.map_or(Place::Code(InCode::Token), |text| text.place(InText::Nothing))
                }
                _ => Place::Braced {
                    inside,
                    escaped: character == '`' && !escaped,
                },
            },
            Place::Verbatim { quoted } => match character {
                _ if is_newline(character) => Place::Code(InCode::Boundary),
                '|' | '&' if !quoted => Place::Code(InCode::Boundary),
                _ => Place::Verbatim {
                    quoted: quoted != is_double_quote(character),
                },
            },
        };
        (self, other)
    }

    fn code(&mut self, seen: InCode, character: char, other: &mut Option<Self>) -> Place {
        // What a construction needed is looked at first; what it did not become is read as any character.
        match seen {
            InCode::Backtick if is_newline(character) => return Place::Code(InCode::Boundary),
            InCode::Backtick => return Place::Code(InCode::Token),
            InCode::Dollar if character == '{' => {
                return Place::Braced {
                    inside: None,
                    escaped: false,
                };
            }
            InCode::At(sure) if is_single_quote(character) || is_double_quote(character) => {
                return Place::Code(InCode::Header {
                    double: is_double_quote(character),
                    sure,
                });
            }
            InCode::Header { double, sure } => return self.header(double, sure, character, other),
            InCode::Less(sure) if character == '#' => {
                if !sure {
                    *other = Some(self.at(Place::Code(InCode::Token)));
                }
                return Place::BlockComment { hash: false };
            }
            InCode::Dashes(2) if character == '%' => return Place::Code(InCode::Stop),
            InCode::Stop if is_newline(character) => return Place::Code(InCode::Boundary),
            InCode::Stop if character.is_whitespace() => return Place::Verbatim { quoted: false },
            _ => {}
        }
        let begins = seen == InCode::Boundary;
        match character {
            '`' => Place::Code(InCode::Backtick),
            '$' => {
                if seen == InCode::Dollar {
                    *other = Some(self.at(Place::Code(InCode::Token)));
                }
                Place::Code(InCode::Dollar)
            }
            '@' => Place::Code(InCode::At(begins || seen == InCode::Operator)),
            '<' => Place::Code(InCode::Less(begins)),
            '#' => {
                if !begins {
                    *other = Some(self.at(Place::Code(InCode::Token)));
                }
                Place::LineComment
            }
            '(' => {
                if let Some((_, open)) = self.around.last_mut() {
                    *open += 1;
                }
                Place::Code(InCode::Boundary)
            }
            ')' => match self.around.last_mut() {
                Some((text, 0)) => {
                    let text = *text;
                    self.around.pop();
                    text.place(InText::Nothing)
                }
                Some((_, open)) => {
                    *open -= 1;
                    Place::Code(InCode::Boundary)
                }
                None => Place::Code(InCode::Boundary),
            },
            '{' | '}' | ';' | ',' | '|' | '&' => Place::Code(InCode::Boundary),
            _ if is_single_quote(character) => Place::Single(InText::Nothing),
            _ if is_double_quote(character) => Place::Double(InText::Nothing),
            _ if is_dash(character) => match seen {
                InCode::Boundary => Place::Code(InCode::Dashes(1)),
                InCode::Dashes(1) => Place::Code(InCode::Dashes(2)),
                _ => Place::Code(InCode::Operator),
            },
            '=' | '+' | '[' | ']' | '*' | '!' | '>' => Place::Code(InCode::Operator),
            _ if character.is_whitespace() => Place::Code(InCode::Boundary),
            _ => Place::Code(InCode::Token),
        }
    }

    /// After `@` and a quote: a here-string where only blanks come before the end of the line, else a text.
    fn header(&mut self, double: bool, sure: bool, character: char, other: &mut Option<Self>) -> Place {
        let (text, here) = if double {
            (Place::Double(InText::Nothing), Place::HereDouble(InText::Newline))
        } else {
            (Place::Single(InText::Nothing), Place::HereSingle(InText::Newline))
        };
        if is_newline(character) {
            if !sure {
                *other = Some(self.at(text));
            }
            return here;
        }
        if character.is_whitespace() {
            return Place::Code(InCode::Header { double, sure });
        }
        match text {
            Place::Double(seen) => self.expandable(Expandable::Double, seen, character, other),
            _ if is_single_quote(character) => Place::Single(InText::Quote),
            text => text,
        }
    }

    fn expandable(
        &mut self,
        text: Expandable,
        seen: InText,
        character: char,
        other: &mut Option<Self>,
    ) -> Place {
        match (seen, character) {
            (InText::Backtick, _) => return text.place(InText::Nothing),
            (InText::Dollar, '(') => {
                self.around.push((text, 0));
                return Place::Code(InCode::Boundary);
            }
            (InText::Dollar, '{') => {
                return Place::Braced {
                    inside: Some(text),
                    escaped: false,
                };
            }
            (InText::Dollar, '$') => *other = Some(self.at(text.place(InText::Nothing))),
            _ => {}
        }
        match (text, character) {
            (_, '`') => text.place(InText::Backtick),
            (_, '$') => text.place(InText::Dollar),
            (Expandable::Double, _) if is_double_quote(character) => Place::Double(InText::Quote),
            (Expandable::Double, _) => Place::Double(InText::Nothing),
            (Expandable::Here, _) => here(seen, character, is_double_quote)
                .map_or(Place::Code(InCode::Operator), Place::HereDouble),
        }
    }

    fn at(&self, place: Place) -> Self {
        Self {
            place,
            around: self.around.clone(),
        }
    }
}

/// Reads a character of a here-string; `None` where it is the end of it.
fn here(seen: InText, character: char, is_quote: fn(char) -> bool) -> Option<InText> {
    match seen {
        InText::NewlineQuote if character == '@' => None,
        InText::Newline if is_quote(character) => Some(InText::NewlineQuote),
        _ if is_newline(character) => Some(InText::Newline),
        _ => Some(InText::Nothing),
    }
}

/// A script, read up to some place.
#[derive(Clone, Debug)]
pub struct ScriptReader {
    readings: Vec<Reading>,
    /// Kept for its room.
    next: Vec<Reading>,
    /// There are more readings than are followed.
    is_lost: bool,
}

/// Whether a value may stand somewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Whatever reads the script, the value is a part of a text.
    Contained,
    /// In a comment, which it would end.
    EndsComment,
    /// It could end the text that it stands in; `None` where it stands in no text.
    Escapes(Option<Text>),
}

impl Default for ScriptReader {
    fn default() -> Self {
        Self {
            readings: vec![Reading {
                place: Place::Code(InCode::Boundary),
                around: Vec::new(),
            }],
            next: Vec::new(),
            is_lost: false,
        }
    }
}

impl ScriptReader {
    pub fn read(&mut self, script: &str) {
        for character in script.chars() {
            let next = &mut self.next;
            let mut add = |reading: Reading| {
                if !next.contains(&reading) {
                    next.push(reading);
                }
            };
            for reading in self.readings.drain(..) {
                let (one, other) = reading.read(character);
                add(one);
                if let Some(other) = other {
                    add(other);
                }
            }
            self.is_lost |= next.len() > MOST_READINGS;
            next.truncate(MOST_READINGS);
            std::mem::swap(&mut self.readings, next);
        }
    }

    /// Whether this place is inside single quotes, however the script is read.
    pub fn is_in_single_quotes(&self) -> bool {
        !self.is_lost
            && self
                .readings
                .iter()
                .all(|reading| reading.place == Place::Single(InText::Nothing))
    }

    /// Whether `value` may stand here. It may where every reading has it inside one text, whose end it cannot be.
    pub fn judge(&self, value: &str) -> Verdict {
        if self.is_lost {
            return Verdict::Escapes(None);
        }
        let mut verdict = Verdict::Contained;
        let is_comment = |reading: &Reading| reading.text() == Some(Text::Comment);
        for reading in &self.readings {
            let Some(text) = reading.text() else {
                return Verdict::Escapes(None);
            };
            if !contains(reading, text, value) {
                verdict = if self.readings.iter().all(is_comment) {
                    Verdict::EndsComment
                } else {
                    return Verdict::Escapes(Some(text));
                };
            }
        }
        verdict
    }
}

/// Whether a value stays inside the text that a reading is in.
fn contains(reading: &Reading, text: Text, value: &str) -> bool {
    let expands = matches!(text, Text::Double | Text::HereDouble);
    if expands && value.contains(['$', '`']) || text == Text::Double && value.contains(is_double_quote) {
        return false;
    }
    let mut one = reading.clone();
    for character in value.chars() {
        let (next, other) = one.read(character);
        let stays = |next: &Reading| next.text() == Some(text) && next.around == reading.around;
        if !stays(&next) || other.is_some() {
            return false;
        }
        one = next;
    }
    // What comes next must not decide what its end means: a single quote, and whatever the script goes on with.
    !matches!(
        one.place,
        Place::Single(InText::Quote) | Place::Double(InText::Quote) | Place::HereSingle(InText::Newline)
    )
}
