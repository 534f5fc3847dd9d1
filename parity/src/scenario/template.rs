//! `${name}` and `${repeat:unit:times}` in paths, headers, bodies and parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The values that templates may name.
pub type Names = BTreeMap<String, Value>;

/// The longest text that `${repeat:…}` may make: a slip of the pen must not fill the memory.
const LONGEST_REPEAT: usize = 64 << 20;

/// Why a template has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nobody has defined the name so far.
    #[error("nothing defines ${{{0}}}")]
    Unknown(String),
    /// `${` without `}`.
    #[error("a template is not closed: {0}")]
    Open(String),
    /// `${repeat:…}` that cannot be read or is too long.
    #[error("${{{0}}} is no `repeat:unit:times`")]
    Repeat(String),
}

/// A piece of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
    Repeat(&'a str, usize),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        let (piece, next) = if let Some(repeat) = after.strip_prefix("repeat:") {
            read_repeat(repeat)?
        } else {
            let (name, next) = after.split_once('}').ok_or_else(|| open(after))?;
            (Piece::Name(name), next)
        };
        found.push(piece);
        rest = next;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    Ok(found)
}

/// The unit may hold any character, also `}` and `:`, so its end is the first `:digits}` after its first character.
fn read_repeat(text: &str) -> Result<(Piece<'_>, &str), TemplateError> {
    let first = text.chars().next().map_or(0, char::len_utf8);
    for (at, _) in text.match_indices(':').filter(|(at, _)| *at >= first) {
        let Some((unit, after)) = text.split_at_checked(at) else {
            continue;
        };
        let Some(after) = after.strip_prefix(':') else {
            continue;
        };
        let Some((times, next)) = after.split_once('}') else {
            continue;
        };
        if unit.is_empty() || times.is_empty() || !times.bytes().all(|digit| digit.is_ascii_digit()) {
            continue;
        }
        return match times.parse::<usize>() {
            Ok(times) if unit.len().saturating_mul(times) <= LONGEST_REPEAT => {
                Ok((Piece::Repeat(unit, times), next))
            }
            _ => Err(TemplateError::Repeat(shorten(text))),
        };
    }
    Err(TemplateError::Repeat(shorten(text)))
}

fn open(text: &str) -> TemplateError {
    TemplateError::Open(shorten(text))
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A text as an argument of a shell, which takes the values from variables. `None` where it cannot be read.
pub fn as_shell_argument(text: &str) -> Option<String> {
    let mut out = String::new();
    for piece in pieces(text).ok()? {
        match piece {
            Piece::Text(text) => push_quoted(&mut out, text),
            Piece::Repeat(unit, times) => {
                out.push_str("\"$(printf %s ");
                push_quoted(&mut out, unit);
                out.push_str(&format!("'%.0s' $(seq {times}))\""));
            }
            Piece::Name(name) => out.push_str(&format!("\"${{{}}}\"", shell_variable(name))),
        }
    }
    if out.is_empty() {
        out.push_str("''");
    }
    Some(out)
}

fn push_quoted(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if text.bytes().all(is_plain) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', r"'\''"));
        out.push('\'');
    }
}

/// What a shell calls a name of a scenario.
fn shell_variable(name: &str) -> String {
    let word = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    name.chars().map(word).collect()
}

/// The text that stands for a value inside a longer text.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Fills in a text.
///
/// # Errors
/// If a name is unknown or a template cannot be read.
pub fn render(text: &str, names: &Names) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Repeat(unit, times) => out.push_str(&unit.repeat(times)),
            Piece::Name(name) => {
                let value = names
                    .get(name)
                    .ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
                out.push_str(&as_text(value));
            }
        }
    }
    Ok(out)
}

