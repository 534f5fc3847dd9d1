use proptest::prelude::*;

use super::*;
use crate::domain::{arbitrary::any_json, json_reader::object};

fn root() -> &'static Path {
    Path::new("/srv/root/Assemblies")
}

fn words<T: std::fmt::Debug>(read: Result<T, AssemblyFormError>) -> String {
    read.map_or_else(|error| error.to_string(), |read| format!("{read:?}"))
}

#[test]
fn what_is_wrong_is_said_in_the_legacys_order() {
    for (body, word) in [
        ("{}", "invalid island"),
        (r#"{"island":5}"#, "invalid island"),
        (r#"{"island":"scripts","path":["x"]}"#, "invalid path"),
        (r#"{"island":"nope","kind":true}"#, "invalid kind"),
        (r#"{"island":"nope","type":5}"#, "invalid payload"),
        (r#"{"island":"scripts","path":"../x"}"#, "invalid path"),
        (r#"{"island":"scripts","path":"x/.."}"#, "path required"),
        (r#"{"island":"scripts","path":"x"}"#, "invalid kind"),
    ] {
        assert_eq!(words(new_assembly(root(), &object(body))), word, "{body}");
    }
    for (body, word) in [
        (r#"{"island":"nope"}"#, "new_name required"),
        (r#"{"new_name":5}"#, "new_name required"),
        (r#"{"new_name":"x"}"#, "invalid island"),
        (
            r#"{"new_name":"x","island":"scripts","path":".."}"#,
            "invalid path",
        ),
        (r#"{"new_name":"x","island":"scripts"}"#, "invalid kind"),
    ] {
        assert_eq!(words(assembly_rename(root(), &object(body))), word, "{body}");
    }
    let delete = |body: &str| words(assembly_deletion(root(), &object(body)));
    assert_eq!(delete(r#"{"island":"scripts","path":"."}"#), "cannot delete root");
    assert_eq!(delete(r#"{"island":"scripts","path":"a"}"#), "invalid kind");
    assert_eq!(
        words(assembly_move(
            root(),
            &object(r#"{"island":"scripts","path":"a","new_path":"../b"}"#)
        )),
        "invalid path"
    );
}

#[test]
fn a_new_file_may_hold_anything_and_an_edited_one_a_document() {
    let create = |content: &str| {
        let body = object(&format!(
            r#"{{"island":"scripts","kind":"File","path":"a","type":" Bash ","content":{content}}}"#
        ));
        new_assembly(root(), &body).map(|new| new.content.unwrap())
    };
    for (content, members) in [
        (r#""{\"name\":1}""#, 1),
        (r#"{"name":1}"#, 1),
        ("[1]", 0),
        (r#""{""#, 0),
        ("null", 0),
    ] {
        match create(content).unwrap() {
            NewContent::Document {
                members: read,
                default_kind,
            } => {
                assert_eq!(
                    (read.len(), default_kind.as_str()),
                    (members, "bash"),
                    "{content}"
                );
            }
            NewContent::Workflow(_) => panic!("{content}"),
        }
    }
    // Half a character: what the legacy stores is no reason to store nothing.
    let half = r#""{\"script\":\"echo \\ud83d\"}""#;
    assert_eq!(create(half), Err(AssemblyFormError::InvalidContent));
    let workflow = object(&format!(
        r#"{{"island":"workflows","kind":"file","path":"w","content":{half}}}"#
    ));
    assert_eq!(
        new_assembly(root(), &workflow),
        Err(AssemblyFormError::InvalidWorkflow)
    );
    let edit = |island: &str, content: &str| {
        let body = object(&format!(
            r#"{{"island":"{island}","path":"a.json","content":{content}}}"#
        ));
        assembly_change(root(), &body).unwrap().content
    };
    for unusable in ["null", r#""not JSON""#, "5", "[]", r#"{"type":5}"#] {
        assert_eq!(
            edit("scripts", unusable),
            Err(AssemblyFormError::InvalidContent),
            "{unusable}"
        );
    }
    assert!(edit("scripts", r#""{}""#).is_ok() && edit("ansible", r#"{"type":5}"#).is_ok());
    assert_eq!(
        words(edit("workflows", r#""{bad""#)),
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    );
    for unusable in ["null", "5", r#""[1]""#] {
        assert_eq!(
            edit("workflows", unusable),
            Err(AssemblyFormError::InvalidWorkflow),
            "{unusable}"
        );
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(values in proptest::collection::vec(any_json(), 7)) {
        let names = ["island", "kind", "path", "new_name", "new_path", "type", "content"];
        let body: JsonObject = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
        let _ = (new_assembly(root(), &body), assembly_change(root(), &body), assembly_rename(root(), &body), assembly_move(root(), &body));
        let _ = assembly_deletion(root(), &body);
    }
}
