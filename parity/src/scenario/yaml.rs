//! YAML as a tree that knows where everything stands, read so that nothing changes its type unseen.
//!
//! A plain scalar is a text unless it is written exactly as JSON writes `null`, `true`, `false` or a number. What one
//! YAML reader or another takes for something else (`no`, `1.10`, `0123`, `1_000`, `0x1F`, `~`, dates) is refused: whoever
//! means a text quotes it. Every fault is collected with its place; reading goes on after it.
//!
//! Long because reading, its refusals and their words stand together.

use std::sync::LazyLock;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use regex::Regex;
use serde_json::{Map, Value};

/// How deep lists and objects may stand in each other.
const DEEPEST: usize = 120;

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: u64,
    /// The column, from 1; 0 where it is about the line as a whole.
    pub column: u64,
    /// What is wrong, and the cure where one is known.
    pub reason: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(out, "{}", self.reason),
            (line, 0) => write!(out, "line {line}: {}", self.reason),
            (line, column) => write!(out, "line {line}, column {column}: {}", self.reason),
        }
    }
}

impl Fault {
    /// The fault as `file:line:column: reason`, as far as the place is known.
    pub fn in_file(&self, file: &std::path::Path) -> String {
        let file = file.display();
        match (self.line, self.column) {
            (0, _) => format!("{file}: {}", self.reason),
            (line, 0) => format!("{file}:{line}: {}", self.reason),
            (line, column) => format!("{file}:{line}:{column}: {}", self.reason),
        }
    }
}

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

impl Place {
    fn of(span: Span) -> Self {
        let number = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
        Self {
            line: number(span.start.line()),
            column: number(span.start.col()).saturating_add(1),
        }
    }

    /// A fault here.
    pub fn fault(self, reason: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            column: self.column,
            reason: reason.into(),
        }
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A scalar without quotes.
    Plain(String),
    /// A scalar that is a text whatever it looks like.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object, its members in order.
    Object(Vec<(String, Place, Node)>),
}

/// What a plain scalar is.
enum Plain {
    Value(Value),
    Text,
    /// Not everybody reads it alike.
    Unsure(&'static str),
}

/// Reads a text.
///
/// # Errors
/// The first place where it is no YAML of the kind that scenarios are written in.
pub fn read(text: &str) -> Result<Node, Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Fault {
            line: u64::try_from(error.marker().line()).unwrap_or(u64::MAX),
            column: u64::try_from(error.marker().col())
                .unwrap_or(u64::MAX)
                .saturating_add(1),
            reason: error.info(),
        })?;
        let place = Place::of(span);
        let (done, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = match style {
                    ScalarStyle::Plain => Content::Plain(text.into_owned()),
                    _ => Content::Text(text.into_owned()),
                };
                (Some(Node { place, content }), anchor != 0 || tag.is_some())
            }
            Event::SequenceStart(_, anchor, tag) => {
                open.push(Open::List(place, Vec::new()));
                (None, anchor != 0 || tag.is_some())
            }
            Event::MappingStart(_, anchor, tag) => {
                open.push(Open::Object(place, Vec::new(), None));
                (None, anchor != 0 || tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => (open.pop().map(Open::close), false),
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => (None, true),
            _ => (None, false),
        };
        if tagged {
            return Err(
                place.fault("scenarios know no anchors, aliases and tags: write it out, or quote the text")
            );
        }
        if open.len() > DEEPEST {
            return Err(place.fault(format!(
                "more than {DEEPEST} lists and objects stand in each other"
            )));
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            Some(parent) => parent.add(node)?,
            None if root.is_none() => root = Some(node),
            None => return Err(place.fault("a second document begins: a file holds one scenario")),
        }
    }
    root.ok_or_else(|| Fault {
        line: 1,
        column: 1,
        reason: "the file is empty".to_owned(),
    })
}

