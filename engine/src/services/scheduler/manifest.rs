//! What a job sends: its components, found, read, filled and signed, once for an occurrence.

use std::sync::Arc;

use super::{
    credentials::{CredentialError, RunCredentials},
    payload::{playbook_members, script_members},
};
use crate::{
    config::settings::AccessPolicy,
    domain::{
        assembly::{
            document::Document,
            location::{Island, IslandPath},
            variables::{EscapingValue, Overrides, is_reserved, named_values, overrides_in, overrides_of},
        },
        json::{Json, JsonObject},
        mask::shown,
        scheduled_jobs::{ScheduledJob, component_path, context_word},
    },
    services::{assemblies::AssemblyLibrary, script_signer::ScriptSigner},
};

/// What a component is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ComponentKind {
    /// A PowerShell script, for the agent.
    Script,
    /// A playbook, for the agent.
    Playbook,
    /// A playbook that the server itself runs, over SSH.
    ServerPlaybook,
}

impl ComponentKind {
    /// The word in a link's `component_kind`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Playbook | Self::ServerPlaybook => "ansible",
        }
    }

    /// The word in an activity's `script_type`.
    pub fn script_type(self) -> &'static str {
        match self {
            Self::Script => "powershell",
            Self::Playbook | Self::ServerPlaybook => "ansible",
        }
    }
}

/// A component that can be sent. Its members may hold passwords: it is never printed.
#[derive(Clone)]
pub struct Component {
    /// Its place in the job.
    pub index: i64,
    /// What it is.
    pub kind: ComponentKind,
    /// Its file, as it is stored and sent.
    pub path: String,
    /// Its document's name.
    pub name: String,
    /// The decoded text.
    pub text: Arc<str>,
    /// Given values; for WinRM with the login.
    pub values: Arc<Overrides>,
    /// Seconds that it may take; 0 is no limit.
    pub timeout_seconds: i64,
    /// The members of its event that are the same on every host.
    pub members: JsonObject,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Component")
            .field("index", &self.index)
            .field("kind", &self.kind)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A job's components for an occurrence.
#[derive(Debug, Default)]
pub struct Manifest {
    /// What can be sent: scripts first, then playbooks, each in the job's order.
    pub components: Vec<Component>,
    /// Why others are left out.
    pub left_out: Vec<String>,
    /// Why the whole is refused; nothing can be sent then.
    pub refused: Option<String>,
}

/// Why a component cannot be sent.
enum Unusable {
    /// The others can.
    Alone(String),
    /// Nor can the others: the run would do something else than its job defines.
    WithAll(String),
}

impl From<String> for Unusable {
    fn from(reason: String) -> Self {
        Self::Alone(reason)
    }
}

impl From<&str> for Unusable {
    fn from(reason: &str) -> Self {
        Self::Alone(reason.to_owned())
    }
}

impl From<EscapingValue> for Unusable {
    fn from(refused: EscapingValue) -> Self {
        Self::WithAll(refused.to_string())
    }
}

/// As whom a job runs, and what that needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Context {
    Agent,
    WinRm { credential: Option<i64> },
    Ssh,
}

/// Builds manifests.
#[derive(Debug)]
pub struct ManifestBuilder<'a> {
    /// Where scripts and playbooks lie.
    pub library: &'a AssemblyLibrary,
    /// Who signs them.
    pub signer: &'a ScriptSigner,
    /// What WinRM logs in with.
    pub credentials: &'a dyn RunCredentials,
    /// Whether names and values are refused that could become code.
    pub policy: AccessPolicy,
}

/// Whether a job's context needs a credential that the job does not name.
pub fn lacks_credential(job: &ScheduledJob) -> bool {
    let remote = match context_word(&job.execution_context).as_str() {
        "ssh" => true,
        "winrm" => !job.use_service_account,
        _ => false,
    };
    remote && job.credential_id.unwrap_or(0) == 0
}

