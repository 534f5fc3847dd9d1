use proptest::{prelude::*, sample::select};

use super::*;
use crate::domain::{arbitrary::any_json, json_reader::read_text};

fn body(fields: &[(&str, Json)]) -> JsonObject {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

#[test]
fn a_new_credential_has_every_column() {
    let made = new_credential(&body(&[
        ("name", " n ".into()),
        ("connection_type", " Windows ".into()),
        ("site_id", "1_0".into()),
        (
            "metadata",
            Json::object([("b", 1.0), ("a", 2.0)].map(|(name, value)| (name, value.into()))),
        ),
    ]))
    .unwrap();
    assert_eq!(made.name.as_deref(), Some("n"));
    assert_eq!(made.connection_type, Some("winrm"));
    assert_eq!(made.site_id, Some(Some(10)));
    assert_eq!(
        made.metadata_json,
        Some(Some("{\"b\": 1.0, \"a\": 2.0}".to_owned()))
    );
    assert_eq!(made.description.as_deref(), Some(""));
    assert_eq!(
        made.secrets.map(|secret| secret),
        Secrets::default().map(|()| Some(None))
    );
}

#[test]
fn secrets_are_kept_as_typed_and_blank_ones_are_none() {
    for (value, kept) in [
        (Json::from(" p "), Some(" p ")),
        (" \t\n".into(), None),
        (Json::Null, None),
        (12345.into(), Some("12345")),
        (0.into(), Some("0")),
        (false.into(), Some("False")),
        (Json::list(["a"]), Some("['a']")),
    ] {
        assert_eq!(secret("password", Some(&value)).as_deref(), kept, "{value:?}");
    }
    assert_eq!(secret("private_key", Some(&"k".into())).as_deref(), Some("k\n"));
    assert_eq!(secret("private_key", Some(&"k\n".into())).as_deref(), Some("k\n"));
    assert_eq!(secret("private_key", Some(&true.into())).as_deref(), Some("True"));
}

#[test]
fn a_change_writes_what_is_named() {
    let change = credential_change(&body(&[
        ("site_id", Json::Null),
        ("description", Json::Null),
        ("clear_password", "no".into()),
        ("password", "ignored".into()),
        ("become_password", "".into()),
        ("clear_private_key", 0.into()),
    ]))
    .unwrap();
    let expected = CredentialChange {
        site_id: Some(None),
        description: Some(String::new()),
        secrets: Secrets {
            password: Some(None),
            become_password: Some(None),
            ..Secrets::default()
        },
        ..CredentialChange::default()
    };
    assert_eq!(change, expected);
    for nothing in [
        vec![],
        vec![("unknown", 1.into())],
        vec![("metadata", "x".into())],
        vec![("clear_password", false.into())],
    ] {
        assert_eq!(
            credential_change(&body(&nothing)),
            Err(CredentialFormError::NothingToUpdate)
        );
    }
    for name in [Json::Null, "  ".into(), 0.into(), 5.into()] {
        assert_eq!(
            credential_change(&body(&[("name", name), ("username", 5.into())])),
            Err(CredentialFormError::NameEmpty)
        );
    }
    let beyond = Json::BigInt("18446744073709551616".to_owned());
    assert_eq!(
        credential_change(&body(&[("site_id", beyond)])),
        Err(CredentialFormError::WrongType(WrongType))
    );
}

#[test]
fn filters_are_normalised() {
    let filter = |site, connection| credential_filter(site, connection).unwrap();
    assert_eq!(filter(None, Some("")), CredentialFilter::default());
    assert_eq!(filter(Some("x"), Some(" ")).connection_type, Some("ssh"));
    assert_eq!(filter(Some(" 7 "), Some("HTTP")).connection_type, Some("api"));
    assert_eq!(filter(Some(" 7 "), None).site_id, Some(7));
    assert_eq!(
        credential_filter(Some("99999999999999999999"), None),
        Err(NoSuchSite)
    );
}

/// The fields that must be texts.
const TEXTS: [&str; 6] = [
    "description",
    "credential_type",
    "connection_type",
    "username",
    "become_method",
    "become_username",
];
const SECRETS: [&str; 4] = [
    "password",
    "private_key",
    "private_key_passphrase",
    "become_password",
];

/// Any of the fields with any value, a name most of the time.
fn any_form() -> impl Strategy<Value = JsonObject> {
    let others = [
        "site_id",
        "metadata",
        "clear_password",
        "clear_private_key",
        "name",
    ];
    let names = [TEXTS.as_slice(), &SECRETS, &others].concat();
    let value = prop_oneof![
        2 => any_json(),
        4 => "\\PC{0,8}".prop_map(Json::from),
        2 => select(vec![Json::Null, "WinRM".into(), "sudo".into(), " \t".into(), 7.into(), "7".into()]),
    ];
    let fields = proptest::collection::vec((select(names), value), 0..6);
    (
        proptest::option::weighted(0.8, Just(("name", Json::from("n")))),
        fields,
    )
        .prop_map(|(name, fields)| body(&name.into_iter().chain(fields).collect::<Vec<_>>()))
}

/// Whether a field holds what no column takes.
fn has_wrong_type(form: &JsonObject) -> bool {
    let site = form.get("site_id").and_then(integer_of);
    TEXTS.iter().any(|name| trimmed_text(form, name).is_err())
        || site.is_some_and(|number| i64::try_from(number).is_err())
}

fn has_name(form: &JsonObject) -> bool {
    trimmed_text(form, "name").is_ok_and(|name| !name.is_empty())
}

fn listed<T: Clone>(secrets: &Secrets<T>) -> [T; 4] {
    let Secrets {
        password,
        private_key,
        private_key_passphrase,
        become_password,
    } = secrets.as_ref();
    [password, private_key, private_key_passphrase, become_password].map(T::clone)
}

proptest! {
    #[test]
    fn a_new_credential_is_whole_and_of_known_words(form in any_form()) {
        match new_credential(&form) {
            Ok(made) => {
                prop_assert!(has_name(&form) && !has_wrong_type(&form));
                let text = |name| trimmed_text(&form, name).ok();
                prop_assert_eq!(made.name.as_deref(), text("name"));
                prop_assert_eq!(made.description.as_deref(), text("description"));
                prop_assert_eq!(made.username.as_deref(), text("username"));
                prop_assert_eq!(made.become_username.as_deref(), text("become_username"));
                prop_assert!(["machine", "domain", "token", "api"].contains(&made.credential_type.unwrap()));
                prop_assert!(["ssh", "winrm", "api"].contains(&made.connection_type.unwrap()));
                prop_assert!(["", "sudo", "su", "runas", "enable"].contains(&made.become_method.unwrap()));
                let metadata = made.metadata_json.unwrap().map(|text| read_text(&text).unwrap());
                let sent = form.get("metadata").filter(|value| value.as_object().is_some_and(|members| !members.is_empty()));
                prop_assert_eq!(metadata.as_ref(), sent);
                for (name, secret) in SECRETS.into_iter().zip(listed(&made.secrets)) {
                    let secret = secret.unwrap();
                    prop_assert!(secret.as_ref().is_none_or(|secret| !python_trim(secret).is_empty()), "{}", name);
                    if let (Some(Json::Text(sent)), Some(kept)) = (form.get(name), secret) {
                        let is_key = name == "private_key" && !sent.ends_with('\n');
                        prop_assert_eq!(kept, format!("{sent}{}", if is_key { "\n" } else { "" }));
                    }
                }
            }
            Err(CredentialFormError::NameRequired) => prop_assert!(!has_name(&form)),
            Err(CredentialFormError::WrongType(_)) => prop_assert!(has_wrong_type(&form)),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_change_says_what_is_named_and_as_a_new_credential_would(form in any_form()) {
        match credential_change(&form) {
            Ok(change) => {
                let mut whole = form.clone();
                whole.entry("name".to_owned()).or_insert("n".into());
                let made = new_credential(&whole).unwrap();
                fn named<T>(form: &JsonObject, name: &str, value: Option<T>) -> Option<T> {
                    value.filter(|_| form.contains_key(name))
                }
                prop_assert_eq!(change.name, named(&form, "name", made.name));
                prop_assert_eq!(change.description, named(&form, "description", made.description));
                prop_assert_eq!(change.site_id, named(&form, "site_id", made.site_id));
                prop_assert_eq!(change.credential_type, named(&form, "credential_type", made.credential_type));
                prop_assert_eq!(change.connection_type, named(&form, "connection_type", made.connection_type));
                prop_assert_eq!(change.username, named(&form, "username", made.username));
                prop_assert_eq!(change.become_method, named(&form, "become_method", made.become_method));
                prop_assert_eq!(change.become_username, named(&form, "become_username", made.become_username));
                let has_metadata = matches!(form.get("metadata"), Some(Json::Null | Json::Object(_)));
                prop_assert_eq!(change.metadata_json.is_some(), has_metadata);
                let secrets = listed(&change.secrets).into_iter().zip(listed(&made.secrets));
                for (name, (changed, made)) in SECRETS.into_iter().zip(secrets) {
                    let clears = form.get(&format!("clear_{name}")).is_some_and(Json::is_truthy);
                    prop_assert_eq!(changed, if clears { Some(None) } else { named(&form, name, made) });
                }
            }
            Err(CredentialFormError::NameEmpty) => prop_assert!(form.contains_key("name") && !has_name(&form)),
            Err(CredentialFormError::WrongType(_)) => prop_assert!(has_wrong_type(&form)),
            Err(CredentialFormError::NothingToUpdate) => {
                let named = [TEXTS.as_slice(), &SECRETS, &["name", "site_id"]].concat();
                prop_assert!(named.into_iter().all(|name| !form.contains_key(name)));
            }
            Err(CredentialFormError::NameRequired) => prop_assert!(false),
        }
    }

    #[test]
    fn a_sites_number_is_the_integer_or_none(value in any_json()) {
        match (site_id(Some(&value)), integer_of(&value)) {
            (Ok(number), integer) => prop_assert_eq!(number.map(i128::from), integer),
            (Err(WrongType), Some(integer)) => prop_assert!(i64::try_from(integer).is_err()),
            (Err(WrongType), None) => prop_assert!(false),
        }
    }
}
