//! `install-codes`, beside a server that serves the same folder.

use serde_json::json;

use super::program::{migrated, run, sql};
use crate::testkit::{enrollment, server::start};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_a_new_code_and_no_revoked_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let engine = start(root, &[]).await;
    let enroll = async |code: &str| -> String {
        crate::testkit::http::client()
            .post(format!("http://{}/api/agent/enroll/request", engine.address()))
            .json(&enrollment::request("WIN-1", code, [7; 32]))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    // The server's clock stands in the future: the code must live until then.
    let create = [
        "install-codes",
        "create",
        "--ttl-hours",
        "24",
        "--max-uses",
        "3",
        "--json",
    ];
    let made = run(root, &create, &[]).json();
    let code = made["code"].as_str().unwrap();
    assert_eq!(
        (&made["max_uses"], &made["use_count"], &made["created_by_user_id"]),
        (&json!(3), &json!(0), &json!("command line"))
    );
    sql(
        root,
        "UPDATE enrollment_install_codes SET expires_at = '2999-01-01T00:00:00+00:00'",
    )
    .await;
    assert!(enroll(code).await.contains("approval_reference"));
    let list = run(root, &["install-codes", "list", "--status", "active"], &[]).done();
    assert!(list.contains(code) && list.contains("0 of 3"), "{list}");
    let list = run(
        root,
        &["install-codes", "list", "--status", "used", "--json"],
        &[],
    )
    .json();
    assert_eq!(list, json!({"codes": []}));

    let revoked = run(root, &["install-codes", "revoke", &code.to_lowercase()], &[]).done();
    assert_eq!(revoked, format!("revoked the code {code}\n"));
    assert!(enroll(code).await.contains("invalid_enrollment_code"));
    engine.stop().await;
}

#[tokio::test]
async fn a_code_in_use_stays_and_an_unknown_one_is_told() {
    let root = migrated();
    let root = root.path();
    let text = run(root, &["install-codes", "create"], &[]).done();
    let code = text.lines().next().unwrap().to_owned();
    assert_eq!(code.len(), 39);
    assert!(text.contains("for 2 devices"), "{text}");
    sql(root, "UPDATE enrollment_install_codes SET use_count = 1").await;
    let used = run(root, &["install-codes", "revoke", &code], &[]).refusal();
    assert!(
        used.contains("1 of 2") && used.contains("revoke the devices"),
        "{used}"
    );
    let unknown = run(root, &["install-codes", "revoke", "AAAA"], &[]).refusal();
    assert!(unknown.contains("install-codes list"), "{unknown}");
    let list = run(root, &["install-codes", "list", "--json"], &[]).json();
    assert_eq!(list["codes"][0]["code"], json!(code));
    for arguments in [
        &["install-codes", "create", "--ttl-hours", "2"][..],
        &["install-codes", "create", "--max-uses", "11"],
        &["install-codes", "create", "--max-uses", "0"],
        &["install-codes", "list", "--status", "gone"],
    ] {
        assert_eq!(run(root, arguments, &[]).code, Some(2), "{arguments:?}");
    }
}
