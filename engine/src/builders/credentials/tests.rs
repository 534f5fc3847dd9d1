use proptest::prelude::*;

use super::*;
use crate::domain::arbitrary::any_json;

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

proptest! {
    #[test]
    fn no_value_of_any_field_breaks_a_form(value in any_json()) {
        for name in ["name", "site_id", "password", "private_key", "metadata", "become_method", "clear_password"] {
            let form = body(&[("name", "n".into()), (name, value.clone())]);
            let _ = new_credential(&form);
            let _ = credential_change(&form);
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
