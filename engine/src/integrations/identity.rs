//! The server's identity on disk: TLS certificate, code-signing key, token key and the keys that seal secrets, in the
//! legacy's places and formats. What is there is used byte for byte; what is missing is made.

mod certificate;
mod ed25519;
mod files;
pub mod sealing_key;
mod served;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;

pub use self::{
    certificate::{CertificateFiles, CertificateWarning, Description, Unverifiable},
    served::ServedCertificate,
};
use crate::{
    config::settings::Settings,
    domain::{clock::Clock, random::Random, server_name::ServerName},
    integrations::replacement::ReplacementError,
};

/// The identity that agents pin and whose signatures they trust.
#[derive(Debug)]
pub struct ServerIdentity {
    /// Where the TLS certificate and its key lie.
    pub certificate: CertificateFiles,
    /// Signs scripts.
    pub script_key: SigningKey,
    /// Signs device access tokens.
    pub token_key: SigningKey,
}

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, written or moved.
    #[error("cannot {action} {}: {source}; {}", path.display(), files::cure(source))]
    File {
        /// What was tried.
        action: &'static str,
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A key file holds no usable Ed25519 key. It is never replaced: agents know it.
    #[error("{} holds no unencrypted Ed25519 key in PKCS#8 PEM form: restore it from a backup", path.display())]
    UnreadableKey { path: PathBuf },
    /// The file of the sealing key holds something else. It is never replaced: what is sealed would be lost.
    #[error("{} holds no Fernet key (44 characters of base64): restore it from a backup", path.display())]
    UnreadableSealingKey { path: PathBuf },
    /// A certificate could not be made.
    #[error("cannot make the server's certificate: {0}")]
    Certificate(String),
    /// A file holds no certificate. It is never replaced by itself: agents may know what was there.
    #[error(
        "{} holds no certificate in PEM form: restore it from a backup; without one, `borealis-engine certificate \
         replace` makes a new identity, and agents have to enroll again",
        path.display()
    )]
    UnreadableCertificate { path: PathBuf },
    /// A file holds no key that can be used.
    #[error(
        "{} holds no private key that can be used (unencrypted, PEM): restore it from a backup; without one, \
         `borealis-engine certificate replace` makes a new identity, and agents have to enroll again",
        path.display()
    )]
    UnreadableTlsKey { path: PathBuf },
    /// The key of a certificate is not there.
    #[error(
        "{} is not there, but {} is: restore the key from a backup; without one, `borealis-engine certificate renew` \
         has the root issue a certificate for a new key, and `borealis-engine certificate replace` makes a new \
         identity, after which agents have to enroll again",
        key.display(),
        certificate.display()
    )]
    KeyMissing { key: PathBuf, certificate: PathBuf },
    /// Certificate and key are of different pairs.
    #[error(
        "{} and {} do not belong together ({reason}): restore both from the same backup. If only the bundle is wrong, \
         move it away and it is made from the certificate",
        certificate.display(),
        key.display()
    )]
    DoNotFit {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
    /// The root is there, its key is not.
    #[error(
        "a certificate has to be issued, and the root's key {} is not there: put it in its place for the time being, or \
         make a new identity with `borealis-engine certificate replace`, after which agents have to enroll again",
        key.display()
    )]
    RootKeyMissing { key: PathBuf },
    /// There is no root that could issue a certificate.
    #[error(
        "there is no root certificate {} that has not ended, so no certificate can be issued that agents accept as they \
         do the present one: `borealis-engine certificate replace` makes a new identity, and agents have to enroll again",
        path.display()
    )]
    NoRoot { path: PathBuf },
    /// The root is not the one that agents know.
    #[error(
        "{} is not in {}, so agents would not accept what it issues: `borealis-engine certificate replace` makes a new \
         identity, and agents have to enroll again",
        root.display(),
        bundle.display()
    )]
    OtherRoot {
        root: PathBuf,
        /// What agents know.
        bundle: PathBuf,
    },
    /// The certificate ended while it was in use, and no root is there to issue another.
    #[error(
        "{} ended {ended}, and no root is there to issue another: restore a certificate that is good, or start the \
         server again, which makes a new identity; agents that pin the old one have to enroll again then",
        path.display()
    )]
    Ended {
        path: PathBuf,
        /// When it ended.
        ended: Timestamp,
    },
    /// There is no certificate yet.
    #[error("there is no certificate {} yet: the first start makes it", path.display())]
    NoCertificate { path: PathBuf },
    /// Nothing got another name, unless it says so.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
}

