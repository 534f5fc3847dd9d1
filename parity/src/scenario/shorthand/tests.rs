use super::super::{model::Scenario, verify};
use crate::runner::step_label;
use std::path::Path;

const HEAD: &str = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nagents: {agent1: {hostname: H}}\nsteps:\n";

fn read(steps: &str) -> Result<Scenario, String> {
    Scenario::read("a/b", &format!("{HEAD}{steps}")).map_err(|error| error.to_string())
}

#[test]
fn an_entry_stands_for_its_steps() {
    let scenario = read(
        "  - login: admin\n  - enroll: agent1\n    note: in\n  - get: /${agent1.guid}\n  - {name: again, proof: agent1}\n",
    )
    .unwrap();
    let labels: Vec<_> = scenario
        .steps
        .iter()
        .map(|step| format!("{} {}: {}", step.id, step.name, step_label(step)))
        .collect();
    assert_eq!(
        labels,
        [
            "1 login admin: POST /api/auth/login as admin",
            "2 enroll agent1: code: POST /api/admin/enrollment-codes as admin",
            "3 enroll agent1: request: POST /api/agent/enroll/request as agent1",
            "4 enroll agent1: pending: GET /api/admin/device-approvals?status=pending as admin",
            "5 enroll agent1: approve: POST /api/admin/device-approvals/${agent1.approval_id}/approve as admin",
            "6 enroll agent1: proof: make agent1.proof",
            "7 enroll agent1: poll: POST /api/agent/enroll/poll as agent1",
            "8 GET /: GET /${agent1.guid}",
            "9 again: make agent1.proof",
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
            .contains("has no `get`")
    );
    assert!(
        read("  - get: /\n    password: p\n")
            .unwrap_err()
            .contains("has no `password`")
    );
}
