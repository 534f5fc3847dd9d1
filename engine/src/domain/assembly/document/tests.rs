//! Long because it is a list of documents and what is read of each.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::domain::{
    arbitrary::{self, any_json},
    json_text::indented_text,
};

fn read(text: &str) -> Document {
    let loaded = load("base.json", text.as_bytes(), "powershell");
    assert!(!loaded.damaged, "{text}");
    loaded.document
}

#[test]
fn an_empty_document_has_defaults() {
    let document = read("{}");
    assert_eq!(
        (document.name.as_str(), document.kind.as_str()),
        ("base", "powershell")
    );
    assert_eq!(
        (document.category.as_str(), document.timeout_seconds.held()),
        ("script", 3600)
    );
    assert_eq!((document.version.held(), document.script.as_str()), (1, ""));
    assert_eq!(load("p.json", b"{}", "ansible").document.category, "application");
}

#[test]
fn what_is_no_object_is_damaged_and_reads_as_empty() {
    for bytes in [&b"{"[..], b"[1]", b"\xff", b"\xef\xbb\xbf{}", b""] {
        let loaded = load("x.JSON", bytes, "powershell");
        assert!(loaded.damaged, "{bytes:?}");
        assert_eq!(loaded.document.name, "x");
    }
}

#[test]
fn a_file_of_another_ending_is_its_own_script() {
    let loaded = load("raw.sh", b"echo 1\r\n", "powershell");
    assert_eq!(
        (loaded.document.script.as_str(), loaded.document.kind.as_str()),
        ("echo 1\n", "powershell")
    );
    assert_eq!(
        (loaded.document.name.as_str(), loaded.document.script_encoding),
        ("raw", None)
    );
}

