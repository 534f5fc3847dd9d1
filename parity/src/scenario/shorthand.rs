//! Shorthands: one entry in the file stands for the steps that it always takes.
//!
//! - `login: admin`, with `password:` where it is not the first administrator's: the operator logs in. The cookies
//!   are used by every step `as: admin`, and `${admin.token}` is what else the answer gives.
//! - `enroll: agent1`: an operator (`as:`, else admin) makes an install code and approves; the agent asks, proves that
//!   it holds its key and is given `${agent1.guid}`, `${agent1.access_token}` and `${agent1.refresh_token}`. No other
//!   device may be waiting for approval then.
//! - `proof: agent1`: the agent signs for an enrollment that it has asked for, as `${agent1.proof}`.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{
    expect::Expect,
    made::Made,
    model::{Action, Capture, Request, RequestBody, Scenario, Step},
    template,
    verify::texts,
};

/// The password of the operator that a server makes over an empty root.
pub(crate) const FIRST_PASSWORD: &str = "Password";
pub(crate) const FIRST_OPERATOR: &str = "admin";
const TOKEN: &str = "/token";
/// What templates call the operator of a server that others use.
pub(crate) const OPERATOR: &str = "operator.name";
/// What they call the password.
pub(crate) const OPERATOR_PASSWORD: &str = "operator.password";
/// What they call the beginning of the names that a run gives.
pub(crate) const RUN: &str = "run";

/// What an entry of the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One step as it stands.
    Step,
    /// `login:`
    Login {
        /// Who.
        operator: String,
        /// With what, where it is not the usual.
        password: Option<String>,
    },
    /// `enroll:`
    Enroll {
        /// Whom.
        agent: String,
        /// By whom.
        operator: String,
    },
    /// `proof:`
    Proof {
        /// Whose.
        agent: String,
    },
}

impl Kind {
    /// The steps that the entry stands for, each with the name of its part; none for a step as it stands.
    pub(super) fn steps(&self) -> Vec<(&'static str, Step)> {
        match self {
            Self::Step => Vec::new(),
            Self::Login { operator, password } => {
                vec![("", login(operator, password.as_deref().unwrap_or(FIRST_PASSWORD)))]
            }
            Self::Enroll { agent, operator } => enroll(agent, operator),
            Self::Proof { agent } => vec![("", proof(agent))],
        }
    }

    /// What the entry is called where it has no name of its own.
    pub(super) fn base(&self) -> Option<String> {
        match self {
            Self::Step => None,
            Self::Login { operator, .. } => Some(format!("login {operator}")),
            Self::Enroll { agent, .. } => Some(format!("enroll {agent}")),
            Self::Proof { agent } => Some(format!("proof {agent}")),
        }
    }
}

fn step(who: Option<&str>, action: Action, captures: &[(&str, &str)], prefix: &str) -> Step {
    let named = |(name, pointer): &(&str, &str)| {
        (
            format!("{prefix}.{name}"),
            Capture::Pointer((*pointer).to_owned()),
        )
    };
    Step {
        id: 0,
        name: String::new(),
        line: 0,
        who: who.map(str::to_owned),
        note: String::new(),
        at_us: None,
        action,
        captures: captures.iter().map(named).collect(),
        expect: Expect::default(),
        only_own: false,
    }
}

fn post(who: &str, path: String, body: Value, captures: &[(&str, &str)], prefix: &str) -> Step {
    let request = Request {
        method: "POST",
        path,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: RequestBody::Json(body),
    };
    step(Some(who), Action::Http(request), captures, prefix)
}

fn login(operator: &str, password: &str) -> Step {
    let body = json!({"username": operator, "password": password});
    post(
        operator,
        "/api/auth/login".to_owned(),
        body,
        &[("token", TOKEN)],
        operator,
    )
}

