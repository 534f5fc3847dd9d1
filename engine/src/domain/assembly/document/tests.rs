use proptest::prelude::*;

use super::*;

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
        (document.category.as_str(), document.timeout_seconds),
        ("script", 3600)
    );
    assert_eq!((document.version, document.script.as_str()), (1, ""));
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
    ] {
        assert_eq!(
            read(&format!("{{{fields}}}")).timeout_seconds,
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
        .map(|one| (one.file_name.as_str(), one.size, one.mime_type.as_str()))
        .collect();
    assert_eq!(files, [("f", 3, "t"), ("g", 0, "")]);
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
    ] {
        let document = read(&format!(r#"{{"sites":{sites}}}"#));
        assert_eq!(document.sites.0, mode, "{sites}");
        assert_eq!(document.sites.1, values, "{sites}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_loader(bytes in any::<Vec<u8>>(), text in "\\PC*") {
        let _ = load("a.json", &bytes, "powershell");
        let _ = load("a.json", format!("{{\"script\":\"{text}\"}}").as_bytes(), "ansible");
        let _ = load("a.ps1", &bytes, "powershell");
    }
}
