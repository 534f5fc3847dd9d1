//! Faults of the running engine, planted in front of it and behind it: the main job finds, names and places them.

use std::{path::Path, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;
use parity::{
    campaign::{Campaign, Places},
    report::{self, Ending},
    runner::Silent,
    target::database,
};
use serde_json::{Value, json};

use crate::proxy::{Answer, Fault, Faulty};

/// A day on which no entry has expired.
const TODAY: jiff::civil::Date = jiff::civil::date(2026, 11, 29);
/// The legacy's page where its program breaks.
const PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n\
    <p>The server encountered an internal error and was unable to complete your request. Either the server is overloaded or \
    there is an error in the application.</p>\n";

fn key(root: &Path, path: &str) -> SigningKey {
    SigningKey::from_pkcs8_pem(&std::fs::read_to_string(root.join(path)).unwrap()).unwrap()
}

/// Writes the JSON of a body anew.
fn rewrite(answer: &mut Answer, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_str(&answer.body).unwrap();
    change(&mut value);
    answer.body = value.to_string() + "\n";
}

fn same(packet: &str) -> Vec<String> {
    vec![packet.to_owned()]
}

/// An access token that lasts a second longer, signed by the server.
fn longer(token: &str, root: &Path) -> String {
    let (head, _) = token.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 1);
    let head = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = key(root, "Server/Borealis/auth_keys/borealis-jwt-ed25519.key").sign(head.as_bytes());
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// Signs other bytes than those that are sent, with the server's own key.
fn sign_other_bytes(packet: &str, root: &Path) -> Vec<String> {
    let Some((head, json)) = packet
        .split_once('[')
        .filter(|_| packet.contains("playbook_content"))
    else {
        return same(packet);
    };
    let mut arguments: Value = serde_json::from_str(&format!("[{json}")).unwrap();
    let signer = key(
        root,
        "Certificates/Server/Code-Signing/borealis-script-ed25519.key",
    );
    arguments[1]["signature"] = json!(STANDARD.encode(signer.sign(b"other bytes").to_bytes()));
    vec![format!("{head}{arguments}")]
}

fn add_site(_root: &Path, database: &Path) {
    let insert = "INSERT INTO sites (name, description, created_at) VALUES ('nowhere', '', 0)";
    tokio::task::block_in_place(|| {
        let inserted = database::execute(database, insert, &[], Timestamp::UNIX_EPOCH);
        tokio::runtime::Handle::current().block_on(inserted).unwrap();
    });
}

fn widen(root: &Path, _database: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = root.join("Data/web-interface/build/index.html");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
}

fn leave_a_pipe(root: &Path, _database: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("Data/pipe"))
        .status();
    assert!(made.unwrap().success());
}

