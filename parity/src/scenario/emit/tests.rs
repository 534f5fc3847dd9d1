use proptest::prelude::*;

use super::*;
use crate::scenario::expect::Expect;

fn with_text(text: &str) -> Scenario {
    Scenario {
        name: "a/b".to_owned(),
        title: text.to_owned(),
        area: "A".to_owned(),
        checklist: Vec::new(),
        agents: Vec::new(),
        started_at_us: 1_795_448_990_335_001,
        policy: Policy::Legacy,
        env: Vec::new(),
        files: vec![("f".to_owned(), FileSource::Text(text.to_owned()))],
        queries: Vec::new(),
        upstream: None,
        shared: None,
        steps: vec![Step {
            id: 1,
            name: "a name".to_owned(),
            line: 0,
            who: None,
            note: text.to_owned(),
            at_us: Some(9_000),
            action: Action::Http(Request {
                method: "POST",
                path: format!("/{text}"),
                headers: vec![("X".to_owned(), text.to_owned())],
                body: RequestBody::Json(
                    serde_json::json!({"k": [text, 1, 1.5, -0.25, null, true], text: {}}),
                ),
            }),
            captures: vec![("n".to_owned(), Capture::Pointer("/a/0".to_owned()))],
            expect: Expect::default(),
            only_own: false,
        }],
    }
}

fn round(scenario: &Scenario) -> Scenario {
    let text = to_yaml(scenario);
    let mut read = Scenario::read("a/b", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for step in &mut read.steps {
        step.line = 0;
    }
    read
}

#[test]
fn texts_that_yaml_could_misread_come_back() {
    for text in [
        "null",
        "Yes",
        "12",
        "1e3",
        "",
        " a",
        "a ",
        "a: b",
        "a #b",
        "- a",
        "a\nb\n",
        "\u{7f}\u{85}\u{feff}",
        "é😀",
        "-----BEGIN X-----\nabc=\n-----END X-----\n",
        "{a}",
        "a:",
        "~",
        "'a'",
        "\"",
        "<<",
        "0x1f",
        ".inf",
    ] {
        assert_eq!(round(&with_text(text)), with_text(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_comes_back(text in "[^\u{0}]*") {
        prop_assert_eq!(round(&with_text(&text)), with_text(&text));
    }
}
