//! Shorthands of scenarios that people write: one entry in the file stands for the steps that it always takes.
//!
//! - `login: admin`, with `password:` where it is not the first administrator's: the operator logs in. The cookies
//!   are used by every step `as: admin`, and `${admin.token}` is what else the answer gives.
//! - `enroll: agent1`: an operator (`as:`, else admin) makes an install code and approves; the agent asks, proves that
//!   it holds its key and is given `${agent1.guid}`, `${agent1.access_token}` and `${agent1.refresh_token}`. No other
//!   device may be waiting for approval then.

use serde_json::{Map, Value, json};

use super::{
    model::{ModelError, Step},
    raw::RawStep,
    steps::{at, read_step},
};

/// The password of the operator that a server makes over an empty root.
const FIRST_PASSWORD: &str = "Password";
const FIRST_OPERATOR: &str = "admin";

/// The steps that one entry stands for; most stand for one.
pub(super) fn read_steps(line: u64, mut raw: RawStep, previous: u32) -> Result<Vec<Step>, ModelError> {
    let (login, enroll) = (raw.login.take(), raw.enroll.take());
    let entries = match (login, enroll) {
        (None, None) => return Ok(vec![read_step(line, raw, previous)?]),
        (Some(_), Some(_)) => return Err(at(line, "the step does two things at once")),
        (Some(operator), None) => {
            let password = raw.password.take();
            vec![login_entry(
                &operator,
                password.as_deref().unwrap_or(FIRST_PASSWORD),
            )]
        }
        (None, Some(agent)) => {
            let operator = raw.who.take();
            enroll_entries(&agent, operator.as_deref().unwrap_or(FIRST_OPERATOR))
        }
    };
    let (id, time, note) = (raw.id.take(), raw.at.take(), raw.note.take());
    if raw != RawStep::default() {
        return Err(at(
            line,
            "login and enroll have no fields but id, at and note, and who does it",
        ));
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, mut entry) in entries.into_iter().enumerate() {
        if number == 0 {
            (entry.id, entry.at, entry.note) = (id, time, note.clone());
        }
        let previous = steps.last().map_or(previous, |step| step.id);
        steps.push(read_step(line, entry, previous)?);
    }
    Ok(steps)
}

fn post(who: &str, path: String, body: Value, captures: &[(&str, &str)], prefix: &str) -> RawStep {
    RawStep {
        who: Some(who.to_owned()),
        post: Some(path),
        headers: Some(Map::from_iter([(
            "Content-Type".to_owned(),
            json!("application/json"),
        )])),
        json: Some(body),
        capture: capture(captures, prefix),
        ..RawStep::default()
    }
}

/// Captures under names that begin with the prefix and a dot.
fn capture(captures: &[(&str, &str)], prefix: &str) -> Option<Map<String, Value>> {
    let named = |(name, pointer): &(&str, &str)| (format!("{prefix}.{name}"), json!(pointer));
    (!captures.is_empty()).then(|| captures.iter().map(named).collect())
}

fn login_entry(operator: &str, password: &str) -> RawStep {
    let body = json!({"username": operator, "password": password});
    post(
        operator,
        "/api/auth/login".to_owned(),
        body,
        &[("token", "/token")],
        operator,
    )
}

fn enroll_entries(agent: &str, operator: &str) -> Vec<RawStep> {
    let of_agent = |name: &str| format!("${{{agent}.{name}}}");
    let approvals = "/api/admin/device-approvals";
    vec![
        post(
            operator,
            "/api/admin/enrollment-codes".to_owned(),
            json!({"ttl_hours": 1, "max_uses": 1}),
            &[("code", "/code")],
            agent,
        ),
        post(
            agent,
            "/api/agent/enroll/request".to_owned(),
            json!({
                "hostname": of_agent("hostname"),
                "enrollment_code": of_agent("code"),
                "agent_pubkey": of_agent("pubkey"),
                "client_nonce": of_agent("nonce"),
            }),
            &[
                ("reference", "/approval_reference"),
                ("server_nonce", "/server_nonce"),
            ],
            agent,
        ),
        RawStep {
            who: Some(operator.to_owned()),
            get: Some(format!("{approvals}?status=pending")),
            capture: capture(&[("approval", "/approvals/0/id")], agent),
            ..RawStep::default()
        },
        post(
            operator,
            format!("{approvals}/{}/approve", of_agent("approval")),
            json!({}),
            &[],
            agent,
        ),
        RawStep {
            make: Some(Map::from_iter([
                ("name".to_owned(), json!(format!("{agent}.proof"))),
                ("function".to_owned(), json!("ed25519_sign")),
                ("agent".to_owned(), json!(agent)),
                (
                    "parts".to_owned(),
                    json!([
                        {"base64": of_agent("server_nonce")},
                        {"utf8": of_agent("reference")},
                        {"base64": of_agent("nonce")},
                    ]),
                ),
            ])),
            ..RawStep::default()
        },
        post(
            agent,
            "/api/agent/enroll/poll".to_owned(),
            json!({
                "approval_reference": of_agent("reference"),
                "client_nonce": of_agent("nonce"),
                "proof_sig": of_agent("proof"),
            }),
            &[
                ("guid", "/guid"),
                ("access_token", "/access_token"),
                ("refresh_token", "/refresh_token"),
            ],
            agent,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{model::Scenario, verify};
    use crate::runner::step_label;
    use std::path::Path;

    const HEAD: &str =
        "format: 1\ntitle: T\narea: A\nstarted_at: 1\nagents: {agent1: {hostname: H}}\nsteps:\n";

    fn read(steps: &str) -> Result<Scenario, String> {
        Scenario::read("a/b", &format!("{HEAD}{steps}")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_entry_stands_for_its_steps() {
        let scenario =
            read("  - login: admin\n  - id: 4\n    enroll: agent1\n    note: in\n  - get: /${agent1.guid}\n")
                .unwrap();
        let labels: Vec<_> = scenario
            .steps
            .iter()
            .map(|step| format!("{} {}", step.id, step_label(step)))
            .collect();
        assert_eq!(
            labels,
            [
                "1 POST /api/auth/login as admin",
                "4 POST /api/admin/enrollment-codes as admin",
                "5 POST /api/agent/enroll/request as agent1",
                "6 GET /api/admin/device-approvals?status=pending as admin",
                "7 POST /api/admin/device-approvals/${agent1.approval}/approve as admin",
                "8 make agent1.proof",
                "9 POST /api/agent/enroll/poll as agent1",
                "10 GET /${agent1.guid}",
            ]
        );
        assert_eq!(verify::problems(&scenario, Path::new(".")), []);
    }

    #[test]
    fn what_does_not_belong_is_told() {
        assert!(
            read("  - login: a\n    enroll: b\n")
                .unwrap_err()
                .contains("two things")
        );
        assert!(
            read("  - login: a\n    get: /\n")
                .unwrap_err()
                .contains("no fields but")
        );
        assert!(
            read("  - get: /\n    password: p\n")
                .unwrap_err()
                .contains("do not belong")
        );
    }
}