fn proof(agent: &str) -> Step {
    let of_agent = |name: &str| format!("${{{agent}.{name}}}");
    let fields = Map::from_iter([
        ("function".to_owned(), json!("ed25519_sign")),
        ("agent".to_owned(), json!(agent)),
        (
            "parts".to_owned(),
            json!([
                {"base64": of_agent("server_nonce")},
                {"utf8": of_agent("approval_reference")},
                {"base64": of_agent("nonce")},
            ]),
        ),
    ]);
    let name = format!("{agent}.proof");
    let action = match Made::read(fields.clone()) {
        Ok(made) => Action::Make { name, made, fields },
        // Cannot be: the fields above are what the function has.
        Err(_) => Action::Set(Vec::new()),
    };
    step(None, action, &[], agent)
}

fn enroll(agent: &str, operator: &str) -> Vec<(&'static str, Step)> {
    let of_agent = |name: &str| format!("${{{agent}.{name}}}");
    let approvals = "/api/admin/device-approvals";
    let code = post(
        operator,
        "/api/admin/enrollment-codes".to_owned(),
        json!({"ttl_hours": 1, "max_uses": 1}),
        &[("code", "/code")],
        agent,
    );
    let request = post(
        agent,
        "/api/agent/enroll/request".to_owned(),
        json!({
            "hostname": of_agent("hostname"),
            "enrollment_code": of_agent("code"),
            "agent_pubkey": of_agent("pubkey"),
            "client_nonce": of_agent("nonce"),
        }),
        &[
            ("approval_reference", "/approval_reference"),
            ("server_nonce", "/server_nonce"),
        ],
        agent,
    );
    let list = Request {
        method: "GET",
        path: format!("{approvals}?status=pending"),
        headers: Vec::new(),
        body: RequestBody::Empty,
    };
    let list = step(
        Some(operator),
        Action::Http(list),
        &[("approval_id", "/approvals/0/id")],
        agent,
    );
    let approve = post(
        operator,
        format!("{approvals}/{}/approve", of_agent("approval_id")),
        json!({}),
        &[],
        agent,
    );
    let poll = post(
        agent,
        "/api/agent/enroll/poll".to_owned(),
        json!({
            "approval_reference": of_agent("approval_reference"),
            "client_nonce": of_agent("nonce"),
            "proof_sig": of_agent("proof"),
        }),
        &[
            ("guid", "/guid"),
            ("access_token", "/access_token"),
            ("refresh_token", "/refresh_token"),
        ],
        agent,
    );
    vec![
        ("code", code),
        ("request", request),
        ("pending", list),
        ("approve", approve),
        ("proof", proof(agent)),
        ("poll", poll),
    ]
}

/// Brings the steps of shorthands into the form that a server needs which others use: the operator who logs in is the one
/// whom the target names, and of the devices that wait for approval the scenario's own counts.
pub(super) fn share(steps: &mut [Step]) {
    for step in steps {
        if step.name.ends_with(": pending") {
            step.only_own = true;
        }
        let is_first = credentials(step)
            .is_some_and(|(name, password)| name == FIRST_OPERATOR && password == FIRST_PASSWORD);
        if is_first && let Action::Http(request) = &mut step.action {
            request.body = RequestBody::Json(json!({
                "username": format!("${{{OPERATOR}}}"),
                "password": format!("${{{OPERATOR_PASSWORD}}}"),
            }));
        }
    }
}

/// What of a scenario can be written as an entry of its own, in order: every step is in exactly one.
pub(super) fn fold(scenario: &Scenario) -> Vec<(Kind, Range<usize>)> {
    let mut groups = Vec::new();
    let mut at = 0;
    while let Some(rest) = scenario.steps.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = [enrolled(rest), logged_in(rest), proved(rest)]
            .into_iter()
            .flatten()
            .next()
            .unwrap_or((Kind::Step, 1));
        groups.push((kind, at..at + length));
        at += length;
    }
    groups
}

