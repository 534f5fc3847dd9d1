//! Differences that were found become a block of an entry, with exact values. Everything else in the file stays as people
//! wrote it.
//!
//! Long because half of it is what becomes of a whole register, as text.

use crate::diff::Difference;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table};

/// Why nothing was written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The register is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// No entry has the id.
    #[error(
        "the register has no entry `{id}`{nearest}. A new one begins with what a person has to say; write it, then accept:\n\n\
         [[divergence]]\nid = \"{id}\"\ndefect = \"the defect or decision that it rests on\"\narea = \"Authentication, \
         Enrollment, Scheduler, Realtime, GitHub or Other\"\nlegacy_behaviour = \"what the legacy does\"\nengine_behaviour = \
         \"what the engine does\"\nreason = \"why, in words that whoever signs the cut-over would sign\"\nsince = \
         \"YYYY-MM-DD\"\nexpect = []"
    )]
    UnknownEntry {
        /// The id.
        id: String,
        /// Another one, as part of a sentence.
        nearest: String,
    },
}

/// The register's text with blocks in an entry that accept the differences, all of one scenario: a block of the entry that
/// has the same rows gets one more place, for others there is a new one. `step` gives the name of a step; `values` are those
/// that the register names.
///
/// # Errors
/// If the text cannot be read or has no such entry.
pub fn accept(
    text: &str,
    id: &str,
    differences: &[Difference],
    step: impl Fn(u32) -> Option<String>,
    values: &BTreeMap<String, Value>,
) -> Result<String, AcceptError> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| AcceptError::Syntax(error.to_string()))?;
    let entries = document
        .get_mut("divergence")
        .and_then(Item::as_array_of_tables_mut);
    let mut known = BTreeSet::new();
    let mut found = None;
    for entry in entries.into_iter().flat_map(ArrayOfTables::iter_mut) {
        let own = entry
            .get("id")
            .and_then(Item::as_str)
            .unwrap_or_default()
            .to_owned();
        if own == id {
            found = Some(entry);
            break;
        }
        known.insert(own);
    }
    let Some(entry) = found else {
        let nearest = known.iter().min_by_key(|other| strsim::osa_distance(other, id));
        return Err(AcceptError::UnknownEntry {
            id: id.to_owned(),
            nearest: nearest
                .map(|other| format!("; the nearest is `{other}`"))
                .unwrap_or_default(),
        });
    };
    if entry
        .get("expect")
        .and_then(Item::as_array)
        .is_some_and(Array::is_empty)
    {
        entry.remove("expect");
    }
    let expectations = entry
        .entry("expect")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(expectations) = expectations.as_array_of_tables_mut() {
        for block in blocks(differences, step, values) {
            if !expectations.iter_mut().any(|known| takes_in(known, &block)) {
                expectations.push(block);
            }
        }
    }
    Ok(document.to_string())
}

/// Whether a block of the register has the rows of a new one and so got its places.
fn takes_in(known: &mut Table, new: &Table) -> bool {
    // What has patterns or rows of other blocks in it expects more than its own rows say.
    let exact = ["same_as", "except", "why_loose", "may_be_same", "legacy_side"]
        .iter()
        .all(|member| !known.contains_key(member));
    if !exact || rows_of(known) != rows_of(new) {
        return false;
    }
    let places = |block: &Table| -> Option<Vec<(String, Array)>> {
        let of = |(scenario, steps): (&str, &Item)| Some((scenario.to_owned(), steps.as_array()?.clone()));
        block.get("at")?.as_table_like()?.iter().map(of).collect()
    };
    let (Some(wanted), Some(at)) = (places(new), known.get_mut("at").and_then(Item::as_table_like_mut))
    else {
        return false;
    };
    // Steps that are no list are no exact ones.
    if at.iter().any(|(_, steps)| !steps.is_array()) {
        return false;
    }
    for (scenario, steps) in wanted {
        match at.get_mut(&scenario).and_then(Item::as_array_mut) {
            Some(there) => there.extend(steps.iter().filter_map(|step| step.as_str().map(str::to_owned))),
            None => {
                // What stood before the closing brace comes before it again.
                let last = at.iter_mut().last().and_then(|(_, steps)| steps.as_value_mut());
                last.into_iter()
                    .for_each(|steps| steps.decor_mut().set_suffix(""));
                let mut steps = toml_edit::Value::Array(steps);
                steps.decor_mut().set_suffix(" ");
                at.insert(&scenario, Item::Value(steps));
            }
        }
    }
    true
}

/// The rows of a block, however they are written and in whatever order they stand.
fn rows_of(block: &Table) -> Option<Vec<String>> {
    let rows = block.get("differ")?.as_array()?;
    let mut rows: Vec<String> = rows.iter().map(bare).collect();
    rows.sort();
    Some(rows)
}

