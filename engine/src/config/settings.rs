//! The engine's settings, read once from environment variables.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;

use super::{
    bounds::{AnonymousBounds, Bounds},
    cookies::CookieSettings,
    github::{self, GitHubSettings},
    network::{Destination, Network, PublicUrl, Reach},
    observing::{self, ObservingSettings},
    reader::{InvalidSettings, Reader, parts},
    secret::{Secret, SecretStrength},
    timing::Timing,
};
use crate::domain::{coerce::integer_in, fernet::FernetKey, server_name::ServerName};

/// Whether the listener speaks TLS: variable `BOREALIS_TLS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsMode {
    /// TLS when the host is not a loopback address.
    Auto,
    On,
    Off,
}

impl TlsMode {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.parsed("BOREALIS_TLS", Self::Auto, "auto, on or off", |value| match value
            .to_ascii_lowercase()
            .as_str()
        {
            "auto" => Some(Self::Auto),
            "on" | "1" | "true" | "yes" => Some(Self::On),
            "off" | "0" | "false" | "no" => Some(Self::Off),
            _ => None,
        })
    }
}

/// Who may call the routes that the legacy leaves open: variable `BOREALIS_ACCESS_POLICY`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessPolicy {
    /// An operator session on every operator route.
    Strict,
    /// Nobody is checked where the legacy checks nobody.
    Legacy,
}

impl AccessPolicy {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.parsed(
            "BOREALIS_ACCESS_POLICY",
            Self::Strict,
            "strict or legacy",
            |value| match value.to_ascii_lowercase().as_str() {
                "strict" => Some(Self::Strict),
                "legacy" => Some(Self::Legacy),
                _ => None,
            },
        )
    }
}

/// Everything that can be set, complete and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub root: PathBuf,
    pub database_path: PathBuf,
    /// Whether tables are made and upgraded at start.
    pub auto_migrate: bool,
    /// The built web client.
    pub static_root: PathBuf,
    /// How browsers reach the server where a proxy rewrites `Host`.
    pub public_url: Option<PublicUrl>,
    /// Allowed origins; empty means any.
    pub cors_allowed_origins: Vec<String>,
    /// Signs sessions and operator tokens. Never logged.
    pub session_secret: Secret,
    /// The key that seals secrets at rest; `None` where it lies in one of [`Settings::sealing_key_files`].
    pub sealing_key: Option<FernetKey>,
    /// Whether to go on when no key opens any of the secrets that are stored. No variable sets it: it is for one start.
    pub accept_lost_secrets: bool,
    /// Verbose logging.
    pub debug: bool,
    /// What the server shows of itself beside its log.
    pub observing: ObservingSettings,
    /// The host to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Whether the listener speaks TLS.
    pub tls: TlsMode,
    /// Who may call what the legacy leaves open.
    pub access_policy: AccessPolicy,
    /// Whose forwarding headers are trusted, besides loopback.
    pub trusted_proxies: Vec<Network>,
    /// What `/api/proxy` may reach although it is of this machine or a private network.
    pub proxy_allow: Vec<Destination>,
    /// Folder of the server's certificate, key and bundle.
    pub server_certificates: PathBuf,
    /// Further names for a certificate that the server makes.
    pub tls_names: Vec<ServerName>,
    /// The machine's host name, another one of them: variable `HOSTNAME`, which `main` sets.
    pub machine_name: Option<ServerName>,
    /// Folder of runtime files: the token key, and what older versions kept there.
    pub runtime: PathBuf,
    pub github: GitHubSettings,
    /// The attributes of the operator cookies.
    pub cookies: CookieSettings,
    /// How long an operator token lives, in seconds; `None` refuses every token (the legacy's reading of a value
    /// that is no number).
    pub operator_token_ttl: Option<i64>,
    /// Seconds after which a started run is taken for a success.
    pub assumed_run_seconds: i64,
    /// Days for which runs of jobs are kept and listed.
    pub job_history_days: i64,
    /// The server's own zone: what times without an offset mean.
    pub time_zone: TimeZone,
    /// The name that authenticator apps show for this server.
    pub mfa_issuer: String,
    /// What playbooks that run on the server get of its environment, as far as it is there: enough to find programs and
    /// Ansible's own settings, and nothing that is the server's.
    pub playbook_environment: BTreeMap<String, String>,
    /// How long the server waits for others; no variable sets it.
    pub timing: Timing,
    /// How much callers may take of the server; no variable sets it.
    pub bounds: Bounds,
}

