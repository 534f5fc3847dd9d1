mod delivery;
mod model;
mod odd_jobs;
mod quick_playbooks;
mod quick_run_requests;
mod quick_runs;
mod recurrence;
#[cfg(unix)]
mod server_playbooks;
mod starts;
mod story;

const SCRIPT: &str = r#"[{"type":"script","path":"hello.ps1"}]"#;
const PLAYBOOK: &str = r#"[{"type":"ansible","path":"p.yml"}]"#;