impl ServerIdentity {
    /// Finds the identity under the root, or makes what is missing of it.
    ///
    /// # Errors
    /// A file that cannot be used; files that were there stay as they were.
    pub fn load_or_create(
        settings: &Settings,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, IdentityError> {
        let names = certificate_names(settings);
        let certificate = place(settings, &names, clock, random).load_or_create(&former(settings))?;
        let script_key = ed25519::load_or_create(&script_key_place(settings), random)?;
        let token_key = ed25519::load_or_create(&token_key_place(settings), random)?;
        Ok(Self {
            certificate,
            script_key,
            token_key,
        })
    }

    /// Looks at what [`ServerIdentity::load_or_create`] would find; changes nothing.
    pub fn inspect(settings: &Settings, clock: &dyn Clock, random: &dyn Random) -> IdentityState {
        let certificate = place(settings, &[], clock, random);
        IdentityState {
            certificate: certificate.inspect(&former(settings)),
            certificate_warnings: certificate.warnings(&settings.tls_names),
            script_key: ed25519::inspect(&script_key_place(settings)),
            token_key: ed25519::inspect(&token_key_place(settings)),
        }
    }
}

/// Warnings of a certificate that works.
pub fn certificate_warnings(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Vec<CertificateWarning> {
    place(settings, &[], clock, random).warnings(&settings.tls_names)
}

/// Describes the certificate that is served, for people.
///
/// # Errors
/// There is none, or it cannot be used.
pub fn describe_certificate(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Description, IdentityError> {
    place(settings, &[], clock, random).describe()
}

/// Has the root issue another certificate where the present one has ended; whether it did.
///
/// # Errors
/// A file cannot be used.
pub fn reissue_ended_certificate(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<bool, IdentityError> {
    let names = certificate_names(settings);
    place(settings, &names, clock, random).reissue_if_ended()
}

/// Has the root issue another certificate.
///
/// # Errors
/// There is no root that agents know and that can issue one; nothing was changed then.
pub fn renew_certificate(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(), IdentityError> {
    let names = certificate_names(settings);
    place(settings, &names, clock, random).renew()
}

/// Makes a new root and certificate; where the old files lie, which were set aside. `plan` is the file in which it is
/// written down meanwhile.
///
/// # Errors
/// A file cannot be renamed or written; everything is as it was then, unless it says otherwise.
pub fn replace_certificate(
    settings: &Settings,
    plan: &Path,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<PathBuf>, IdentityError> {
    let names = certificate_names(settings);
    place(settings, &names, clock, random).replace(plan)
}

/// The files that are for the server's user alone, whether they are there or not.
pub fn private_files(settings: &Settings) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = certificate::KEYS
        .iter()
        .map(|name| settings.server_certificates.join(name))
        .collect();
    files.extend([script_key_place(settings).path, token_key_place(settings).path]);
    files.extend(settings.sealing_key_files());
    files
}

/// A file of the identity, or of the keys that seal secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityFile {
    /// What it is called in backups, wherever the settings have it.
    pub name: String,
    pub path: PathBuf,
}

/// All of them, whether they are there or not, those in former places included: which of them counts is for the start
/// to decide.
pub fn all_files(settings: &Settings) -> Vec<IdentityFile> {
    let mut files: Vec<IdentityFile> = Vec::new();
    let mut add = |part: &str, folder: &Path, path: PathBuf| {
        if let Ok(below) = path.strip_prefix(folder) {
            let name = format!("{part}/{}", below.display());
            files.push(IdentityFile { name, path });
        }
    };
    let (certificates, runtime) = (&settings.server_certificates, &settings.runtime);
    for name in certificate::FILES {
        add("certificates", certificates, certificates.join(name));
        add("runtime", runtime, former(settings).join(name));
    }
    for key in [script_key_place(settings), token_key_place(settings)] {
        for path in key.former.into_iter().chain([key.path]) {
            let public = key.public_copy.then(|| path.with_extension("pub"));
            for path in [path].into_iter().chain(public) {
                add("certificates", certificates, path.clone());
                // Where one folder lies in the other, the inner one's name is enough.
                if !path.starts_with(certificates) {
                    add("runtime", runtime, path);
                }
            }
        }
    }
    for path in settings.sealing_key_files() {
        add("root", &settings.root, path);
    }
    files
}

fn place<'a>(
    settings: &'a Settings,
    names: &'a [ServerName],
    clock: &'a dyn Clock,
    random: &'a dyn Random,
) -> certificate::Place<'a> {
    certificate::Place {
        folder: &settings.server_certificates,
        names,
        clock,
        random,
    }
}

/// Where older versions kept the certificate.
fn former(settings: &Settings) -> PathBuf {
    settings.runtime.join("certs")
}

/// The names of a certificate that is made, beside the machine's own: its host name and what the setting lists.
fn certificate_names(settings: &Settings) -> Vec<ServerName> {
    settings
        .machine_name
        .iter()
        .chain(&settings.tls_names)
        .cloned()
        .collect()
}

/// What lies on disk of the identity.
#[derive(Debug)]
pub struct IdentityState {
    /// The TLS certificate and its key.
    pub certificate: PartState,
    /// Warnings of a certificate that works.
    pub certificate_warnings: Vec<CertificateWarning>,
    /// The key that signs scripts.
    pub script_key: PartState,
    /// The key that signs device access tokens.
    pub token_key: PartState,
}

/// What a start would find of one part of the identity.
#[derive(Debug)]
pub enum PartState {
    /// It is there and can be used.
    Present(PathBuf),
    /// It lies where older versions kept it, and would be moved.
    Former {
        /// Where it lies.
        from: PathBuf,
        /// Where it would go.
        to: PathBuf,
    },
    /// One of its files is not there, and would be made from the others.
    Incomplete(PathBuf),
    /// It is not there, and would be made.
    Missing(PathBuf),
    /// A certificate that has ended, and would be replaced.
    Expired {
        path: PathBuf,
        /// When it ended.
        ended: Timestamp,
        /// Whether its root issues the next one, which agents accept as they did this one.
        reissued: bool,
    },
    /// It is there and keeps the server from starting.
    Unusable(IdentityError),
}

fn script_key_place(settings: &Settings) -> ed25519::KeyPlace {
    let runtime: &Path = &settings.runtime;
    ed25519::KeyPlace {
        path: settings
            .server_certificates
            .join("Code-Signing/borealis-script-ed25519.key"),
        former: vec![
            runtime.join("script_signing_keys/borealis-script-ed25519.key"),
            runtime.join("keys/borealis-script-ed25519.key"),
        ],
        public_copy: true,
    }
}

fn token_key_place(settings: &Settings) -> ed25519::KeyPlace {
    let runtime: &Path = &settings.runtime;
    ed25519::KeyPlace {
        path: runtime.join("auth_keys/borealis-jwt-ed25519.key"),
        former: vec![runtime.join("keys/borealis-jwt-ed25519.key")],
        public_copy: false,
    }
}

#[cfg(test)]
mod tests;
