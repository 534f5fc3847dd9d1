//! What `ansible-playbook` is given: inventory, values, key, arguments.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{credentials::RunCredential, playbook_run::ServerPlaybook};
use crate::{
    domain::{
        json::{Json, JsonObject},
        json_text::compact_text,
    },
    integrations::ansible::{WorkFile, WorkFolder},
};

/// The files of a run's work folder, which will lie at `folder`. `as_document` puts the playbook's text there too: the
/// stored form of a document is nothing that ansible could run (ASM-17).
pub(super) fn work_files(
    playbook: &ServerPlaybook,
    credential: &RunCredential,
    folder: &Path,
    as_document: bool,
) -> Vec<WorkFile> {
    let mut files: Vec<WorkFile> = vec![(
        "inventory.json",
        compact_text(&inventory(playbook, credential, folder)).into(),
    )];
    if !credential.private_key.is_empty() {
        files.push(("ssh_key", with_final_newline(&credential.private_key).into()));
    }
    if !playbook.values.is_empty() {
        let values = Json::Object(playbook.values.clone());
        files.push(("extra_vars.json", compact_text(&values).into()));
    }
    if as_document {
        files.push(("playbook.yml", playbook.text.clone().into()));
    }
    files
}

/// Keys in the forms that `ssh` takes end with a line feed.
fn with_final_newline(key: &str) -> String {
    if key.ends_with('\n') {
        key.to_owned()
    } else {
        format!("{key}\n")
    }
}

fn inventory(playbook: &ServerPlaybook, credential: &RunCredential, folder: &Path) -> Json {
    let mut host = JsonObject::new();
    let mut set = |name: &str, value: Json| {
        host.insert(name.to_owned(), value);
    };
    set("ansible_host", playbook.hostname.as_str().into());
    set("ansible_user", credential.username.as_str().into());
    set("ansible_connection", "ssh".into());
    set("ansible_ssh_common_args", "-o StrictHostKeyChecking=no".into());
    if !credential.password.is_empty() {
        set("ansible_password", credential.password.as_str().into());
        set("ansible_ssh_pass", credential.password.as_str().into());
    }
    if !credential.private_key.is_empty() {
        let key = folder.join("ssh_key");
        set("ansible_ssh_private_key_file", key.display().to_string().into());
    }
    let become_members = [
        ("ansible_become_method", &credential.become_method),
        ("ansible_become_user", &credential.become_username),
        ("ansible_become_password", &credential.become_password),
    ];
    if become_members.iter().any(|(_, text)| !text.is_empty()) {
        set("ansible_become", true.into());
    }
    for (name, text) in become_members {
        if !text.is_empty() {
            set(name, text.as_str().into());
        }
    }
    let hosts = JsonObject::from_iter([(playbook.hostname.clone(), Json::Object(host))]);
    Json::object([("all", Json::object([("hosts", Json::Object(hosts))]))])
}

/// The arguments of the program that runs `file`.
pub(super) fn arguments(
    file: PathBuf,
    work: &WorkFolder,
    playbook: &ServerPlaybook,
    credential: &RunCredential,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        file.into(),
        "-i".into(),
        work.path().join("inventory.json").into(),
    ];
    if !playbook.values.is_empty() {
        let mut values = OsString::from("@");
        values.push(work.path().join("extra_vars.json"));
        arguments.extend(["--extra-vars".into(), values]);
    }
    let become_options = [
        ("--become-method", &credential.become_method),
        ("--become-user", &credential.become_username),
    ];
    if become_options.iter().any(|(_, text)| !text.is_empty()) || !credential.become_password.is_empty() {
        arguments.push("--become".into());
        for (option, text) in become_options {
            if !text.is_empty() {
                arguments.extend([option.into(), text.into()]);
            }
        }
    }
    arguments
}