/// The remarks in a text, with their lines.
pub fn remarks(text: &str) -> Vec<(u64, String)> {
    let events = Parser::new_from_str(text).map_while(Result::ok);
    let remarks = events.filter_map(|(event, span)| match event {
        Event::Comment(remark, _) => Some((Place::of(span).line, remark.trim().to_owned())),
        _ => None,
    });
    remarks.collect()
}

/// A list or object that is not over yet.
enum Open {
    List(Place, Vec<Node>),
    Object(Place, Vec<(String, Place, Node)>, Option<(String, Place)>),
}

impl Open {
    fn add(&mut self, node: Node) -> Result<(), Fault> {
        match self {
            Self::List(_, items) => items.push(node),
            Self::Object(_, members, waiting) => match (waiting.take(), node) {
                (Some((key, place)), node) => members.push((key, place, node)),
                (None, Node { place, content }) => {
                    let (Content::Plain(key) | Content::Text(key)) = content else {
                        return Err(place.fault("a key is a text"));
                    };
                    if members.iter().any(|(known, ..)| *known == key) {
                        return Err(place.fault(format!("`{key}` stands here twice")));
                    }
                    *waiting = Some((key, place));
                }
            },
        }
        Ok(())
    }

    fn close(self) -> Node {
        match self {
            Self::List(place, items) => Node {
                place,
                content: Content::List(items),
            },
            Self::Object(place, members, _) => Node {
                place,
                content: Content::Object(members),
            },
        }
    }
}

/// A number as JSON writes it, in the one spelling that keeps its text: no leading zeros, no trailing ones but in `1.0`, and a
/// sign in the exponent.
static NUMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^-?(0|[1-9][0-9]*)(\.(0|[0-9]*[1-9])(e[-+][0-9]+)?)?$").ok());

/// What one YAML reader or another takes for a number or a time.
static NUMBER_LIKE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^[-+]?(",
        r"[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|",
        r"0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|\.(inf|Inf|INF)|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",
        r")$|^\.(nan|NaN|NAN)$",
    ))
    .ok()
});

/// What one YAML reader or another takes for a date.
static DATE_LIKE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]*)?)?([ \t]*(Z|[-+][0-9]{1,2}(:?[0-9]{2})?))?)?$").ok()
});

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Whether a number keeps its text on its way through a file.
pub fn keeps_its_text(number: &serde_json::Number) -> bool {
    fits(&NUMBER, &number.to_string())
}

fn judge(text: &str) -> Plain {
    match text {
        "null" => return Plain::Value(Value::Null),
        "true" => return Plain::Value(Value::Bool(true)),
        "false" => return Plain::Value(Value::Bool(false)),
        "" => return Plain::Unsure("nothing"),
        "~" => return Plain::Unsure("null"),
        "<<" => return Plain::Unsure("a merge"),
        _ => {}
    }
    if fits(&NUMBER, text) {
        return serde_json::from_str(text).map_or(Plain::Unsure("a number"), Plain::Value);
    }
    match text.to_ascii_lowercase().as_str() {
        "null" => Plain::Unsure("null"),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => Plain::Unsure("true or false"),
        _ if fits(&NUMBER_LIKE, text) => Plain::Unsure("a number"),
        _ if fits(&DATE_LIKE, text) => Plain::Unsure("a date"),
        _ => Plain::Text,
    }
}

/// Whether a plain scalar of this text is read as this text.
pub fn is_plain_text(text: &str) -> bool {
    matches!(judge(text), Plain::Text)
}

fn unsure(text: &str, taken_for: &str) -> String {
    if text.is_empty() {
        return "nothing stands here: write null, or \"\" for an empty text".to_owned();
    }
    let quoted = Value::from(text);
    format!("`{text}` is {taken_for} to some readers of YAML: quote it ({quoted}) if a text is meant")
}