impl ManifestBuilder<'_> {
    /// Builds what a job sends. Components that cannot be used fall out, with their reasons.
    pub async fn build(&self, job: &ScheduledJob) -> Manifest {
        let mut manifest = Manifest::default();
        let Some(components) = &job.components else {
            manifest
                .left_out
                .push("the job's components are unreadable".to_owned());
            return manifest;
        };
        let context = match context_word(&job.execution_context).as_str() {
            "ssh" => Context::Ssh,
            "winrm" => Context::WinRm {
                credential: job.credential_id.filter(|_| !job.use_service_account),
            },
            _ => Context::Agent,
        };
        let mut playbooks = Manifest::default();
        for (component, index) in components.as_list().unwrap_or_default().iter().zip(0..) {
            let (built, list) = match component.get("type").and_then(Json::as_text) {
                Some("script") => (self.script(component, index, job).await, &mut manifest),
                Some("ansible") => (self.playbook(component, index, context).await, &mut playbooks),
                _ => (Err("neither a script nor a playbook".into()), &mut manifest),
            };
            match built {
                Ok(built) => list.components.push(built),
                Err(Unusable::Alone(reason)) => list.left_out.push(reason),
                Err(Unusable::WithAll(reason)) => {
                    tracing::warn!(job_id = job.id, reason = %shown(&reason), "a scheduled job is not run");
                    return Manifest {
                        refused: Some(reason),
                        ..Manifest::default()
                    };
                }
            }
        }
        manifest.components.append(&mut playbooks.components);
        manifest.left_out.append(&mut playbooks.left_out);
        for reason in &manifest.left_out {
            tracing::warn!(
                job_id = job.id,
                reason = %shown(reason),
                "a component of a scheduled job is left out"
            );
        }
        manifest
    }

    async fn script(&self, component: &Json, index: i64, job: &ScheduledJob) -> Result<Component, Unusable> {
        let given = component_path(component, &["path", "script_path"]).ok_or("a script without a path")?;
        let path = IslandPath::scheduled_script_text(given);
        let inside = path.strip_prefix("Scripts").unwrap_or_default();
        let document = self
            .document(Island::Scripts, inside, &path, "powershell")
            .await?;
        if document.kind != "powershell" {
            return Err(format!("{path} is no PowerShell script").into());
        }
        let mut values = given_object(component);
        values.extend(overrides_in(given_list(component)));
        let (text, members) = script_members(
            self.signer,
            &document,
            &path,
            &document.scheduled_name,
            &context_word(&job.execution_context),
            &values,
            self.policy,
        )?;
        Ok(Component {
            index,
            kind: ComponentKind::Script,
            path,
            timeout_seconds: document.run_seconds(),
            name: document.scheduled_name,
            text: text.into(),
            values: values.into(),
            members,
        })
    }

    async fn playbook(&self, component: &Json, index: i64, context: Context) -> Result<Component, Unusable> {
        let given = component_path(component, &["path"]).ok_or("a playbook without a path")?;
        let path = IslandPath::scheduled_playbook_text(given);
        let document = self.document(Island::Playbooks, &path, &path, "ansible").await?;
        let mut values = playbook_values(component);
        if context == Context::Ssh
            && self.policy == AccessPolicy::Strict
            && let Some(name) = reserved_name(&values, Some(&document))
        {
            return Err(Unusable::WithAll(format!(
                "The variable {name} is not allowed for a playbook that runs on the server"
            )));
        }
        if let Context::WinRm {
            credential: Some(credential),
        } = context
        {
            values.extend(self.winrm_login(credential).await?);
        }
        let members = playbook_members(self.signer, &document, &document.scheduled_name, &values);
        Ok(Component {
            index,
            kind: if context == Context::Ssh {
                ComponentKind::ServerPlaybook
            } else {
                ComponentKind::Playbook
            },
            path,
            timeout_seconds: document.run_seconds(),
            name: document.scheduled_name,
            text: document.script.into(),
            values: values.into(),
            members,
        })
    }

    async fn winrm_login(&self, id: i64) -> Result<Overrides, String> {
        let credential = self
            .credentials
            .fetch(id)
            .await
            .map_err(|error: CredentialError| error.to_string())?
            .ok_or("Credential not found")?;
        let is_remoting = ["winrm", "psrp"].contains(&credential.connection_type.as_str());
        if self.policy == AccessPolicy::Strict && !is_remoting {
            return Err(format!(
                "Unsupported credential connection type '{}' for WinRM",
                credential.connection_type
            ));
        }
        Ok(credential.winrm_values())
    }

    async fn document(
        &self,
        island: Island,
        inside: &str,
        shown: &str,
        default_kind: &str,
    ) -> Result<Document, String> {
        document(self.library, island, inside, shown, default_kind).await
    }
}

/// The first variable that a playbook on the server may not have, among these components' values and their documents'
/// own variables; a document that cannot be read is looked at when its job runs.
pub async fn variable_not_allowed(library: &AssemblyLibrary, components: &Json) -> Option<String> {
    for component in components.as_list().unwrap_or_default() {
        if component.get("type").and_then(Json::as_text) != Some("ansible") {
            continue;
        }
        let document = match component_path(component, &["path"]) {
            None => None,
            Some(given) => {
                let path = IslandPath::scheduled_playbook_text(given);
                document(library, Island::Playbooks, &path, &path, "ansible")
                    .await
                    .ok()
            }
        };
        if let Some(name) = reserved_name(&playbook_values(component), document.as_ref()) {
            return Some(name);
        }
    }
    None
}

/// The first variable that a playbook on the server may not have, among its values and its document's own.
pub fn reserved_name(values: &Overrides, document: Option<&Document>) -> Option<String> {
    let declared = document.into_iter().flat_map(|document| &document.variables);
    let names = values
        .keys()
        .map(String::as_str)
        .chain(declared.map(|variable| variable.name.as_str()));
    names
        .into_iter()
        .find(|name| is_reserved(name))
        .map(str::to_owned)
}

/// The values of a playbook. Other than with scripts, a name that is there is not given another value: the object wins over
/// the list, and in the list the first.
fn playbook_values(component: &Json) -> Overrides {
    let mut values = given_object(component);
    for (name, value) in named_values(given_list(component)) {
        values.entry(name).or_insert_with(|| value.clone());
    }
    values
}

async fn document(
    library: &AssemblyLibrary,
    island: Island,
    inside: &str,
    shown: &str,
    default_kind: &str,
) -> Result<Document, String> {
    let path = IslandPath::parse(library.root(), island, inside).filter(|path| !path.is_root());
    let loaded = match &path {
        None => None,
        Some(path) => library
            .load(island, path, default_kind)
            .await
            .map_err(|error| format!("{shown} cannot be read: {}", error.kind()))?,
    };
    let loaded = loaded.ok_or_else(|| format!("{shown} is not there"))?;
    // A damaged one is an empty one, as for quick runs and in the legacy; the library has logged it.
    Ok(loaded.document)
}

fn given_object(component: &Json) -> Overrides {
    component
        .get("variable_values")
        .and_then(Json::as_object)
        .map(overrides_of)
        .unwrap_or_default()
}

fn given_list(component: &Json) -> &[Json] {
    component
        .get("variables")
        .and_then(Json::as_list)
        .unwrap_or_default()
}
