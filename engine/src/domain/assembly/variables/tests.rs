use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::domain::{assembly::document::load, json_reader::read_text};

fn declared(variables: &str) -> Vec<DocumentVariable> {
    let document = format!("{{\"variables\":{variables}}}");
    load("v.json", document.as_bytes(), "powershell")
        .document
        .variables
}

fn given(text: &str) -> Overrides {
    match read_text(text) {
        Ok(Json::Object(members)) => overrides_of(&members),
        other => panic!("{other:?}"),
    }
}

fn rewrite(filled: &FilledVariables, script: &str) -> String {
    filled.rewrite(script, EscapePolicy::Refuse).unwrap()
}

const VARIABLES: &str = r#"[{"name":"greeting","default":"it's"},{"name":"my-var","type":"number","default":5},
    {"name":"flag","type":"boolean","default":"off"},{"name":"secret","type":"credential"}]"#;

#[test]
fn references_become_literals() {
    let filled = fill(&declared(VARIABLES), &Overrides::new());
    for (script, expected) in [
        ("$env:greeting", "'it''s'"),
        ("$ENV:{my-var} $Env:MY_VAR", "5 5"),
        ("\"$env:greeting\"", "\"'it''s'\""),
        ("$env:Flag,$env:secret", "$false,''"),
        (
            "${env:greeting} $env:unknown $env:greeting-x",
            "${env:greeting} $env:unknown $env:greeting-x",
        ),
        ("$env:{greeting", "$env:{greeting"),
        ("$$env:greeting \\$env:greeting", "$'it''s' \\'it''s'"),
        ("$env:$env:my_var é$env:", "$env:5 é$env:"),
    ] {
        assert_eq!(rewrite(&filled, script), expected, "{script}");
    }
}

#[test]
fn given_values_win_and_unknown_names_follow() {
    let overrides = given(r#"{"greeting":"O'Neil","my-var":7.5,"flag":"YES"," new ":3,"":"dropped"}"#);
    let filled = fill(&declared(VARIABLES), &overrides);
    assert_eq!(
        rewrite(&filled, "$env:greeting $env:my_var $env:flag $env:new.x"),
        "'O''Neil' 7.5 $true '3'.x"
    );
    let environment: Vec<_> = filled
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.python_str()))
        .collect();
    let expected = [
        ("GREETING", "O'Neil"),
        ("MY_VAR", "7.5"),
        ("FLAG", "YES"),
        ("SECRET", ""),
        ("NEW", "3"),
        ("greeting", "O'Neil"),
        ("my_var", "7.5"),
        ("flag", "YES"),
        ("secret", ""),
        ("new", "3"),
    ];
    assert_eq!(
        environment,
        expected.map(|(name, value)| (name, value.to_owned()))
    );
    assert_eq!(filled.listed.len(), 5);
    assert_eq!(filled.listed[0].get("value"), Some(&"O'Neil".into()));
    assert_eq!(filled.listed[3].get("value"), None);
}