impl Node {
    /// The node as JSON.
    pub fn value(&self, faults: &mut Vec<Fault>) -> Value {
        match &self.content {
            Content::Text(text) => Value::from(text.as_str()),
            Content::Plain(text) => match judge(text) {
                Plain::Value(value) => value,
                Plain::Text => Value::from(text.as_str()),
                Plain::Unsure(taken_for) => {
                    faults.push(self.place.fault(unsure(text, taken_for)));
                    Value::Null
                }
            },
            Content::List(items) => items.iter().map(|item| item.value(faults)).collect(),
            Content::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, _, node)| (key.clone(), node.value(faults)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// The node as a text; `what` names it where it is none.
    pub fn text(&self, what: &str, faults: &mut Vec<Fault>) -> Option<String> {
        match &self.content {
            Content::Text(text) => return Some(text.clone()),
            Content::Plain(text) => match judge(text) {
                Plain::Text => return Some(text.clone()),
                Plain::Unsure(taken_for) => faults.push(self.place.fault(unsure(text, taken_for))),
                Plain::Value(value) => {
                    let kind = match value {
                        Value::Null => "null",
                        Value::Bool(_) => "true or false",
                        _ => "a number",
                    };
                    let reason = format!("{what} is a text, and `{text}` is {kind}: quote it (\"{text}\")");
                    faults.push(self.place.fault(reason));
                }
            },
            _ => faults.push(self.place.fault(format!("{what} is a text"))),
        }
        None
    }

    /// The node as a list.
    pub fn list(self, what: &str, faults: &mut Vec<Fault>) -> Vec<Self> {
        match self.content {
            Content::List(items) => items,
            _ => {
                faults.push(self.place.fault(format!("{what} is a list")));
                Vec::new()
            }
        }
    }

    /// The node as an object whose members are taken one by one.
    pub fn fields(self, what: &str, faults: &mut Vec<Fault>) -> Option<Fields> {
        match self.content {
            Content::Object(members) => Some(Fields {
                place: self.place,
                members,
            }),
            _ => {
                faults.push(self.place.fault(format!("{what} is an object")));
                None
            }
        }
    }
}

/// The members of an object that nobody has taken so far.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Where the object stands.
    pub place: Place,
    members: Vec<(String, Place, Node)>,
}

impl Fields {
    /// Takes a member.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.members.iter().position(|(known, ..)| known == key)?;
        Some(self.members.remove(at).2)
    }

