//! The words that describe a credential. What is unknown counts as the usual kind, as in the legacy (OPR-17).

/// What a credential logs in to: `machine`, `domain`, `token` or `api`.
pub fn credential_type(text: &str) -> &'static str {
    match text.to_lowercase().as_str() {
        "domain" => "domain",
        "token" => "token",
        "api" => "api",
        _ => "machine",
    }
}

/// How a credential's machine is reached: `ssh`, `winrm` or `api`.
pub fn connection_type(text: &str) -> &'static str {
    match text.to_lowercase().as_str() {
        "winrm" | "windows" => "winrm",
        "api" | "http" => "api",
        _ => "ssh",
    }
}

/// How more rights are got on a machine: `sudo`, `su`, `runas`, `enable`, or empty for not at all.
pub fn become_method(text: &str) -> &'static str {
    match text.to_lowercase().as_str() {
        "sudo" => "sudo",
        "su" => "su",
        "runas" => "runas",
        "enable" => "enable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_the_kinds_are_known() {
        for (text, kind) in [
            ("linux", "ssh"),
            ("UNIX", "ssh"),
            ("Windows", "winrm"),
            ("http", "api"),
            ("x", "ssh"),
        ] {
            assert_eq!(connection_type(text), kind);
        }
        for (text, kind) in [
            ("SSH", "machine"),
            ("", "machine"),
            ("API", "api"),
            ("domain", "domain"),
        ] {
            assert_eq!(credential_type(text), kind);
        }
        for (text, method) in [("SUDO", "sudo"), ("doas", ""), ("runas", "runas")] {
            assert_eq!(become_method(text), method);
        }
    }
}
