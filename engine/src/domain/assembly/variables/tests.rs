use proptest::prelude::*;

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
    fn no_script_breaks_it(script in "(\\PC|\\$env:|\\{|\\}){0,20}") {
        let _ = fill(&declared(VARIABLES), &Overrides::new()).rewrite(&script, EscapePolicy::Refuse);
    }
}
