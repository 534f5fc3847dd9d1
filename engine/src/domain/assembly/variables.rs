//! The variables of a script: what fills them, what the agent gets of them, and their places in the text.

use indexmap::IndexMap;

use super::{
    document::DocumentVariable,
    powershell::{ScriptReader, Text, Verdict, is_single_quote},
};
use crate::domain::{
    json::{Json, JsonObject},
    text::python_trim,
};

/// Given values by name: names trimmed, blank ones dropped, later ones win.
pub type Overrides = IndexMap<String, Json>;

/// Values given as an object.
pub fn overrides_of(members: &JsonObject) -> Overrides {
    members
        .iter()
        .map(|(name, value)| (python_trim(name).to_owned(), value.clone()))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// Values given as a list of `{name, value}`.
pub fn overrides_in(list: &[Json]) -> Overrides {
    named_values(list)
        .map(|(name, value)| (name, value.clone()))
        .collect()
}

/// The values of such a list, repeated names too; entries without a `value` are skipped.
pub fn named_values(list: &[Json]) -> impl Iterator<Item = (String, &Json)> {
    list.iter().filter_map(|entry| {
        let name = entry.get("name").map(Json::python_text)?;
        let value = entry.get("value")?;
        (!name.is_empty()).then_some((name, value))
    })
}

/// A script's variables, filled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilledVariables {
    /// The environment that the agent sets.
    pub environment: JsonObject,
    /// The list that the agent gets.
    pub listed: Vec<Json>,
    /// PowerShell literals by canonical name.
    literals: IndexMap<String, Literal>,
}

/// What takes the place of a reference.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Literal {
    /// `$true`, a number: the same wherever it stands.
    Bare(String),
    /// A text, put between quotes.
    Text(String),
}

/// What becomes of a script in which a value could get out of the text that it stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EscapePolicy {
    /// It is refused.
    Refuse,
    /// It is written as the legacy writes it.
    Allow,
}

/// A value that could get out of the text that it stands in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("The value of {name} is refused: the script has it {place}, where {reason}")]
pub struct EscapingValue {
    name: String,
    place: &'static str,
    reason: &'static str,
}

impl EscapingValue {
    fn new(name: &str, text: Option<Text>) -> Self {
        let (place, reason) = match text {
            Some(Text::Double | Text::HereDouble) => (
                text.map_or("", Text::place),
                "a double quote, a backtick or a $ could become code",
            ),
            Some(text) => (text.place(), "it could become code"),
            None => (
                "outside of any quotes of its own",
                "anything but letters and digits could become code",
            ),
        };
        Self {
            name: name.to_owned(),
            place,
            reason,
        }
    }
}

/// Whether a variable's name means something to Ansible or to the server's own way of calling it.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("ansible_") || name.starts_with("__borealis")
}

/// Fills a document's variables; values for names that it does not declare come after them.
pub fn fill(declared: &[DocumentVariable], overrides: &Overrides) -> FilledVariables {
    let mut filled = FilledVariables::default();
    let mut names = Vec::new();
    for variable in declared {
        let given = overrides.get(&variable.name);
        filled.listed.push(listed(variable, given));
        filled.set(&variable.name, &variable.kind, given.unwrap_or(&variable.default));
        names.push(variable.name.as_str());
    }
    for (name, value) in overrides {
        if declared.iter().any(|variable| variable.name == *name) {
            continue;
        }
        filled.listed.push(Json::object([
            ("name", name.as_str().into()),
            ("value", value.clone()),
            ("type", "string".into()),
        ]));
        filled.set(name, "string", value);
        names.push(name);
    }
    for name in names {
        let alias = replaced(name);
        if !filled.environment.contains_key(&alias)
            && let Some(value) = filled.environment.get(&canonical(name)).cloned()
        {
            filled.environment.insert(alias, value);
        }
    }
    filled
}

/// The declared variables as the agent gets them where nothing is filled.
pub fn declared_list(declared: &[DocumentVariable]) -> Vec<Json> {
    declared.iter().map(|variable| listed(variable, None)).collect()
}

impl FilledVariables {
    fn set(&mut self, name: &str, kind: &str, value: &Json) {
        let key = canonical(name);
        self.literals.insert(key.clone(), literal(kind, value));
        self.environment.insert(key, environment_text(value).into());
    }

    /// The script with every `$env:NAME` and `$env:{NAME}` of a known name replaced by its literal, once.
    ///
    /// # Errors
    /// A value could get out of the text that it stands in, and the policy is to refuse that.
    pub fn rewrite(&self, script: &str, policy: EscapePolicy) -> Result<String, EscapingValue> {
        const MARK: &str = "$env:";
        if self.literals.is_empty() {
            return Ok(script.to_owned());
        }
        let mut rewritten = Rewritten::with_capacity(script.len());
        let mut rest = script;
        while let Some(at) = find_mark(rest, MARK) {
            let (before, marked) = rest.split_at(at);
            rewritten.push(before);
            let after = marked.get(MARK.len()..).unwrap_or_default();
            let whole = reference(after).and_then(|(name, length)| {
                let whole = marked.get(..MARK.len() + length)?;
                rest = marked.get(MARK.len() + length..)?;
                Some((name, whole))
            });
            match whole {
                Some((name, whole)) => match self.literals.get(&canonical(name)) {
                    None => rewritten.push(whole),
                    Some(Literal::Bare(text)) => rewritten.push(text),
                    Some(Literal::Text(value)) => {
                        if let Err(text) = rewritten.push_value(value, whole)
                            && policy == EscapePolicy::Refuse
                        {
                            return Err(EscapingValue::new(name, text));
                        }
                    }
                },
                None => {
                    rewritten.push(marked.get(..MARK.len()).unwrap_or_default());
                    rest = after;
                }
            }
        }
        rewritten.push(rest);
        Ok(rewritten.script)
    }
}