#[test]
fn one_canonical_name_keeps_the_later_value() {
    let filled = fill(&declared(VARIABLES), &given(r#"{"Greeting":"other"}"#));
    assert_eq!(rewrite(&filled, "$env:greeting"), "'other'");
    assert_eq!(filled.environment["greeting"], "other".into());
    let accented = fill(&[], &given(r#"{"données":1}"#));
    assert!(accented.environment.contains_key("DONN_ES"));
}

#[test]
fn only_numbers_go_in_bare() {
    let number = |value: &str| {
        let text = format!(r#"[{{"name":"n","type":"number","default":{value}}}]"#);
        rewrite(&fill(&declared(&text), &Overrides::new()), "$env:n")
    };
    for (value, expected) in [
        ("null", "0"),
        ("\"\"", "0"),
        ("5", "5"),
        ("-1.5e3", "-1500.0"),
        ("\"1; calc\"", "'1; calc'"),
        ("true", "'True'"),
        ("\"inf\"", "'inf'"),
        ("NaN", "'nan'"),
        ("\"1e5\"", "1e5"),
    ] {
        assert_eq!(number(value), expected, "{value}");
    }
}

#[test]
fn a_list_or_an_object_is_true_also_an_empty_one() {
    let truth = |value: Json| {
        let overrides = Overrides::from_iter([("flag".to_owned(), value)]);
        rewrite(&fill(&declared(VARIABLES), &overrides), "$env:flag")
    };
    for value in [
        Json::List(Vec::new()),
        Json::object::<&str, 0>([]),
        Json::list([0]),
    ] {
        assert_eq!(truth(value), "$true");
    }
    for value in [Json::Null, 0.into(), "".into()] {
        assert_eq!(truth(value), "$false");
    }
}

#[test]
fn a_list_of_values_skips_those_without_one() {
    let list = [
        Json::object([("name", " a ".into()), ("value", 9.into())]),
        Json::object([("name", "b".into())]),
        Json::object([("value", 1.into())]),
        "x".into(),
    ];
    assert_eq!(
        overrides_in(&list),
        Overrides::from_iter([("a".to_owned(), 9.into())])
    );
}

proptest! {
    #[test]
    fn a_value_never_ends_its_quotes(value in "\\PC*") {
        let overrides = Overrides::from_iter([("x".to_owned(), value.as_str().into())]);
        let literal = rewrite(&fill(&[], &overrides), "$env:x");
        let inner = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap();
        let without = |text: &str| text.replace(is_single_quote, "");
        prop_assert_eq!(without(inner), without(&value));
        prop_assert_eq!(inner.matches(is_single_quote).count(), 2 * value.matches(is_single_quote).count());
    }

    #[test]
    fn a_script_changes_where_it_names_a_variable_and_is_refused_for_one_that_it_names(pieces in vec(piece(), 0..12)) {
        let script = pieces.concat();
        let filled = fill(&declared(VARIABLES), &Overrides::new());
        let allowed = filled.rewrite(&script, EscapePolicy::Allow).unwrap();
        match filled.rewrite(&script, EscapePolicy::Refuse) {
            Ok(rewritten) => prop_assert_eq!(&rewritten, &allowed),
            // The only value of these that is more than a word.
            Err(refused) => {
                prop_assert_eq!(canonical(&refused.name), "GREETING");
                prop_assert!(script.to_ascii_lowercase().contains(&refused.name.to_ascii_lowercase()));
            }
        }
        prop_assert_eq!(fill(&[], &Overrides::new()).rewrite(&script, EscapePolicy::Refuse), Ok(script.clone()));
        let unknown = fill(&[], &given(r#"{"other":"x"}"#));
        prop_assert_eq!(unknown.rewrite(&script, EscapePolicy::Refuse), Ok(script.clone()));
        if find_mark(&script, "$env:").is_none() {
            prop_assert_eq!(&allowed, &script);
        }
        // What stands around the references stays, in its order.
        let mut rest = allowed.as_str();
        for piece in pieces.iter().filter(|piece| !piece.contains(['$', ':', '}'])) {
            let Some((_, after)) = rest.split_once(piece.as_str()) else {
                return Err(TestCaseError::fail(format!("{piece:?} of {script:?} is not in {allowed:?}")));
            };
            rest = after;
        }
    }
}

/// A piece of a script: a reference, what gives it another meaning, or any character.
fn piece() -> impl Strategy<Value = String> {
    let known = select(&[
        "$env:greeting",
        "$ENV:{Greeting}",
        "$env:my_var",
        "$env:{flag}",
        "$env:secret",
    ]);
    let odd = select(&[
        "$env:nobody",
        "$env:",
        "$env:{greeting",
        "'",
        "\"",
        "`",
        "#",
        "<#",
        "#>",
        "\n",
        "$(",
        ")",
    ]);
    prop_oneof![
        known.prop_map(str::to_owned),
        odd.prop_map(str::to_owned),
        "\\PC".prop_map(String::from)
    ]
}