/// A value without white space and remarks, and with one spelling of texts.
fn bare(value: &toml_edit::Value) -> String {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()).to_string(),
        toml_edit::Value::Integer(number) => number.value().to_string(),
        toml_edit::Value::Float(number) => format!("{:?}", number.value()),
        toml_edit::Value::Boolean(truth) => truth.value().to_string(),
        toml_edit::Value::Datetime(time) => time.value().to_string(),
        toml_edit::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(bare).collect();
            format!("[{}]", items.join(","))
        }
        // The order of an object's members is part of what is compared.
        toml_edit::Value::InlineTable(members) => {
            let member =
                |(key, value): (&str, &toml_edit::Value)| format!("{}={}", Value::from(key), bare(value));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// One block for the steps that show the same.
fn blocks(
    differences: &[Difference],
    step: impl Fn(u32) -> Option<String>,
    values: &BTreeMap<String, Value>,
) -> Vec<Table> {
    let mut by_step: BTreeMap<u32, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        by_step.entry(difference.step).or_default().push(difference);
    }
    let mut by_rows: Vec<(Array, String, Vec<u32>)> = Vec::new();
    for (number, shown) in by_step {
        let rows = rows(&shown, values);
        let text = rows.to_string();
        match by_rows.iter_mut().find(|(_, known, _)| *known == text) {
            Some((_, _, steps)) => steps.push(number),
            None => by_rows.push((rows, text, vec![number])),
        }
    }
    let scenario = differences.first().map_or("", |difference| &difference.scenario);
    let block = |rows: Array, steps: Vec<u32>| {
        let names: Array = steps.into_iter().filter_map(&step).collect();
        let mut at = InlineTable::new();
        at.insert(scenario, names.into());
        let mut block = Table::new();
        block.insert("at", toml_edit::value(at));
        block.insert("differ", toml_edit::value(rows));
        block
    };
    by_rows
        .into_iter()
        .map(|(rows, _, steps)| block(rows, steps))
        .collect()
}

/// A line for each row.
fn rows(differences: &[&Difference], values: &BTreeMap<String, Value>) -> Array {
    let mut rows = Array::new();
    for difference in differences {
        let mut row = InlineTable::new();
        row.insert("path", difference.path.as_str().into());
        for (side, value) in [("legacy", &difference.legacy), ("engine", &difference.engine)] {
            if let Some(value) = value {
                row.insert(side, constraint(value, values));
            }
        }
        let mut row = toml_edit::Value::InlineTable(row);
        row.decor_mut().set_prefix("\n    ");
        rows.push_formatted(row);
    }
    rows.set_trailing_comma(true);
    rows.set_trailing("\n");
    rows
}

/// Exactly this value, as the register writes it.
fn constraint(value: &Value, values: &BTreeMap<String, Value>) -> toml_edit::Value {
    let told = |how: &str, value: toml_edit::Value| {
        let mut table = InlineTable::new();
        table.insert(how, value);
        toml_edit::Value::InlineTable(table)
    };
    if value.is_null() {
        return told("null", true.into());
    }
    if let Some((name, _)) = values.iter().find(|(_, known)| *known == value) {
        return told("value", name.as_str().into());
    }
    match (plain(value), value) {
        (Some(plain), Value::Object(_)) => told("equals", plain),
        (Some(plain), _) => plain,
        (None, value) => told("json", value.to_string().into()),
    }
}