    /// Whether a member is there and not taken.
    pub fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(known, ..)| known == key)
    }

    /// Gives a member another key, where it is there and nothing has that key.
    pub fn rename(&mut self, key: &str, other: &str) {
        if !self.has(other)
            && let Some(member) = self.members.iter_mut().find(|(known, ..)| known == key)
        {
            other.clone_into(&mut member.0);
        }
    }

    /// Takes a text.
    pub fn text(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<String> {
        self.take(key)?.text(key, faults)
    }

    /// Takes any value.
    pub fn value(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<Value> {
        Some(self.take(key)?.value(faults))
    }

    /// Takes an object.
    pub fn object(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<Map<String, Value>> {
        let node = self.take(key)?;
        let place = node.place;
        let Value::Object(fields) = node.value(faults) else {
            faults.push(place.fault(format!("{key} is an object")));
            return None;
        };
        Some(fields)
    }

    /// Takes a list of values.
    pub fn values(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<Vec<Value>> {
        let items = self.take(key)?.list(key, faults);
        Some(items.iter().map(|item| item.value(faults)).collect())
    }

    /// Takes a number.
    pub fn number(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<f64> {
        let node = self.take(key)?;
        let number = node.value(faults).as_f64();
        if number.is_none() {
            faults.push(node.place.fault(format!("{key} is a number")));
        }
        number
    }

    /// Takes a whole number that is not negative.
    pub fn whole<T: TryFrom<u64>>(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<T> {
        let node = self.take(key)?;
        let number = node
            .value(faults)
            .as_u64()
            .and_then(|number| number.try_into().ok());
        if number.is_none() {
            faults.push(node.place.fault(format!("{key} is a whole number")));
        }
        number
    }

    /// Takes true or false.
    pub fn flag(&mut self, key: &str, faults: &mut Vec<Fault>) -> Option<bool> {
        let node = self.take(key)?;
        let flag = node.value(faults).as_bool();
        if flag.is_none() {
            faults.push(node.place.fault(format!("{key} is true or false")));
        }
        flag
    }

    /// Takes all members that are left.
    pub fn rest(&mut self) -> Vec<(String, Place, Node)> {
        std::mem::take(&mut self.members)
    }

    /// Ends the object: whatever nobody has taken does not belong here.
    pub fn end(self, what: &str, faults: &mut Vec<Fault>) {
        for (key, place, _) in self.members {
            faults.push(place.fault(format!("{what} has no `{key}`")));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Result<Value, Vec<Fault>> {
        let node = read(text).map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        let value = node.value(&mut faults);
        if faults.is_empty() { Ok(value) } else { Err(faults) }
    }

    #[test]
    fn plain_scalars_are_what_json_says_or_texts() {
        let text = "a: 1\nb: -0.25\nc: 1.0\nd: true\ne: null\nf: as it is\ng: '1.10'\nh: v1.10\ni: 12-13\nj: 1.5e+300\nk: \"no\"\n";
        let expected = json!({"a": 1, "b": -0.25, "c": 1.0, "d": true, "e": null, "f": "as it is", "g": "1.10", "h": "v1.10", "i": "12-13", "j": 1.5e300, "k": "no"});
        assert_eq!(value(text).unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn scalars_that_change_their_type_are_refused_with_place_and_cure() {
        for text in [
            "no",
            "Yes",
            "ON",
            "off",
            "y",
            "N",
            "~",
            "Null",
            "TRUE",
            "1.10",
            "0123",
            "1_000",
            "0x1F",
            "0o17",
            "0b1",
            "+1",
            ".5",
            "5.",
            "1e3",
            ".inf",
            "-.INF",
            ".nan",
            "1:30",
            "190:20:30",
            "2026-11-29",
            "2026-11-29T10:00:00Z",
            "2026-11-29 10:00:00",
            "00",
            "1.50",
            "1.5e300",
        ] {
            let faults = value(&format!("a: [x, {text}]")).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}");
            assert_eq!((faults[0].line, faults[0].column), (1, 8), "{text}");
            assert!(
                faults[0].reason.contains(&format!("quote it (\"{text}\")")),
                "{}",
                faults[0].reason
            );
            assert!(!is_plain_text(text));
        }
        let faults = value("a: no\nb: {c: 0123, d:}\n").unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
        assert_eq!(places.len(), 3);
        assert_eq!(places[..2], [(1, 4), (2, 8)]);
    }

    #[test]
    fn remarks_are_found_and_texts_are_none() {
        let text = "# one\na: \"# no\" # two\nb: |\n  # no\n";
        assert_eq!(remarks(text), [(1, "one".to_owned()), (2, "two".to_owned())]);
    }

    #[test]
    fn what_scenarios_have_no_use_for_is_refused() {
        for (text, reason) in [
            ("a: &x 1\n", "no anchors"),
            ("a: !!str 1\n", "no anchors"),
            ("a: 1\na: 2\n", "twice"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("", "empty"),
            ("a: [\n", ""),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.reason.contains(reason), "{text:?}: {fault}");
        }
        assert!(read(&"[".repeat(5000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_line_that_it_has(text in "[\\PC\n]{0,64}") {
            let lines = text.split('\n').count() as u64;
            for fault in value(&text).err().into_iter().flatten() {
                prop_assert!(fault.line <= lines && !fault.reason.is_empty(), "{}", fault);
            }
        }

        #[test]
        fn numbers_keep_their_text(number in any::<i64>(), fraction in any::<f64>()) {
            prop_assert_eq!(value(&format!("a: {number}")).unwrap()["a"].to_string(), number.to_string());
            let text = Value::from(fraction).to_string();
            if let Ok(read) = value(&format!("a: {text}")) {
                prop_assert_eq!(read["a"].to_string(), text);
            }
        }
    }
}