/// A script while it is rewritten, read as PowerShell will read it.
struct Rewritten {
    script: String,
    reader: ScriptReader,
}

impl Rewritten {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            script: String::with_capacity(capacity),
            reader: ScriptReader::default(),
        }
    }

    fn push(&mut self, text: &str) {
        self.script.push_str(text);
        self.reader.read(text);
    }

    /// Puts a value in the place of `reference`, between quotes. A comment that it would end keeps the reference.
    ///
    /// # Errors
    /// The text that it could get out of; it was put there all the same.
    fn push_value(&mut self, value: &str, reference: &str) -> Result<(), Option<Text>> {
        // Inside single quotes the quotes around it are a part of the text, like those in it.
        let times = if self.reader.is_in_single_quotes() { 2 } else { 1 };
        let quote = "'".repeat(times);
        let escaped = doubled(value, times);
        let mut here = self.reader.clone();
        here.read(&quote);
        match here.judge(&escaped) {
            Verdict::EndsComment => {
                self.push(reference);
                return Ok(());
            }
            Verdict::Escapes(text) if !is_plain(value) => {
                self.push(&format!("{quote}{escaped}{quote}"));
                return Err(text);
            }
            Verdict::Contained | Verdict::Escapes(_) => {}
        }
        self.push(&format!("{quote}{escaped}{quote}"));
        Ok(())
    }
}

/// A value that is nothing but a word, wherever it stands.
fn is_plain(value: &str) -> bool {
    value
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The text with every single quote doubled, so many times.
fn doubled(text: &str, times: usize) -> String {
    let mut doubled = String::with_capacity(text.len());
    for character in text.chars() {
        let count = if is_single_quote(character) { 1 << times } else { 1 };
        doubled.extend(std::iter::repeat_n(character, count));
    }
    doubled
}

/// Where `mark` begins in `text`, whatever the case of its letters.
fn find_mark(text: &str, mark: &str) -> Option<usize> {
    text.as_bytes()
        .windows(mark.len())
        .position(|window| window.eq_ignore_ascii_case(mark.as_bytes()))
}

/// The name after a mark, and the length of the reference with its braces.
fn reference(text: &str) -> Option<(&str, usize)> {
    let (text, braced) = text
        .strip_prefix('{')
        .map_or((text, false), |inner| (inner, true));
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count();
    let name = text.get(..length).filter(|name| !name.is_empty())?;
    if !braced {
        return Some((name, length));
    }
    text.get(length..)?.starts_with('}').then_some((name, length + 2))
}

fn listed(variable: &DocumentVariable, given: Option<&Json>) -> Json {
    let mut members = Json::members([
        ("name", variable.name.as_str().into()),
        ("label", variable.label.as_str().into()),
        ("type", variable.kind.as_str().into()),
        ("default", variable.default.clone()),
        ("required", variable.required.into()),
        ("description", Json::from(variable.description.as_str())),
    ]);
    if let Some(value) = given {
        members.insert("value".to_owned(), value.clone());
    }
    members.into()
}

/// A name with everything but ASCII letters, digits and `_` replaced.
fn replaced(name: &str) -> String {
    python_trim(name)
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '_'
            }
        })
        .collect()
}

fn canonical(name: &str) -> String {
    replaced(name).to_ascii_uppercase()
}

fn environment_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        other => other.python_str(),
    }
}

/// The PowerShell literal of a value.
fn literal(kind: &str, value: &Json) -> Literal {
    match kind {
        "boolean" => {
            let truth = match value {
                Json::Text(text) => {
                    !["false", "0", "no", "n", "off", ""].contains(&python_trim(text).to_lowercase().as_str())
                }
                // As a text, which says something even of nothing: `[]`, `{}`.
                Json::List(_) | Json::Object(_) => true,
                other => other.is_truthy(),
            };
            Literal::Bare(if truth { "$true" } else { "$false" }.to_owned())
        }
        "number" => {
            let text = environment_text(value);
            if text.is_empty() {
                Literal::Bare("0".to_owned())
            } else if is_number(&text) {
                Literal::Bare(text)
            } else {
                // Unquoted, as in the legacy, it would be code (SCH-18).
                Literal::Text(text)
            }
        }
        _ => Literal::Text(environment_text(value)),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
}

#[cfg(test)]
mod quoting_tests;

#[cfg(test)]
mod tests;