/// What is planted, into which scenario, and the places at which it is found: `step path`.
const PLANTS: &[(&str, &str, Fault, &[&str])] = &[
    (
        "a defect of the legacy is back in one of eight scenarios",
        "operators/users_role",
        Fault::Answer("POST /api/users/bob/role", 8, |answer, _| {
            PAGE.clone_into(&mut answer.body);
            answer.head = answer
                .head
                .replacen("400 BAD REQUEST", "500 INTERNAL SERVER ERROR", 1)
                .replacen("application/json", "text/html; charset=utf-8", 1);
        }),
        &["12 /status", "12 /body/<text>"],
    ),
    (
        "one event is doubled",
        "realtime/screenshot_relay",
        Fault::Packet(|packet, _| match packet.contains("\"QUFBQQ==\"") {
            true => vec![packet.to_owned(), packet.to_owned()],
            false => same(packet),
        }),
        &["/sockets/"],
    ),
    (
        "one event is lost",
        "realtime/screenshot_relay",
        Fault::Packet(|packet, _| match packet.contains("\"QUFBQQ==\"") {
            true => vec!["6".to_owned()],
            false => same(packet),
        }),
        &["/received", "/sockets/"],
    ),
    (
        "one header is in another letter case",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            answer.head = answer.head.replacen("Content-Type", "content-type", 1);
        }),
        &["/wire/headers"],
    ),
    (
        "a header is folded",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            answer.head = answer.head.replacen("Content-Type: ", "Content-Type:\r\n ", 1);
        }),
        &["/failed"],
    ),
    (
        "a blank stands before a header's colon",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            answer.head = answer.head.replacen("Content-Type:", "Content-Type :", 1);
        }),
        &["/failed"],
    ),
    (
        "an interim answer comes that nobody asked for",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            answer
                .head
                .insert_str(0, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }),
        &["/failed"],
    ),
    (
        "1.0 stands for 1",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            answer.body = answer
                .body
                .replacen("\"mfa_enabled\":0", "\"mfa_enabled\":0.0", 1);
        }),
        &["/body/users/0/mfa_enabled"],
    ),
    (
        "the members of an answer stand in another order",
        "operators/users_role",
        Fault::Answer("GET /api/users", 0, |answer, _| {
            rewrite(answer, |value| {
                let user = value["users"][0].as_object_mut().unwrap();
                let (name, first) = user.clone().into_iter().next().unwrap();
                user.shift_remove(&name);
                user.insert(name, first);
            });
        }),
        &["/body/users/0/<order>"],
    ),
    (
        "a cookie lacks an attribute",
        "operators/users_role",
        Fault::Answer("POST /api/auth/login", 0, |answer, _| {
            answer.head = answer.head.replacen("; SameSite=Lax", "", 1);
        }),
        &["1 /headers/set-cookie"],
    ),
    (
        "an acknowledgement says something",
        "realtime/screenshot_relay",
        Fault::Packet(
            |packet, _| match packet.starts_with("43") && packet.ends_with("[]") {
                true => vec![packet.replace("[]", "[true]")],
                false => same(packet),
            },
        ),
        &["3 /acknowledged/0"],
    ),
    (
        "one row more that nobody selects",
        "operators/users_role",
        Fault::Left(add_site),
        &["/tables/sites/0"],
    ),
    (
        "a file that everybody may write",
        "operators/users_role",
        Fault::Left(widen),
        &["/files/Data~1web-interface~1build~1index.html/mode"],
    ),
    (
        "a pipe that nobody writes into",
        "operators/users_role",
        Fault::Left(leave_a_pipe),
        &["/files/Data~1pipe"],
    ),
    (
        "a time for people in another zone",
        "platform/server_time_zone_kolkata",
        Fault::Answer("GET /api/server/time", 0, |answer, _| {
            let (before, after) = answer.body.split_once(" @ ").unwrap();
            let (_, after) = after.split_once('"').unwrap();
            answer.body = format!("{before} @ 1:01AM\"{after}");
        }),
        &["/body/display"],
    ),
    (
        "a token of 901 seconds",
        "enrollment/happy_path_all_rows",
        Fault::Answer("POST /api/agent/enroll/poll", 1, |answer, root| {
            rewrite(answer, |value| {
                value["access_token"] = json!(longer(value["access_token"].as_str().unwrap(), root));
            });
        }),
        &["/body/access_token/<jwt>/claims/exp"],
    ),
    (
        "a playbook's signature is over other bytes",
        "scheduler/tick_dispatch",
        Fault::Packet(sign_other_bytes),
        &["/signature"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_in_the_running_engine_is_found_where_it_was_planted() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (what, scenario, fault, places) in PLANTS {
        let folders = Places {
            scenarios: top.join("scenarios"),
            snapshots: top.join("snapshots"),
        };
        let campaign = Campaign::prepare(folders, &[(*scenario).to_owned()]).unwrap();
        let faulty = campaign.with(Arc::new(Faulty::new(*fault)));
        let report = faulty.run(1, TODAY, Arc::new(Silent)).await;
        let verdict = &report.judgement.verdicts[0];
        let differ = verdict
            .different
            .iter()
            .map(|one| format!("{} {}", one.step, one.path));
        let unmet = verdict
            .unmet
            .iter()
            .map(|one| format!("{} {}", one.step, one.path));
        let found: Vec<String> = differ.chain(unmet).collect();
        assert_eq!(report::ending(&report), Ending::Differs, "{what}: {verdict:?}");
        for place in *places {
            assert!(
                found.iter().any(|one| one.contains(place)),
                "{what}, {place}: {found:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_changes_nothing_changes_no_verdict() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut scenarios: Vec<String> = PLANTS
        .iter()
        .map(|(_, scenario, ..)| (*scenario).to_owned())
        .collect();
    scenarios.dedup();
    let folders = Places {
        scenarios: top.join("scenarios"),
        snapshots: top.join("snapshots"),
    };
    let campaign = Campaign::prepare(folders, &scenarios).unwrap();
    let nothing = Faulty::new(Fault::Packet(|packet, _| same(packet)));
    let report = campaign
        .with(Arc::new(nothing))
        .run(4, TODAY, Arc::new(Silent))
        .await;
    assert_eq!(
        report::ending(&report),
        Ending::Pass,
        "{}",
        report::terminal(&report)
    );
}