/// The variables of [`Settings::playbook_environment`].
const PLAYBOOK_ENVIRONMENT: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "ANSIBLE_CONFIG",
    "ANSIBLE_COLLECTIONS_PATH",
    "ANSIBLE_ROLES_PATH",
];

impl Settings {
    /// Reads the settings from a map of variables; `working_folder` is where the search for the root begins.
    ///
    /// # Errors
    /// Every variable whose value cannot be read, all at once.
    pub fn from_map(
        variables: &BTreeMap<String, String>,
        working_folder: &Path,
    ) -> Result<Self, InvalidSettings> {
        let mut reader = Reader::new(variables);
        let root = reader
            .path(&["BOREALIS_ROOT"])
            .unwrap_or_else(|| find_root(working_folder));
        let project_root = reader
            .path(&["BOREALIS_PROJECT_ROOT"])
            .unwrap_or_else(|| root.clone());
        let certificates = reader
            .path(&["BOREALIS_CERTIFICATES_ROOT", "BOREALIS_CERT_ROOT"])
            .unwrap_or_else(|| project_root.join("Certificates"));
        let settings = Self {
            database_path: reader
                .path(&["BOREALIS_DATABASE_PATH"])
                .unwrap_or_else(|| root.join("database.db")),
            auto_migrate: reader.switch("BOREALIS_ENGINE_AUTO_MIGRATE", true),
            static_root: reader
                .path(&["BOREALIS_STATIC_ROOT"])
                .unwrap_or_else(|| find_static_root(&root)),
            public_url: reader.parsed(
                "BOREALIS_PUBLIC_URL",
                None,
                "the address that browsers reach the server at, such as https://borealis.example or \
                 https://borealis.example:8443",
                |value| PublicUrl::parse(value).map(Some),
            ),
            cors_allowed_origins: origins(
                reader
                    .text(&["BOREALIS_CORS_ALLOWED_ORIGINS", "BOREALIS_CORS_ORIGINS"])
                    .unwrap_or("*"),
            ),
            // Not trimmed: the legacy signs with the text as it stands.
            session_secret: Secret::new(
                ["BOREALIS_FLASK_SECRET_KEY", "BOREALIS_SECRET"]
                    .iter()
                    .filter_map(|name| variables.get(*name))
                    .find(|value| !value.is_empty())
                    .map_or_else(|| "change-me".to_owned(), Clone::clone),
            ),
            sealing_key: reader.sealing_key(),
            accept_lost_secrets: false,
            debug: reader.switch("BOREALIS_DEBUG", false),
            observing: observing::read(&mut reader),
            host: reader.text(&["BOREALIS_HOST"]).unwrap_or("127.0.0.1").to_owned(),
            port: reader.parsed("BOREALIS_PORT", 5000, "a port number from 0 to 65535", |value| {
                value.parse().ok()
            }),
            tls: TlsMode::read(&mut reader),
            access_policy: AccessPolicy::read(&mut reader),
            trusted_proxies: reader.list(
                "BOREALIS_TRUSTED_PROXIES",
                "addresses or networks separated by commas, such as 10.0.0.1, 192.168.0.0/16",
                Network::parse,
            ),
            proxy_allow: reader.list(
                "BOREALIS_PROXY_ALLOW",
                "hosts, addresses or networks separated by commas, such as wiki.lan, 10.0.0.1, 192.168.0.0/16",
                Destination::parse,
            ),
            server_certificates: reader
                .path(&["BOREALIS_SERVER_CERT_ROOT"])
                .unwrap_or_else(|| certificates.join("Server")),
            tls_names: reader.list(
                "BOREALIS_TLS_NAMES",
                "host names and addresses separated by commas, such as borealis.example, 192.0.2.10",
                ServerName::parse,
            ),
            machine_name: reader.text(&["HOSTNAME"]).and_then(ServerName::parse),
            runtime: reader
                .path(&["BOREALIS_SERVER_ROOT"])
                .unwrap_or_else(|| project_root.join("Server").join("Borealis")),
            github: github::read(&mut reader, &root),
            cookies: CookieSettings::read(&mut reader),
            assumed_run_seconds: reader.whole_number(
                "BOREALIS_SIM_RUN_SECONDS",
                30,
                "a whole number of seconds",
            ),
            job_history_days: reader.whole_number("BOREALIS_JOB_HISTORY_DAYS", 30, "a whole number of days"),
            time_zone: reader.parsed(
                "TZ",
                TimeZone::UTC,
                "a time zone such as UTC, Europe/Berlin, MST7MDT or :/etc/localtime",
                time_zone,
            ),
            operator_token_ttl: match reader.text(&["BOREALIS_TOKEN_TTL_SECONDS"]) {
                None => Some(2_592_000),
                Some(value) => whole_seconds(value),
            },
            mfa_issuer: reader
                .text(&["BOREALIS_MFA_ISSUER"])
                .unwrap_or("Borealis")
                .to_owned(),
            playbook_environment: PLAYBOOK_ENVIRONMENT
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), variables.get(*name)?.clone())))
                .collect(),
            timing: Timing::default(),
            bounds: Bounds::default(),
            root,
        };
        reader.finish(settings)
    }

    /// The allowed origins that no browser ever sends, because they end with a slash.
    pub fn origins_with_a_slash(&self) -> impl Iterator<Item = &str> {
        self.cors_allowed_origins
            .iter()
            .map(String::as_str)
            .filter(|origin| origin.ends_with('/'))
    }

    /// Whether the host is an address of this machine alone.
    pub fn listens_on_loopback(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// What those may take who show no identity; `None` where nobody is asked for one.
    pub fn anonymous_bounds(&self) -> Option<AnonymousBounds> {
        match self.access_policy {
            AccessPolicy::Strict => Some(self.bounds.anonymous),
            AccessPolicy::Legacy => None,
        }
    }

    /// Where `/api/proxy` may go.
    pub fn proxy_reach(&self) -> Reach {
        match self.access_policy {
            AccessPolicy::Strict => Reach::PublicAnd(self.proxy_allow.clone().into()),
            AccessPolicy::Legacy => Reach::Anywhere,
        }
    }

    /// Whether the listener speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        match self.tls {
            TlsMode::On => true,
            TlsMode::Off => false,
            TlsMode::Auto => !self.listens_on_loopback(),
        }
    }

    /// Where the key that seals secrets may lie, in the order in which it is looked for. The legacy keeps it beside its
    /// program, which is in one folder when it is installed and in another when it is not.
    pub fn sealing_key_files(&self) -> [PathBuf; 2] {
        [
            self.new_sealing_key_file(),
            self.root.join("Server/Borealis/server_secret.key"),
        ]
    }

    /// Where the key that seals secrets is made when there is none.
    pub fn new_sealing_key_file(&self) -> PathBuf {
        self.root.join("Data/Server/server_secret.key")
    }

    /// How well the signing secret keeps others out. Blanks around a published one do not make it better.
    pub fn signing_secret_strength(&self) -> SecretStrength {
        self.session_secret.strength()
    }

    /// Whether stored passwords are sealed with a key that everybody knows.
    pub fn has_published_sealing_key(&self) -> bool {
        self.sealing_key.as_ref().is_some_and(FernetKey::is_published)
    }
}

