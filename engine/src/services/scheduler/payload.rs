//! The members of agents' events that are the same on every host.

use crate::{
    config::settings::AccessPolicy,
    domain::{
        assembly::{
            document::{Document, DocumentFile},
            script_text::line_feeds,
            variables::{EscapePolicy, EscapingValue, Overrides, declared_list, fill},
        },
        base64,
        json::{Json, JsonObject},
    },
    services::script_signer::ScriptSigner,
};

/// What becomes of values that could get out of their quotes.
pub fn escape_policy(policy: AccessPolicy) -> EscapePolicy {
    match policy {
        AccessPolicy::Strict => EscapePolicy::Refuse,
        AccessPolicy::Legacy => EscapePolicy::Allow,
    }
}

/// The rewritten text of a script, and the members of `quick_job_run` that are the same on every host.
///
/// # Errors
/// A value is refused.
pub fn script_members(
    signer: &ScriptSigner,
    document: &Document,
    path: &str,
    name: &str,
    run_mode: &str,
    values: &Overrides,
    policy: AccessPolicy,
) -> Result<(String, JsonObject), EscapingValue> {
    let filled = fill(&document.variables, values);
    // A value may bring line ends of its own; the environment keeps them.
    let text = line_feeds(&filled.rewrite(&document.script, escape_policy(policy))?);
    let mut members = Json::members([
        ("script_type", "powershell".into()),
        ("script_name", name.into()),
        ("script_path", path.into()),
        ("script_content", base64::encode(text.as_bytes()).into()),
        ("script_encoding", "base64".into()),
        ("environment", filled.environment.into()),
        ("variables", Json::List(filled.listed)),
        ("timeout_seconds", document.timeout_seconds.clone().into()),
        ("files", files(&document.files)),
        ("run_mode", run_mode.into()),
        ("admin_user", "".into()),
        ("admin_pass", "".into()),
    ]);
    members.extend(signer.members(text.as_bytes()));
    Ok((text, members))
}

/// The members of `ansible_playbook_run` that are the same on every host.
pub fn playbook_members(
    signer: &ScriptSigner,
    document: &Document,
    name: &str,
    values: &Overrides,
) -> JsonObject {
    let text = line_feeds(&document.script);
    let mut members = Json::members([
        ("playbook_name", name.into()),
        ("playbook_content", base64::encode(text.as_bytes()).into()),
        ("playbook_encoding", "base64".into()),
        ("connection", "winrm".into()),
        ("variables", Json::List(declared_list(&document.variables))),
        ("files", files(&document.files)),
        ("variable_values", Json::Object(values.clone())),
    ]);
    members.extend(signer.members(text.as_bytes()));
    members
}

/// The payload of `quick_job_run` for one host, in the legacy's order.
pub fn script_event(activity_id: Json, host: Json, members: JsonObject) -> Json {
    let mut payload = Json::members([("job_id", activity_id), ("target_hostname", host)]);
    payload.extend(members);
    payload.into()
}

/// The payload of `ansible_playbook_run` for one host, in the legacy's order: `ids` stand behind the playbook's text.
pub(super) fn playbook_event(
    run_id: Json,
    host: Json,
    members: &JsonObject,
    ids: [(&'static str, Json); 3],
) -> Json {
    let mut payload = Json::members([("run_id", run_id), ("target_hostname", host)]);
    payload.extend(members.clone());
    let behind = payload
        .get_index_of("playbook_encoding")
        .map_or(payload.len(), |at| at + 1);
    for (at, (name, value)) in (behind..).zip(ids) {
        payload.shift_insert(at, name.to_owned(), value);
    }
    payload.into()
}

/// The payload of `ansible_playbook_run` of an operator's own run for one host, in the legacy's order: the activity's
/// number stands behind the files.
pub fn quick_playbook_event(run_id: &str, host: Json, members: JsonObject, activity_id: i64) -> Json {
    let mut payload = Json::members([("run_id", run_id.into()), ("target_hostname", host)]);
    payload.extend(members);
    let behind = payload.get_index_of("files").map_or(payload.len(), |at| at + 1);
    payload.shift_insert(behind, "activity_job_id".to_owned(), activity_id.into());
    payload.into()
}

/// Files as agents get them: a name must not lead out of the folder that the agent puts it into (ASM-27).
fn files(files: &[DocumentFile]) -> Json {
    Json::List(
        files
            .iter()
            .map(|file| {
                let name = file.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
                Json::object([
                    ("file_name", name.into()),
                    ("size", file.size.clone().into()),
                    ("mime_type", file.mime_type.as_str().into()),
                    ("data", file.data.as_str().into()),
                ])
            })
            .collect(),
    )
}