#[test]
fn names_and_types_fall_through() {
    assert_eq!(read(r#"{"name":"  Full ","display_name":"no"}"#).name, "  Full ");
    assert_eq!(read(r#"{"name":0,"display_name":77}"#).name, "77");
    assert_eq!(read(r#"{"display_name":"shown"}"#).scheduled_name, "base");
    assert_eq!(read(r#"{"name":77}"#).scheduled_name, "77");
    assert_eq!(read(r#"{"type":" Bash "}"#).kind, "bash");
    assert_eq!(
        read(r#"{"type":"weird","script_type":"bash"}"#).kind,
        "powershell"
    );
    assert_eq!(read(r#"{"category":"APPLICATION"}"#).category, "application");
}

#[test]
fn timeouts_are_coerced() {
    for (fields, expected) in [
        (r#""timeout_seconds":12.9"#, 12),
        (r#""timeout_seconds":-5"#, 0),
        (r#""timeout_seconds":0,"timeout":9"#, 0),
        (r#""timeout":" 45 ""#, 45),
        (r#""timeout_seconds":null,"timeout":9"#, 3600),
        (r#""timeout_seconds":"12.5""#, 3600),
        (r#""timeout_seconds":true"#, 1),
        (r#""timeout_seconds":"\uff11\u0662""#, 12),
        (
            r#""timeout_seconds":99999999999999999999"#,
            99_999_999_999_999_999_999,
        ),
        (r#""timeout_seconds":1e22"#, 10_000_000_000_000_000_000_000),
    ] {
        assert_eq!(
            read(&format!("{{{fields}}}")).timeout_seconds.held(),
            expected,
            "{fields}"
        );
    }
}

#[test]
fn variables_need_a_name_and_files_need_data() {
    let document = read(
        r#"{"variables":[{"name":" n ","type":"Number","default":null,"default_value":4,"required":"false"},
            {"key":"k","default_value":[1],"type":"color"},{"name":" "},5],
            "files":[{"file_name":"f","data":"QQ==","size":"3","mimeType":"t"},{"name":"g","data":""},{"name":"h"},4]}"#,
    );
    let variables: Vec<_> = document
        .variables
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.kind.as_str(),
                one.default.clone(),
                one.required,
            )
        })
        .collect();
    assert_eq!(
        variables,
        [
            ("n", "number", Json::Null, true),
            ("k", "string", Json::list([1]), false)
        ]
    );
    let files: Vec<_> = document
        .files
        .iter()
        .map(|one| (one.file_name.as_str(), one.size.held(), one.mime_type.as_str()))
        .collect();
    assert_eq!(files, [("f", 3, "t"), ("g", 0, "")]);
}

#[test]
fn long_numbers_stay_what_they_are() {
    for digits in [20, 45] {
        let number = "9".repeat(digits);
        let document = read(&format!(
            r#"{{"version":{number},"timeout_seconds":{number},"files":[{{"name":"f","data":"","size":"-{number}"}}]}}"#
        ));
        assert_eq!(document.run_seconds(), i64::MAX);
        let stored = indented_text(&document.stored());
        for line in [
            format!("\"version\": {number},"),
            format!("\"timeout_seconds\": {number},"),
            format!("\"size\": -{number},"),
        ] {
            assert!(stored.contains(&line), "{line} in {stored}");
        }
    }
    let written = indented_text(&read(r#"{"timeout_seconds":1e300}"#).shown());
    assert!(
        written.contains("\"timeout_seconds\": 10000000000000000525047602552044"),
        "{written}"
    );
}

#[test]
fn half_a_character_in_a_file_costs_nothing_but_itself() {
    let document = read(r#"{"name":"a\ud83d","description":"b"}"#);
    assert_eq!(
        (document.name.as_str(), document.description.as_str()),
        ("a\u{fffd}", "b")
    );
}

#[test]
fn a_document_without_a_name_is_called_as_its_file_without_blanks() {
    for (file, name) in [(" y .json", "y"), (" y .ps1", " y ")] {
        let loaded = load(file, b"{}", "powershell");
        assert_eq!(loaded.document.name, name);
        assert_eq!(listed(Island::Scripts, file, b"{}").name, name);
    }
    assert_eq!(
        load(" y .json", b"{}", "powershell").document.scheduled_name,
        " y "
    );
}

#[test]
fn a_list_has_the_category_of_the_type_that_a_script_names() {
    let listed = |island, document: &str| {
        let heading = listed(island, "a.json", document.as_bytes());
        format!("{} {}", heading.kind, heading.category)
    };
    let ansible = r#"{"type":" Ansible ","script":"!"}"#;
    assert_eq!(listed(Island::Scripts, ansible), "ansible application");
    assert_eq!(
        listed(Island::Scripts, r#"{"type":"ansible","category":"script"}"#),
        "ansible script"
    );
    assert_eq!(listed(Island::Scripts, r#"{"type":"odd"}"#), "powershell script");
    assert_eq!(
        listed(Island::Playbooks, r#"{"type":"bash"}"#),
        "bash application"
    );
    // Alone it has no say.
    assert_eq!(read(ansible).category, "script");
}

#[test]
fn sites_have_a_mode() {
    for (sites, mode, values) in [
        ("5", "all", vec![]),
        (
            r#"{"values":[1," a ",null,"",true]}"#,
            "specific",
            vec!["1", "a", "True"],
        ),
        (r#"{"mode":" ALL ","values":["a"]}"#, "all", vec!["a"]),
        (r#"{"mode":"odd","values":["a"]}"#, "all", vec!["a"]),
        (r#"{"mode":"specific"}"#, "specific", vec![]),
        (r#"{"mode":"  ","values":["a"]}"#, "all", vec!["a"]),
        (r#"{"mode":0,"values":["a"]}"#, "specific", vec!["a"]),
    ] {
        let document = read(&format!(r#"{{"sites":{sites}}}"#));
        assert_eq!(document.sites.0, mode, "{sites}");
        assert_eq!(document.sites.1, values, "{sites}");
    }
}

/// An object of these names, any of them missing, with values of which half are `good`.
fn any_members(
    names: &'static [&'static str],
    good: impl Strategy<Value = Json> + 'static,
) -> impl Strategy<Value = JsonObject> {
    arbitrary::any_members(names, prop_oneof![any_json(), good])
}

fn word() -> impl Strategy<Value = Json> {
    let words = [
        "ansible",
        " Bash ",
        "application",
        "specific",
        "boolean",
        "plain",
        "base64",
        "ZWNobw==",
        "",
        " n ",
        "12",
        "0",
    ];
    prop_oneof![
        select(Vec::from(words)).prop_map(Json::from),
        "\\PC{0,8}".prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
    ]
}

fn any_document() -> impl Strategy<Value = JsonObject> {
    const NAMES: &[&str] = &[
        "version",
        "name",
        "display_name",
        "description",
        "category",
        "type",
        "script_type",
        "script",
        "content",
        "script_encoding",
        "script_lines",
        "timeout_seconds",
        "timeout",
    ];
    const VARIABLE: &[&str] = &[
        "name",
        "key",
        "type",
        "label",
        "default",
        "default_value",
        "required",
        "description",
    ];
    const FILE: &[&str] = &["file_name", "name", "data", "size", "mime_type", "mimeType"];
    let list = |names| vec(any_members(names, word()), 0..4).prop_map(Json::list);
    let sites = any_members(&["mode", "values"], vec(word(), 0..3).prop_map(Json::List));
    (any_members(NAMES, word()), list(VARIABLE), list(FILE), sites).prop_map(
        |(mut members, variables, files, sites)| {
            members.insert("variables".to_owned(), variables);
            members.insert("files".to_owned(), files);
            members.insert("sites".to_owned(), sites.into());
            members
        },
    )
}

/// A document that says what this normal form says.
fn members_of(document: &Document) -> JsonObject {
    let text = |text: &String| Json::from(text.as_str());
    let variables = document.variables.iter().map(|one| {
        Json::object([
            ("name", text(&one.name)),
            ("label", text(&one.label)),
            ("type", text(&one.kind)),
            ("default", one.default.clone()),
            ("required", one.required.into()),
            ("description", text(&one.description)),
        ])
    });
    let files = document.files.iter().map(|one| {
        Json::object([
            ("file_name", text(&one.file_name)),
            ("size", one.size.clone().into()),
            ("mime_type", text(&one.mime_type)),
            ("data", text(&one.data)),
        ])
    });
    let (mode, values) = &document.sites;
    let sites = Json::object([
        ("mode", text(mode)),
        ("values", Json::list(values.iter().map(String::as_str))),
    ]);
    let members = [
        // As a text, because a zero says nothing.
        (
            "version",
            Json::from(document.version.clone()).python_str().into(),
        ),
        ("name", text(&document.name)),
        ("description", text(&document.description)),
        ("category", text(&document.category)),
        ("type", text(&document.kind)),
        ("script", text(&document.script)),
        ("script_encoding", "plain".into()),
        ("timeout_seconds", document.timeout_seconds.clone().into()),
        ("sites", sites),
        ("variables", Json::list(variables)),
        ("files", Json::list(files)),
    ];
    Json::members(members)
}

proptest! {
    #[test]
    fn a_normal_form_holds_known_words_and_is_its_own(members in any_document(), kind in select(TYPES.to_vec())) {
        let document = normalize(&members, kind, "base");
        prop_assert!(TYPES.contains(&document.kind.as_str()));
        prop_assert!(["script", "application"].contains(&document.category.as_str()));
        prop_assert!(["all", "specific"].contains(&document.sites.0.as_str()));
        prop_assert!(document.timeout_seconds.held() >= 0);
        prop_assert!(document.sites.1.iter().all(|site| !site.is_empty() && python_trim(site) == site));
        for variable in &document.variables {
            prop_assert!(!variable.name.is_empty() && python_trim(&variable.name) == variable.name);
            prop_assert!(["string", "number", "boolean", "credential"].contains(&variable.kind.as_str()));
        }
        prop_assert!(document.files.iter().all(|file| !file.file_name.is_empty()));
        // A lone carriage return may have come to stand before a line feed.
        prop_assume!(!document.script.contains("\r\n"));
        let expected = Document {
            scheduled_name: document.name.clone(),
            script_encoding: Some("plain"),
            ..document.clone()
        };
        prop_assert_eq!(normalize(&members_of(&document), kind, "base"), expected);
    }

    #[test]
    fn a_file_that_is_no_document_reads_as_an_empty_one_or_as_its_own_script(bytes in any::<Vec<u8>>()) {
        let empty = load("a.json", b"{}", "powershell").document;
        let loaded = load("a.json", &bytes, "powershell");
        let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).is_ok();
        prop_assert!(!(object && loaded.damaged));
        if loaded.damaged {
            prop_assert_eq!(&loaded.document, &empty);
        }
        let script = load("a.ps1", &bytes, "powershell");
        prop_assert!(!script.damaged && !script.document.script.contains('\r'));
        let without_script = Document {
            script: String::new(),
            script_encoding: empty.script_encoding,
            ..script.document.clone()
        };
        prop_assert_eq!(without_script, empty);
        if let (Ok(text), false) = (str::from_utf8(&bytes), bytes.contains(&b'\r')) {
            prop_assert_eq!(script.document.script, text);
        }
    }
}

/// A document as its file holds it, read back.
fn stored(document: &Document) -> Document {
    let text = indented_text(&document.stored());
    let loaded = load("base.json", text.as_bytes(), &document.kind);
    assert!(!loaded.damaged, "{text}");
    loaded.document
}

#[test]
fn a_stored_document_reads_back_with_its_script_decoded() {
    let document = read(r#"{"name":"n","script":"echo 'a'\r\nb\r","script_encoding":"plain","type":"bash"}"#);
    assert_eq!(document.script, "echo 'a'\nb\r");
    let back = stored(&document);
    assert_eq!(back.script, document.script);
    assert_eq!(back.script_encoding, Some("base64"));
    assert!(indented_text(&document.stored()).starts_with("{\n  \"version\": 1,\n  \"name\": \"n\","));
}

#[test]
fn of_several_carriage_returns_each_look_at_a_script_takes_one() {
    let document = read(r#"{"script":"a\r\r\r\r\r\nb","script_encoding":"plain"}"#);
    assert_eq!(document.script, "a\r\r\r\r\nb");
    let Json::Text(script) = document.stored().get("script").unwrap().clone() else {
        panic!("{document:?}");
    };
    assert_eq!(base64::decode_strict(&script).unwrap(), b"a\r\r\r\nb");
    assert_eq!(stored(&document).script, "a\r\r\nb");
}

proptest! {
    /// What was read is stored and read the same for ever: an edit that changes nothing changes no byte.
    #[test]
    fn a_document_that_was_stored_and_read_stays_as_it_is(
        members in vec((select(&[
            "name", "display_name", "description", "category", "type", "script_type", "timeout_seconds", "timeout",
            "version", "sites", "variables", "files", "script", "script_lines", "content", "script_encoding",
        ][..]), any_json()), 0..12),
        script in "[a-zA-Z0-9+/= \r\n]{0,16}",
        hint in select(&["plain", "base64", ""][..]),
    ) {
        let mut members = Json::members(members);
        if !hint.is_empty() {
            members.insert("script_encoding".to_owned(), hint.into());
            members.insert("script".to_owned(), script.into());
        }
        let document = normalize(&members, "powershell", "base");
        prop_assume!(!document.script.contains("\r\n"));
        let once = stored(&document);
        prop_assert_eq!(&once.script, &document.script);
        // The first reading takes a version of 0 for none.
        let twice = stored(&once);
        prop_assert_eq!(indented_text(&twice.stored()), indented_text(&once.stored()));
        let heading = heading(&members, "powershell", "base");
        prop_assert_eq!((heading.name, heading.kind), (document.name, document.kind));
    }
}