/// Fills in every text of a JSON value, keys too. A text that is one template as a whole becomes the value itself,
/// so a captured text stays a text even where it reads like a number.
///
/// # Errors
/// As [`render`].
pub fn render_value(value: &Value, names: &Names) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => match pieces(text)?.as_slice() {
            [Piece::Name(name)] => names
                .get(*name)
                .cloned()
                .ok_or_else(|| TemplateError::Unknown((*name).to_owned()))?,
            _ => Value::String(render(text, names)?),
        },
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| render_value(item, names))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => {
            let mut out = Map::with_capacity(fields.len());
            for (key, item) in fields {
                out.insert(render(key, names)?, render_value(item, names)?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}

/// The names that a text uses.
///
/// # Errors
/// If a template cannot be read.
pub fn used(text: &str) -> Result<Vec<String>, TemplateError> {
    Ok(pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect())
}

/// The names that a JSON value uses.
///
/// # Errors
/// If a template cannot be read.
pub fn used_in(value: &Value) -> Result<Vec<String>, TemplateError> {
    let mut names = Vec::new();
    match value {
        Value::String(text) => names.extend(used(text)?),
        Value::Array(items) => {
            for item in items {
                names.extend(used_in(item)?);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                names.extend(used(key)?);
                names.extend(used_in(item)?);
            }
        }
        _ => {}
    }
    Ok(names)
}

/// The template of a repeated unit.
pub fn repeat(unit: &str, times: usize) -> String {
    format!("${{repeat:{unit}:{times}}}")
}

/// The unit and the times, where a text is nothing but one repeat.
pub fn whole_repeat(text: &str) -> Option<(String, usize)> {
    match pieces(text).ok()?.as_slice() {
        [Piece::Repeat(unit, times)] => Some(((*unit).to_owned(), *times)),
        _ => None,
    }
}

/// The longest unit that [`fold_repeats`] looks for.
const LONGEST_UNIT: usize = 16;
/// The shortest run that is worth a template.
const SHORTEST_RUN: usize = 400;

/// Writes long runs of a short unit as `${repeat:unit:times}`; the rest stays as it is.
pub fn fold_repeats(text: &str) -> String {
    if text.len() < SHORTEST_RUN {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut rest = characters.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        let run = (1..=LONGEST_UNIT).find_map(|length| {
            let unit = rest.get(..length)?;
            let times = rest.chunks(length).take_while(|chunk| *chunk == unit).count();
            // A unit with `$` or `:` could be read differently afterwards.
            let plain = !unit.iter().any(|character| matches!(character, '$' | ':'));
            (plain && times * length >= SHORTEST_RUN).then_some((unit, times))
        });
        if let Some((unit, times)) = run {
            let unit_text: String = unit.iter().collect();
            out.push_str(&repeat(&unit_text, times));
            rest = rest.get(unit.len() * times..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        Names::from([
            ("code".to_owned(), json!("007")),
            ("number".to_owned(), json!(5)),
            ("agent1.nonce".to_owned(), json!("N=")),
        ])
    }

    #[test]
    fn names_are_filled_in_and_keep_their_kind_where_they_stand_alone() {
        assert_eq!(render("/a/${code}?n=${number}", &names()).unwrap(), "/a/007?n=5");
        assert_eq!(
            render_value(
                &json!({"c": "${code}", "n": "${number}", "m": "x${number}", "k": [null, 1]}),
                &names()
            )
            .unwrap(),
            json!({"c": "007", "n": 5, "m": "x5", "k": [null, 1]})
        );
        assert_eq!(
            render("${nobody}", &names()),
            Err(TemplateError::Unknown("nobody".to_owned()))
        );
        assert!(matches!(render("a${code", &names()), Err(TemplateError::Open(_))));
    }

    #[test]
    fn repeats_take_any_unit() {
        assert_eq!(render("<${repeat:ab:3}>", &names()).unwrap(), "<ababab>");
        assert_eq!(render("${repeat:}:2}${repeat:::2}", &names()).unwrap(), "}}::");
        assert!(matches!(
            render("${repeat:a:99999999999}", &names()),
            Err(TemplateError::Repeat(_))
        ));
        assert!(render("${repeat:a}", &names()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_no_template_stays_and_names_stand_where_they_stood(
            text in prop_oneof![".*", "(.|\\$|\\{|\\}|\\$\\{[a-z]{0,2}\\}|\\$\\{repeat:x:[0-9]\\}){0,12}"],
        ) {
            let found = match used(&text) {
                Ok(found) => found,
                Err(error) => {
                    prop_assert_eq!(render(&text, &names()), Err(error));
                    return Ok(());
                }
            };
            // Each name stands for its own template, so that only repeats change the text.
            let themselves: Names = found.iter().map(|name| (name.clone(), json!(format!("${{{name}}}")))).collect();
            let rendered = render(&text, &themselves).unwrap();
            if !text.contains("${repeat:") {
                prop_assert_eq!(&rendered, &text);
            }
            prop_assert_eq!(render_value(&json!([&text]), &themselves), Ok(json!([rendered])));
            if let Some(first) = found.first() {
                prop_assert_eq!(render(&text, &Names::new()), Err(TemplateError::Unknown(first.clone())));
            }
        }

        #[test]
        fn a_repeat_is_its_unit_so_many_times(unit in ".{1,3}", times in 0_usize..9, after in "[a-z]{0,3}") {
            // The unit ends at the first `:digits}`, so one that holds such is another one.
            prop_assume!(!unit.contains(':'));
            let text = format!("${{repeat:{unit}:{times}}}{after}");
            prop_assert_eq!(render(&text, &Names::new()), Ok(unit.repeat(times) + &after));
        }

        #[test]
        fn folding_changes_nothing(before in "[a-z]{0,9}", unit in "[a-z\\[{}\"]{1,4}", times in 0usize..900, after in "[a-z]{0,9}") {
            let text = format!("{before}{}{after}", unit.repeat(times));
            prop_assert_eq!(render(&fold_repeats(&text), &Names::new()).unwrap(), text);
        }
    }
}