/// Seconds as the legacy reads them, which takes `86_400`, too; more than there can be count as that many.
pub(super) fn whole_seconds(text: &str) -> Option<i64> {
    let seconds = integer_in(text)?;
    Some(seconds.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// A zone by its name, its rule, or the file that holds it.
fn time_zone(text: &str) -> Option<TimeZone> {
    let name = text.strip_prefix(':').unwrap_or(text);
    if Path::new(name).is_absolute() {
        return TimeZone::tzif(name, &std::fs::read(name).ok()?).ok();
    }
    // The zone files lie in this folder a second time, and the C library takes that name, too.
    let name = name.strip_prefix("posix/").unwrap_or(name);
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()
}

fn find_root(working_folder: &Path) -> PathBuf {
    working_folder
        .ancestors()
        .find(|folder| folder.join("Borealis.ps1").is_file() || folder.join("database.db").is_file())
        .unwrap_or(working_folder)
        .to_owned()
}

fn find_static_root(root: &Path) -> PathBuf {
    let candidates = [
        "Data/Server/web-interface/build",
        "Data/Server/WebUI/build",
        "Data/WebUI/build",
        "Server/web-interface/build",
        "Engine/web-interface/build",
        // Where the legacy finds it beside the folder of its own code, installed or in a checkout.
        "Data/web-interface/build",
        "Server/web-interface/dist",
        "Data/web-interface/dist",
    ];
    candidates
        .iter()
        .map(|candidate| root.join(candidate))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| root.join("Data/Server/web-interface/build"))
}

fn origins(list: &str) -> Vec<String> {
    let origins: Vec<String> = parts(list).map(str::to_owned).collect();
    if origins.iter().any(|origin| origin == "*") {
        Vec::new()
    } else {
        origins
    }
}

#[cfg(test)]
mod tests;
