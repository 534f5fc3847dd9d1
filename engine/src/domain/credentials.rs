//! The words that describe a credential. What is unknown counts as the usual kind, as in the legacy (OPR-17).

use super::json::Json;

/// The four secrets of a credential, in whatever form: clear, sealed, or a change to them.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Secrets<T> {
    pub password: T,
    pub private_key: T,
    /// What opens the private key.
    pub private_key_passphrase: T,
    /// The password for getting more rights.
    pub become_password: T,
}

impl<T> Secrets<T> {
    /// The secrets by reference.
    pub fn as_ref(&self) -> Secrets<&T> {
        Secrets {
            password: &self.password,
            private_key: &self.private_key,
            private_key_passphrase: &self.private_key_passphrase,
            become_password: &self.become_password,
        }
    }

    /// Every secret through `change`.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Secrets<U> {
        Secrets {
            password: change(self.password),
            private_key: change(self.private_key),
            private_key_passphrase: change(self.private_key_passphrase),
            become_password: change(self.become_password),
        }
    }
}

impl<T> std::fmt::Debug for Secrets<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(…)")
    }
}

/// A sealed secret as it is stored; `None` where there is none.
pub type Sealed = Option<Vec<u8>>;

/// A credential, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Row number, never used again.
    pub id: i64,
    /// The name, unique with its letter case.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The number of the site it belongs to, whether or not there is one, or whatever else is stored there.
    pub site_id: Json,
    pub site_name: Option<String>,
    /// What it logs in to; empty counts as the usual kind.
    pub credential_type: String,
    /// How that is reached; empty counts as the usual way.
    pub connection_type: String,
    /// The user name on the machine.
    pub username: Option<String>,
    /// How more rights are got.
    pub become_method: Option<String>,
    /// Whose rights these are.
    pub become_username: Option<String>,
    /// Further settings, the text of a JSON object.
    pub metadata_json: Option<String>,
    pub secrets: Secrets<Sealed>,
    /// Unix seconds at which it was made; 0 unknown.
    pub created_at: i64,
    /// Unix seconds of the last change.
    pub updated_at: i64,
}

/// What is to be written into a credential; `None` leaves a column as it is. `T` is the form of its secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialChange<T> {
    /// See [`Credential::name`].
    pub name: Option<String>,
    /// See [`Credential::description`].
    pub description: Option<String>,
    /// See [`Credential::site_id`].
    pub site_id: Option<Option<i64>>,
    /// See [`Credential::credential_type`].
    pub credential_type: Option<&'static str>,
    /// See [`Credential::connection_type`].
    pub connection_type: Option<&'static str>,
    /// See [`Credential::username`].
    pub username: Option<String>,
    /// See [`Credential::become_method`].
    pub become_method: Option<&'static str>,
    /// See [`Credential::become_username`].
    pub become_username: Option<String>,
    /// See [`Credential::metadata_json`].
    pub metadata_json: Option<Option<String>>,
    /// The secrets; an inner `None` removes one.
    pub secrets: Secrets<Option<Option<T>>>,
}

impl<T> CredentialChange<T> {
    /// The same change with its secrets through `seal`.
    pub fn seal<U>(self, seal: impl Fn(T) -> U) -> CredentialChange<U> {
        CredentialChange {
            name: self.name,
            description: self.description,
            site_id: self.site_id,
            credential_type: self.credential_type,
            connection_type: self.connection_type,
            username: self.username,
            become_method: self.become_method,
            become_username: self.become_username,
            metadata_json: self.metadata_json,
            secrets: self.secrets.map(|secret| secret.map(|secret| secret.map(&seal))),
        }
    }
}

/// Which credentials are listed; everything given has to fit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CredentialFilter {
    pub site_id: Option<i64>,
    /// The connection type, in lower case.
    pub connection_type: Option<&'static str>,
}

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