fn logged_in(rest: &[Step]) -> Option<(Kind, usize)> {
    let first = rest.first()?;
    let (operator, password) = credentials(first)?;
    let kind = Kind::Login {
        password: (password != FIRST_PASSWORD).then_some(password),
        operator,
    };
    let (_, whole) = kind.steps().into_iter().next()?;
    let same =
        first.who == whole.who && first.action == whole.action && first.captures.starts_with(&whole.captures);
    same.then_some((kind, 1))
}

/// The name and the password of a login.
fn credentials(step: &Step) -> Option<(String, String)> {
    let Action::Http(Request {
        body: RequestBody::Json(Value::Object(body)),
        ..
    }) = &step.action
    else {
        return None;
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("username")?, text("password")?))
}

fn proved(rest: &[Step]) -> Option<(Kind, usize)> {
    let first = rest.first()?;
    let Action::Make { name, .. } = &first.action else {
        return None;
    };
    let kind = Kind::Proof {
        agent: name.strip_suffix(".proof")?.to_owned(),
    };
    let (_, whole) = kind.steps().into_iter().next()?;
    (first.who.is_none() && first.action == whole.action && first.expect.is_empty()).then_some((kind, 1))
}

fn enrolled(rest: &[Step]) -> Option<(Kind, usize)> {
    let (first, second) = (rest.first()?, rest.get(1)?);
    let kind = Kind::Enroll {
        agent: second.who.clone()?,
        operator: first.who.clone()?,
    };
    let whole = kind.steps();
    let name = first.name.strip_suffix(": code").unwrap_or_default();
    let there = rest.get(..whole.len())?;
    let same = there
        .iter()
        .zip(&whole)
        .enumerate()
        .all(|(at, (step, (part, whole)))| {
            step.who == whole.who
                && (!step.only_own || *part == "pending")
                && step.action == whole.action
                && step.captures == whole.captures
                && step.expect.is_empty()
                && (at == 0 || (step.note.is_empty() && step.at_us.is_none()))
                && (step.name.is_empty() || step.name == format!("{name}: {part}"))
        });
    same.then_some((kind, whole.len()))
}

/// Brings steps that nearly are a shorthand's to its form, where that sends the same bytes: a hostname that is the
/// agent's own is named, and the token of a login gets its name where no step has other plans with it.
pub(super) fn straighten(scenario: &mut Scenario) {
    let used: Vec<String> = scenario
        .steps
        .iter()
        .flat_map(|step| {
            let mut names = template::used_in(&texts(&step.action)).unwrap_or_default();
            names.extend(step.captures.iter().map(|(name, _)| name.clone()));
            if let Action::Set(values) = &step.action {
                names.extend(values.iter().map(|(name, _)| name.clone()));
            }
            names
        })
        .collect();
    for step in &mut scenario.steps {
        let Some((operator, _)) = credentials(step) else {
            continue;
        };
        let token = format!("{operator}.token");
        if step.captures.is_empty() && !used.contains(&token) {
            step.captures.push((token, Capture::Pointer(TOKEN.to_owned())));
            let is_login = logged_in(std::slice::from_ref(step)).is_some();
            if !is_login {
                step.captures.clear();
            }
        }
    }
    for at in 0..scenario.steps.len() {
        let mut part: Vec<Step> = scenario.steps.iter().skip(at).take(6).cloned().collect();
        let Some(agent) = part.get(1).and_then(|step| step.who.clone()) else {
            continue;
        };
        let Some(known) = scenario.agents.iter().find(|known| known.name == agent) else {
            continue;
        };
        let Some(Action::Http(request)) = part.get_mut(1).map(|step| &mut step.action) else {
            continue;
        };
        let RequestBody::Json(body) = &mut request.body else {
            continue;
        };
        let Some(hostname) = body.get_mut("hostname") else {
            continue;
        };
        if hostname.as_str() != Some(&known.hostname) {
            continue;
        }
        *hostname = json!(format!("${{{agent}.hostname}}"));
        if enrolled(&part).is_some() {
            for (step, straight) in scenario.steps.iter_mut().skip(at).zip(part) {
                *step = straight;
            }
        }
    }
}

#[cfg(test)]
mod tests;
