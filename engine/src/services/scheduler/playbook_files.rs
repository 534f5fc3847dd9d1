//! What `ansible-playbook` is given: inventory, values, key, arguments, environment. Names and values are data, never
//! templates: a device chooses its host name, and whoever starts a run the values.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{credentials::RunCredential, playbook_run::ServerPlaybook};
use crate::{
    domain::{
        assembly::variables::Overrides,
        json::{Json, JsonObject},
        unsafe_yaml::unsafe_yaml,
    },
    integrations::ansible::{OWN_FOLDER, WorkFile, WorkFolder},
};

/// The name in the inventory of a host whose own is more than a name to Ansible.
const ALIAS: &str = "device";

/// The inventory's file.
const INVENTORY: &str = "inventory.yml";
/// The values' file.
const VALUES: &str = "extra_vars.yml";

/// Why a host cannot be the target of `ssh`: its name would be taken for an option.
pub(super) fn unreachable(hostname: &str) -> Option<&'static str> {
    let name = hostname.trim();
    (name.is_empty() || name.starts_with('-') || name.contains(char::is_control))
        .then_some("The device's host name is none that SSH could reach")
}

/// The files of a run's work folder, which will lie at `folder`. `as_document` puts the playbook's text there too: the
/// stored form of a document is nothing that ansible could run (ASM-17).
pub(super) fn work_files(
    playbook: &ServerPlaybook,
    credential: &RunCredential,
    folder: &Path,
    as_document: bool,
) -> Vec<WorkFile> {
    let mut files: Vec<WorkFile> = vec![(
        INVENTORY,
        unsafe_yaml(&inventory(playbook, credential, folder)).into(),
    )];
    if !credential.private_key.is_empty() {
        files.push(("ssh_key", with_final_newline(&credential.private_key).into()));
    }
    if !playbook.values.is_empty() {
        let values = Json::Object(Overrides::clone(&playbook.values));
        files.push((VALUES, unsafe_yaml(&values).into()));
    }
    if as_document {
        files.push(("playbook.yml", playbook.text.as_bytes().to_vec()));
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
    let hosts = JsonObject::from_iter([(inventory_name(&playbook.hostname).to_owned(), Json::Object(host))]);
    Json::object([("all", Json::object([("hosts", Json::Object(hosts))]))])
}

/// The host's own name where Ansible takes it as it is, without ranges, ports and templates.
fn inventory_name(hostname: &str) -> &str {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | '-');
    if hostname.chars().all(is_plain) {
        hostname
    } else {
        ALIAS
    }
}

/// The arguments of the program that runs `file`. Who has more rights stands in the inventory, which nobody sees.
pub(super) fn arguments(
    file: PathBuf,
    work: &WorkFolder,
    playbook: &ServerPlaybook,
    credential: &RunCredential,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![file.into(), "-i".into(), work.path().join(INVENTORY).into()];
    if !playbook.values.is_empty() {
        let mut values = OsString::from("@");
        values.push(work.path().join(VALUES));
        arguments.extend(["--extra-vars".into(), values]);
    }
    let becomes = [
        &credential.become_method,
        &credential.become_username,
        &credential.become_password,
    ];
    if becomes.iter().any(|text| !text.is_empty()) {
        arguments.push("--become".into());
    }
    arguments
}

/// The whole environment of the program: what it may have of the server's own, and how it is to behave. Everything that
/// it needs comes with `ansible-core`.
pub(super) fn environment(
    inherited: &BTreeMap<String, String>,
    work: &WorkFolder,
) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<String, OsString> = inherited
        .iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect();
    environment.extend(
        [
            ("ANSIBLE_HOST_KEY_CHECKING", "False".into()),
            ("ANSIBLE_RETRY_FILES_ENABLED", "False".into()),
            ("ANSIBLE_CALLBACK_RESULT_FORMAT", "yaml".into()),
            // What it unpacks holds the values: it goes with the run.
            (OWN_FOLDER, work.path().join("tmp").into_os_string()),
        ]
        .map(|(name, value): (_, OsString)| (name.to_owned(), value)),
    );
    environment
}
