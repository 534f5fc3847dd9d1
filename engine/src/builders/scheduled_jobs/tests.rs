use proptest::prelude::*;

use super::*;
use crate::domain::{
    arbitrary::{any_json, any_members},
    json_reader::object,
};

fn made(fields: &str) -> Result<NewJob, JobFieldError> {
    let body = object(&format!(
        r#"{{"name":" N ","components":[1],"targets":["A"],{fields}"x":0}}"#
    ));
    new_job(&body, &TimeZone::UTC)
}

fn changed(text: &str) -> Result<JobChanges, JobFieldError> {
    job_changes(&object(text), &TimeZone::UTC)
}

#[test]
fn a_job_has_defaults() {
    let job = made("").unwrap();
    assert_eq!(
        (job.name.as_str(), job.schedule_type.as_str()),
        ("N", "immediately")
    );
    assert_eq!(
        (job.expiration.as_deref(), job.execution_context.as_str()),
        (Some("no_expire"), "system")
    );
    assert_eq!((job.start_ts, job.credential_id), (None, None));
    assert!(job.enabled && !job.use_service_account && !job.duration_stop_enabled);
}

#[test]
fn name_components_and_targets_are_required() {
    for body in [
        "{}",
        r#"{"name":" ","components":[1],"targets":[1]}"#,
        r#"{"name":"n","components":[],"targets":[1]}"#,
        r#"{"name":"n","components":[1]}"#,
        r#"{"name":5,"components":[1],"targets":[1]}"#,
        r#"{"name":"n","components":"x","targets":[1]}"#,
        r#"{"name":"n","components":[1],"targets":5}"#,
        r#"{"name":"n","components":[1],"targets":{"A":1}}"#,
    ] {
        assert_eq!(
            new_job(&object(body), &TimeZone::UTC),
            Err(JobFieldError::Required),
            "{body}"
        );
    }
}

#[test]
fn wrong_types_are_refused() {
    for fields in [
        r#""schedule":null,"#,
        r#""schedule":"daily","#,
        r#""schedule":[],"#,
        r#""schedule":{"type":3},"#,
        r#""schedule_type":["daily"],"#,
        r#""duration":"2h","#,
        r#""execution_context":1,"#,
        r#""expiration":{"a":1},"#,
        r#""start":1e30,"#,
        r#""start":99999999999999999999,"#,
        r#""schedule":{"start":NaN},"#,
        r#""schedule":{"start":-Infinity},"#,
        r#""credential_id":99999999999999999999,"#,
        r#""credential_id":"-99999999999999999999","#,
        r#""credential_id":1e300,"#,
    ] {
        assert_eq!(made(fields), Err(JobFieldError::WrongType), "{fields}");
    }
    for body in [
        r#"{"schedule_type":"once","start":1e30}"#,
        r#"{"schedule":{"start":Infinity}}"#,
        r#"{"credential_id":99999999999999999999}"#,
        r#"{"expiration":[1]}"#,
    ] {
        assert_eq!(changed(body), Err(JobFieldError::WrongType), "{body}");
    }
}