/// The value as TOML, which knows no null and spells numbers its own way; nothing where it would be another value.
fn plain(value: &Value) -> Option<toml_edit::Value> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some((*value).into()),
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => {
            let text = number.to_string();
            let whole = number.as_i64().filter(|whole| whole.to_string() == text);
            if let Some(whole) = whole {
                return Some(whole.into());
            }
            let float = number.as_f64()?;
            let same = serde_json::Number::from_f64(float).is_some_and(|other| other.to_string() == text);
            same.then(|| float.into())
        }
        Value::Array(items) => items.iter().map(plain).collect::<Option<Array>>().map(Into::into),
        Value::Object(members) => {
            let mut table = InlineTable::new();
            for (key, value) in members {
                table.insert(key, plain(value)?);
            }
            Some(table.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Kind;
    use serde_json::json;

    const TEXT: &str = "format = 2\n\n# why it is first\n[[divergence]]\nid = \"one\"\ndefect = \"X-1\"\n\n\
        [[divergence.expect]]\nat = { \"a/b\" = [\"GET x\"] } # as it was\ndiffer = [\n    { path = \"/a\", legacy = 1 },\n]\n\n\
        # about the second\n[[divergence]]\nid = \"two\"\nexpect = []\n";

    fn difference(step: u32, path: &str, legacy: Value, engine: Option<Value>) -> Difference {
        Difference {
            scenario: "a/c".to_owned(),
            step,
            label: String::new(),
            path: path.to_owned(),
            kind: Kind::Value,
            legacy: Some(legacy),
            engine,
        }
    }

    fn accepted(id: &str) -> Result<String, AcceptError> {
        accepted_in(TEXT, id)
    }

    fn accepted_in(text: &str, id: &str) -> Result<String, AcceptError> {
        let differences = [
            difference(1, "/status", json!(500), Some(json!(400))),
            difference(3, "/status", json!(500), Some(json!(400))),
            difference(2, "/body/a", json!(null), Some(json!({ "n": [1.5, "x"] }))),
            difference(2, "/body/b", json!({ "n": null }), None),
            difference(2, "/body/c", json!("a long page"), None),
        ];
        let values = BTreeMap::from([("the page".to_owned(), json!("a long page"))]);
        accept(
            text,
            id,
            &differences,
            |step| Some(format!("GET {step}")),
            &values,
        )
    }

    #[test]
    fn a_block_is_put_into_its_entry_and_all_else_stays() {
        insta::assert_snapshot!(accepted("one").unwrap(), @r#"
        format = 2

        # why it is first
        [[divergence]]
        id = "one"
        defect = "X-1"

        [[divergence.expect]]
        at = { "a/b" = ["GET x"] } # as it was
        differ = [
            { path = "/a", legacy = 1 },
        ]

        [[divergence.expect]]
        at = { "a/c" = ["GET 1", "GET 3"] }
        differ = [
            { path = "/status", legacy = 500, engine = 400 },
        ]

        [[divergence.expect]]
        at = { "a/c" = ["GET 2"] }
        differ = [
            { path = "/body/a", legacy = { null = true }, engine = { equals = { n = [1.5, "x"] } } },
            { path = "/body/b", legacy = { json = '{"n":null}' } },
            { path = "/body/c", legacy = { value = "the page" } },
        ]

        # about the second
        [[divergence]]
        id = "two"
        expect = []
        "#);
    }

    #[test]
    fn a_block_with_the_same_rows_gets_one_more_place() {
        let more = TEXT.replace(
            "# about the second",
            "[[divergence.expect]]\nname = \"the crash\"\nat = { \"a/b\" = [\"GET x\"] } # where\ndiffer = [\n    # how\n    \
             { path = '/status', legacy = 500, engine = 400 },\n]\n\n[[divergence.expect]]\nat = { \"a/c\" = [\"GET 9\"] }\n\
             differ = [\n    { path = \"/body/c\", legacy = { value = \"the page\" } },\n    \
             { path = \"/body/b\", legacy = { json = '{\"n\":null}' } },\n    \
             { path = \"/body/a\", legacy = { null = true }, engine = { equals = { n = [1.5, \"x\"] } } },\n]\n\n# about the second",
        );
        insta::assert_snapshot!(accepted_in(&more, "one").unwrap(), @r#"
        format = 2

        # why it is first
        [[divergence]]
        id = "one"
        defect = "X-1"

        [[divergence.expect]]
        at = { "a/b" = ["GET x"] } # as it was
        differ = [
            { path = "/a", legacy = 1 },
        ]

        [[divergence.expect]]
        name = "the crash"
        at = { "a/b" = ["GET x"], "a/c" = ["GET 1", "GET 3"] } # where
        differ = [
            # how
            { path = '/status', legacy = 500, engine = 400 },
        ]

        [[divergence.expect]]
        at = { "a/c" = ["GET 9", "GET 2"] }
        differ = [
            { path = "/body/c", legacy = { value = "the page" } },
            { path = "/body/b", legacy = { json = '{"n":null}' } },
            { path = "/body/a", legacy = { null = true }, engine = { equals = { n = [1.5, "x"] } } },
        ]

        # about the second
        [[divergence]]
        id = "two"
        expect = []
        "#);
        let loose = more.replace("name = ", "why_loose = ");
        let written = accepted_in(&loose, "one").unwrap();
        assert!(
            written.contains("at = { \"a/c\" = [\"GET 1\", \"GET 3\"] }"),
            "a block of its own: {written}"
        );
    }

    #[test]
    fn an_entry_that_expects_nothing_yet_gets_its_first_block() {
        let text = accepted("two").unwrap();
        assert!(text.starts_with(TEXT.trim_end_matches("expect = []\n")), "{text}");
        assert!(
            text.contains("[[divergence.expect]]\nat = { \"a/c\" = [\"GET 1\", \"GET 3\"] }"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_entry_is_told_with_the_nearest_and_with_what_a_new_one_needs() {
        let message = accepted("tow").unwrap_err().to_string();
        assert!(
            message.contains("no entry `tow`; the nearest is `two`"),
            "{message}"
        );
        assert!(
            message.contains("[[divergence]]\nid = \"tow\"\n") && message.contains("reason = "),
            "{message}"
        );
    }
}
