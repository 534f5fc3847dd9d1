//! Assemblies: workflows, the documents of scripts and playbooks, where they may lie, and what fills their variables.

pub mod document;
pub mod location;
pub mod powershell;
pub mod script_text;
pub mod variables;
pub mod workflow;