#[test]
fn what_is_required_comes_before_what_only_the_database_refuses() {
    for refused in [
        r#""expiration":{"a":1}"#,
        r#""start":1e30"#,
        r#""credential_id":99999999999999999999"#,
    ] {
        let body = format!(r#"{{"components":[1],"targets":["A"],{refused}}}"#);
        assert_eq!(
            new_job(&object(&body), &TimeZone::UTC),
            Err(JobFieldError::Required),
            "{body}"
        );
    }
    // No second is meant by it, which is seen before.
    let body = object(r#"{"components":[1],"targets":["A"],"start":NaN}"#);
    assert_eq!(new_job(&body, &TimeZone::UTC), Err(JobFieldError::WrongType));
}

#[test]
fn the_first_truthy_of_two_places_counts() {
    let job = made(r#""schedule":{"type":" Daily ","start":0},"schedule_type":"once","start":77,"#).unwrap();
    assert_eq!((job.schedule_type.as_str(), job.start_ts), ("daily", Some(77)));
    let job = made(r#""duration":{"expiration":"3d","stopAfterEnabled":"no"},"expiration":"1h","#).unwrap();
    assert_eq!(
        (job.expiration.as_deref(), job.duration_stop_enabled),
        (Some("3d"), true)
    );
    for (given, stored) in [
        ("90", Some("90")),
        ("1.5", Some("1.5")),
        ("1e16", Some("1.0e+16")),
        ("NaN", None),
    ] {
        let job = made(&format!(r#""expiration":{given},"#)).unwrap();
        assert_eq!(job.expiration.as_deref(), stored, "{given}");
    }
    assert_eq!(changed(r#"{"expiration":NaN}"#).unwrap().expiration, Some(None));
}

#[test]
fn the_service_account_counts_with_winrm_only() {
    let uses = |fields| made(fields).unwrap().use_service_account;
    assert!(uses(r#""execution_context":" WinRM ","#));
    assert!(uses(r#""execution_context":"winrm","use_service_account":null,"#));
    assert!(!uses(r#""execution_context":"winrm","use_service_account":0,"#));
    assert!(!uses(r#""execution_context":"ssh","use_service_account":true,"#));
}

#[test]
fn credentials_are_integers_or_none() {
    let id = |value: &str| {
        made(&format!(r#""credential_id":{value},"#))
            .unwrap()
            .credential_id
    };
    for (value, expected) in [
        ("\"4\"", Some(4)),
        ("4.9", Some(4)),
        ("true", Some(1)),
        ("0", Some(0)),
        ("\"\"", None),
        ("\"abc\"", None),
        ("[1]", None),
        ("null", None),
        ("NaN", None),
        ("-Infinity", None),
    ] {
        assert_eq!(id(value), expected, "{value}");
    }
}

#[test]
fn only_what_is_there_changes() {
    assert_eq!(changed("{\"id\":1}"), Err(JobFieldError::NoFields));
    assert_eq!(
        changed(r#"{"schedule_type":"once","start":5}"#).unwrap().schedule,
        Some(("once".to_owned(), Some(5)))
    );
    assert_eq!(
        changed(r#"{"schedule":{"start":5}}"#).unwrap().schedule,
        Some(("immediately".to_owned(), Some(5)))
    );
    assert_eq!(changed(r#"{"start":5}"#), Err(JobFieldError::NoFields));
    let duration = changed(r#"{"duration":{"expiration":"3d"}}"#).unwrap();
    assert_eq!(duration.expiration, Some(Some("3d".to_owned())));
    assert_eq!(duration.duration_stop_enabled, Some(false));
    assert_eq!(
        changed(r#"{"targets":0}"#).unwrap().targets,
        Some(Json::List(vec![]))
    );
    assert_eq!(changed(r#"{"targets":5}"#), Err(JobFieldError::Required));
    assert_eq!(changed(r#"{"components":"x"}"#), Err(JobFieldError::Required));
    assert_eq!(changed(r#"{"name":null}"#).unwrap().name.as_deref(), Some(""));
    assert_eq!(
        changed(r#"{"credential_id":"null"}"#).unwrap().credential_id,
        Some(None)
    );
    let context = changed(r#"{"execution_context":"ssh"}"#).unwrap();
    assert_eq!(context.use_service_account, Some(false));
    let both = changed(r#"{"execution_context":"ssh","use_service_account":1}"#).unwrap();
    assert_eq!(both.use_service_account, Some(true));
    assert_eq!(
        changed(r#"{"execution_context":"winrm"}"#)
            .unwrap()
            .use_service_account,
        None
    );
}

#[test]
fn queries_are_read() {
    assert_eq!(days(Some(" +3 ")), Ok(Some(3)));
    assert_eq!(days(Some("-4")), Ok(Some(1)));
    assert_eq!(days(Some("-99999999999999999999")), Ok(Some(1)));
    for text in [None, Some(""), Some("x")] {
        assert_eq!(days(text), Ok(None), "{text:?}");
    }
    for text in ["99999999999999999999", "106751991167301"] {
        assert_eq!(days(Some(text)), Err(TooManyDays), "{text}");
    }
    assert_eq!(occurrence(Some("0")), Ok(Some(0)));
    assert_eq!(
        occurrence(Some("99999999999999999999")),
        Ok(Some(99_999_999_999_999_999_999))
    );
    assert_eq!((occurrence(None), occurrence(Some(""))), (Ok(None), Ok(None)));
    assert_eq!(occurrence(Some("abc")), Err(InvalidOccurrence));
}

/// A body of the known fields with any values.
fn any_body() -> impl Strategy<Value = JsonObject> {
    const FIELDS: [&str; 15] = [
        "name",
        "components",
        "targets",
        "schedule",
        "schedule_type",
        "start",
        "duration",
        "duration_stop_enabled",
        "expiration",
        "execution_context",
        "credential_id",
        "use_service_account",
        "enabled",
        "type",
        "stopAfterEnabled",
    ];
    any_members(&FIELDS, any_json())
}

proptest! {
    #[test]
    fn no_body_breaks_the_builders(body in any_body(), schedule in any_body()) {
        let mut nested = body.clone();
        nested.insert("schedule".to_owned(), Json::Object(schedule.clone()));
        nested.insert("duration".to_owned(), Json::Object(schedule));
        for body in [body, nested] {
            if let Ok(job) = new_job(&body, &TimeZone::UTC) {
                prop_assert!(!job.name.is_empty());
                prop_assert!(job.components.is_truthy() && job.targets.as_list().is_some());
                prop_assert!(!job.use_service_account || job.execution_context == "winrm");
            }
            if let Ok(changes) = job_changes(&body, &TimeZone::UTC) {
                prop_assert_ne!(changes, JobChanges::default());
            }
        }
    }
}
