//! The TLS certificate, its key, the bundle that agents pin, and the root that issued it.
//!
//! What is there and works is used as it is. Only what is missing is made, and only what has ended is replaced: by a
//! certificate of the same root where there is one, else by a new identity, the old files being set aside first. The
//! order in which files are written lets a start that was cut short be completed by the next one.
//!
//! Long because what is found, completed, replaced and made are steps over the same few files, whose order is the
//! point.

mod chain;
mod issue;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use p384::SecretKey;
use x509_cert::Certificate;

pub(super) use self::chain::Chain;
pub use self::chain::Unverifiable;
use self::issue::{IssueError, Root};
use super::{IdentityError, PartState, files};
use crate::{
    domain::{clock::Clock, random::Random, server_name::ServerName},
    integrations::{
        private_files::narrow,
        replacement::{self, Change},
        tls,
    },
};

const CERTIFICATE: &str = "borealis-server-cert.pem";
const KEY: &str = "borealis-server-key.pem";
const BUNDLE: &str = "borealis-server-bundle.pem";
const ROOT_CERTIFICATE: &str = "borealis-root-ca.pem";
const ROOT_KEY: &str = "borealis-root-ca-key.pem";
/// The private keys.
pub(super) const KEYS: [&str; 2] = [KEY, ROOT_KEY];
/// All of them.
pub(super) const FILES: [&str; 5] = [CERTIFICATE, KEY, BUNDLE, ROOT_CERTIFICATE, ROOT_KEY];

/// How long before its end a certificate is warned of.
const WARNED_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where the certificate's parts lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    pub key: PathBuf,
    /// The chain that is served, and that agents pin.
    pub bundle: PathBuf,
}

/// What the certificate is made from and for.
pub(super) struct Place<'a> {
    /// The folder of the certificate's files.
    pub(super) folder: &'a Path,
    /// Further names for a certificate that is made.
    pub(super) names: &'a [ServerName],
    pub(super) clock: &'a dyn Clock,
    pub(super) random: &'a dyn Random,
}

/// What lies in the folder.
enum Found {
    /// Neither certificate nor bundle; perhaps a key that a start left which was cut short.
    Nothing { key: Option<SecretKey> },
    /// Certificate, bundle and key belong together.
    Identity(Box<Identity>),
}

/// A certificate that belongs to its key.
struct Identity {
    /// What is served: the bundle, else the certificate's file.
    served: Chain,
    /// When the first of the server's certificates in both files ends.
    ends: Timestamp,
    /// The file that is not there.
    missing: Option<&'static str>,
}

/// Warnings of an identity that works.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateWarning {
    /// Agents that trust the bundle alone cannot verify it.
    Unverifiable(Unverifiable),
    EndsSoon {
        ends: Timestamp,
    },
    /// It lacks names that the settings list.
    LacksNames(Vec<String>),
}

impl std::fmt::Display for CertificateWarning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unverifiable(reason) => write!(
                formatter,
                "agents that verify certificates get no connection, because this one cannot be verified with the bundle \
                 that they pin: {reason}. It is kept; `borealis-engine certificate replace` makes one that they can \
                 verify and says what they need then"
            ),
            Self::EndsSoon { ends } => write!(
                formatter,
                "the server's certificate ends {ends}: `borealis-engine certificate renew` issues one that agents accept \
                 as they do this one"
            ),
            Self::LacksNames(names) => write!(
                formatter,
                "the server's certificate lacks names of BOREALIS_TLS_NAMES ({}): `borealis-engine certificate renew` \
                 issues one that has them",
                names.join(", ")
            ),
        }
    }
}

impl Place<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn files(&self) -> CertificateFiles {
        CertificateFiles {
            key: self.path(KEY),
            bundle: self.path(BUNDLE),
        }
    }

    /// Finds a certificate that is still good, or makes what is missing of it.
    pub(super) fn load_or_create(&self, former: &Path) -> Result<CertificateFiles, IdentityError> {
        if !(self.path(CERTIFICATE).is_file() && self.path(KEY).is_file()) && is_complete(former) {
            for name in [CERTIFICATE, KEY, BUNDLE] {
                if !self.path(name).is_file() {
                    files::take_over(&former.join(name), &self.path(name))?;
                }
            }
        }
        match self.find()? {
            Found::Nothing { key } => {
                self.make(key.as_ref())?;
                tracing::info!(
                    "made a certificate for the server: {}",
                    self.path(BUNDLE).display()
                );
            }
            Found::Identity(identity) if identity.ends <= self.clock.now() => {
                if self.reissue_ended(&identity)? {
                    tracing::warn!(
                        "the server's certificate ended {}; its root has issued a new one, which agents accept as they \
                         did the old one",
                        identity.ends
                    );
                } else {
                    let aside = self.set_aside(&[CERTIFICATE, BUNDLE, KEY])?;
                    self.make(None)?;
                    tracing::error!(
                        "the server's certificate ended {} and no root is there to issue another: a new identity was \
                         made, and agents that pin the old one have to enroll again. The old files are {}",
                        identity.ends,
                        shown(&aside)
                    );
                }
            }
            Found::Identity(identity) => self.complete(&identity)?,
        }
        Ok(self.files())
    }

    /// What [`Place::load_or_create`] would find; changes nothing.
    pub(super) fn inspect(&self, former: &Path) -> PartState {
        let to = self.path(CERTIFICATE);
        let complete = self.path(CERTIFICATE).is_file() && self.path(KEY).is_file();
        let place = if !complete && is_complete(former) {
            Place {
                folder: former,
                ..*self
            }
        } else {
            Place { ..*self }
        };
        match place.find() {
            Err(error) => PartState::Unusable(error),
            Ok(Found::Nothing { .. }) => PartState::Missing(to),
            Ok(Found::Identity(identity)) if identity.ends <= self.clock.now() => {
                match place.issuing_root(&identity.served) {
                    Err(error) => PartState::Unusable(error),
                    Ok(root) => PartState::Expired {
                        path: place.path(CERTIFICATE),
                        ended: identity.ends,
                        reissued: root.is_some(),
                    },
                }
            }
            Ok(Found::Identity(identity)) if place.folder == self.folder => match identity.missing {
                Some(name) => PartState::Incomplete(self.path(name)),
                None => PartState::Present(to),
            },
            Ok(Found::Identity(_)) => PartState::Former {
                from: place.path(CERTIFICATE),
                to,
            },
        }
    }

    /// Warnings of a certificate that works.
    pub(super) fn warnings(&self, listed: &[ServerName]) -> Vec<CertificateWarning> {
        let now = self.clock.now();
        let Ok(Found::Identity(identity)) = self.find() else {
            return Vec::new();
        };
        if identity.ends <= now {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        if let Err(reason) = identity.served.verify(now) {
            warnings.push(CertificateWarning::Unverifiable(reason));
        }
        if identity.ends <= now.saturating_add(WARNED_AHEAD).unwrap_or(Timestamp::MAX) {
            warnings.push(CertificateWarning::EndsSoon { ends: identity.ends });
        }
        let lacks = identity.served.lacks(listed);
        if !lacks.is_empty() {
            warnings.push(CertificateWarning::LacksNames(
                lacks.into_iter().map(ToString::to_string).collect(),
            ));
        }
        warnings
    }

    /// Has the root issue another certificate where the present one has ended; whether it did. Files that are being
    /// changed and do not fit at the moment count as not ended.
    pub(super) fn reissue_if_ended(&self) -> Result<bool, IdentityError> {
        match self.find() {
            Ok(Found::Identity(identity)) if identity.ends <= self.clock.now() => {
                if self.reissue_ended(&identity)? {
                    return Ok(true);
                }
                Err(IdentityError::Ended {
                    path: self.path(CERTIFICATE),
                    ended: identity.ends,
                })
            }
            _ => Ok(false),
        }
    }

    /// Describes the certificate that is served, for people.
    pub(super) fn describe(&self) -> Result<Description, IdentityError> {
        let certificate = self.path(CERTIFICATE);
        let Found::Identity(identity) = self.find()? else {
            return Err(IdentityError::NoCertificate { path: certificate });
        };
        let now = self.clock.now();
        let chain = &identity.served;
        let body = chain.leaf.tbs_certificate();
        Ok(Description {
            files: self.files(),
            subject: body.subject().to_string(),
            issuer: body.issuer().to_string(),
            names: chain.names().iter().map(ToString::to_string).collect(),
            begins: chain.begins(),
            ends: chain.ends(),
            ended: chain.ends() <= now,
            fingerprint: chain.fingerprint(),
            verifiable: chain.verify(now),
            has_root: self.issuing_root(chain).is_ok_and(|root| root.is_some()),
        })
    }

    /// Has the root issue another certificate for the same key.
    pub(super) fn renew(&self) -> Result<(), IdentityError> {
        let now = self.clock.now();
        let root = self.read_root()?.filter(|root| ends(&root.certificate) > now);
        let Some(root) = root else {
            return Err(IdentityError::NoRoot {
                path: self.path(ROOT_CERTIFICATE),
            });
        };
        let pinned = files::read(&self.path(BUNDLE))?.and_then(|pem| Chain::read(&pem));
        if pinned.is_some_and(|bundle| !bundle.holds(&root.certificate)) {
            return Err(IdentityError::OtherRoot {
                root: self.path(ROOT_CERTIFICATE),
                bundle: self.path(BUNDLE),
            });
        }
        match files::read(&self.path(KEY))? {
            None => self.issue(&root, None),
            Some(pem) => match issue::read_key(&pem) {
                Some(key) => self.issue(&root, Some(&key)),
                None => Err(IdentityError::UnreadableTlsKey { path: self.path(KEY) }),
            },
        }
    }

    /// Sets every file aside and makes a new root and certificate; where the old files lie now. The new ones are whole
    /// before a name changes, and all names change or none: with half of them the next start would make a root that no
    /// agent knows.
    pub(super) fn replace(&self, plan: &Path) -> Result<Vec<PathBuf>, IdentityError> {
        let now = self.clock.now();
        let root = Root::make(issue::new_key(self.random), now, self.random).map_err(failed)?;
        let key = issue::new_key(self.random);
        let mut contents = vec![
            (ROOT_KEY, issue::key_pem(&root.key).map_err(failed)?),
            (
                ROOT_CERTIFICATE,
                issue::certificate_pem(&root.certificate).map_err(failed)?,
            ),
            (KEY, issue::key_pem(&key).map_err(failed)?),
        ];
        contents.extend(self.issued(&root, &key)?);
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut changes = Vec::new();
        let made = contents.iter().try_for_each(|(name, content)| {
            let path = self.path(name);
            let new = files::free_name(&path, "replacing", &time);
            changes.push(Change {
                aside: files::free_name(&path, "replaced", &time),
                new: Some(new.clone()),
                path,
            });
            files::write(&new, content.as_bytes())
        });
        let replaced = made.and_then(|()| Ok(replacement::replace(plan, &changes)?));
        // As long as there is a plan, what is ready is needed to tell what has been replaced by it.
        if replaced.is_err() && !plan.exists() {
            for new in changes.iter().filter_map(|change| change.new.as_ref()) {
                replacement::discard(new);
            }
        }
        let aside = replaced?;
        // A key is a secret there, too, and no start looks at it again.
        narrow(aside.iter().cloned());
        Ok(aside)
    }

    fn find(&self) -> Result<Found, IdentityError> {
        let (certificate_path, bundle_path, key_path) =
            (self.path(CERTIFICATE), self.path(BUNDLE), self.path(KEY));
        let certificate = files::read(&certificate_path)?;
        let bundle = files::read(&bundle_path)?;
        let key = files::read(&key_path)?;
        let Some(key) = key else {
            return match (certificate, bundle) {
                (None, None) => Ok(Found::Nothing { key: None }),
                (Some(_), _) => Err(IdentityError::KeyMissing {
                    key: key_path,
                    certificate: certificate_path,
                }),
                (None, Some(_)) => Err(IdentityError::KeyMissing {
                    key: key_path,
                    certificate: bundle_path,
                }),
            };
        };
        if certificate.is_none() && bundle.is_none() {
            return match issue::read_key(&key) {
                Some(key) => Ok(Found::Nothing { key: Some(key) }),
                None => Err(IdentityError::UnreadableTlsKey { path: key_path }),
            };
        }
        let read = |pem: &Option<Vec<u8>>, path: &Path| -> Result<Option<Chain>, IdentityError> {
            let Some(pem) = pem else { return Ok(None) };
            let unreadable = || IdentityError::UnreadableCertificate {
                path: path.to_owned(),
            };
            let chain = Chain::read(pem).ok_or_else(unreadable)?;
            match tls::server_config(pem, &key) {
                Ok(_) => Ok(Some(chain)),
                Err(tls::TlsError::Key(_)) => Err(IdentityError::UnreadableTlsKey {
                    path: key_path.clone(),
                }),
                Err(tls::TlsError::Certificate(_)) => Err(unreadable()),
                Err(tls::TlsError::Pair(reason)) => Err(IdentityError::DoNotFit {
                    certificate: path.to_owned(),
                    key: key_path.clone(),
                    reason,
                }),
            }
        };
        let chain = read(&certificate, &certificate_path)?;
        let bundle = read(&bundle, &bundle_path)?;
        let missing = match (&chain, &bundle) {
            (None, _) => Some(CERTIFICATE),
            (_, None) => Some(BUNDLE),
            _ => None,
        };
        let ends = [&chain, &bundle].into_iter().flatten().map(Chain::ends).min();
        let served = bundle.or(chain);
        let (Some(served), Some(ends)) = (served, ends) else {
            return Err(IdentityError::UnreadableCertificate {
                path: certificate_path,
            });
        };
        Ok(Found::Identity(Box::new(Identity {
            served,
            ends,
            missing,
        })))
    }

    /// Writes the one of certificate and bundle that is not there from the other.
    fn complete(&self, identity: &Identity) -> Result<(), IdentityError> {
        match identity.missing {
            None => Ok(()),
            Some(BUNDLE) => {
                let mut bundle = files::read(&self.path(CERTIFICATE))?.unwrap_or_default();
                let root = files::read(&self.path(ROOT_CERTIFICATE))?;
                let issuer = root.as_deref().and_then(Chain::read);
                if let (Some(root), Some(issuer)) = (root, issuer)
                    && !identity.served.holds(&issuer.leaf)
                    && chain::is_signed_by(&identity.served.leaf, &issuer.leaf)
                {
                    bundle.extend_from_slice(&root);
                }
                files::write(&self.path(BUNDLE), &bundle)
            }
            Some(name) => {
                let leaf = issue::certificate_pem(&identity.served.leaf).map_err(failed)?;
                files::write(&self.path(name), leaf.as_bytes())
            }
        }
    }

    fn reissue_ended(&self, identity: &Identity) -> Result<bool, IdentityError> {
        let Some(root) = self.issuing_root(&identity.served)? else {
            return Ok(false);
        };
        let key = files::read(&self.path(KEY))?.and_then(|pem| issue::read_key(&pem));
        self.issue(&root, key.as_ref())?;
        Ok(true)
    }

    /// The root that issued this certificate and can issue another; `None` where there is no such root.
    fn issuing_root(&self, chain: &Chain) -> Result<Option<Root>, IdentityError> {
        let Some(pem) = files::read(&self.path(ROOT_CERTIFICATE))? else {
            return Ok(None);
        };
        let unreadable = || IdentityError::UnreadableCertificate {
            path: self.path(ROOT_CERTIFICATE),
        };
        let certificate = Chain::read(&pem).ok_or_else(unreadable)?.leaf;
        if !chain::is_signed_by(&chain.leaf, &certificate) || ends(&certificate) <= self.clock.now() {
            return Ok(None);
        }
        self.read_root()
    }

    /// The root, where its certificate is there.
    fn read_root(&self) -> Result<Option<Root>, IdentityError> {
        let (certificate_path, key_path) = (self.path(ROOT_CERTIFICATE), self.path(ROOT_KEY));
        let Some(pem) = files::read(&certificate_path)? else {
            return Ok(None);
        };
        let Some(key_pem) = files::read(&key_path)? else {
            return Err(IdentityError::RootKeyMissing { key: key_path });
        };
        let Some(chain) = Chain::read(&pem) else {
            return Err(IdentityError::UnreadableCertificate {
                path: certificate_path,
            });
        };
        let Some(key) = issue::read_key(&key_pem) else {
            return Err(IdentityError::UnreadableTlsKey { path: key_path });
        };
        match tls::server_config(&pem, &key_pem) {
            Ok(_) => Ok(Some(Root {
                certificate: chain.leaf,
                key,
            })),
            Err(error) => Err(IdentityError::DoNotFit {
                certificate: certificate_path,
                key: key_path,
                reason: error.to_string(),
            }),
        }
    }

    /// Makes what is missing: root, key, certificate and bundle, in this order.
    fn make(&self, key: Option<&SecretKey>) -> Result<(), IdentityError> {
        let root = match self.read_root()? {
            Some(root) if ends(&root.certificate) > self.clock.now() => root,
            ended => {
                if ended.is_some() {
                    self.set_aside(&[ROOT_CERTIFICATE, ROOT_KEY])?;
                }
                self.make_root()?
            }
        };
        self.issue(&root, key)
    }

    fn make_root(&self) -> Result<Root, IdentityError> {
        let path = self.path(ROOT_KEY);
        let key = match files::read(&path)? {
            // A start that was cut short left it.
            Some(pem) => issue::read_key(&pem).ok_or(IdentityError::UnreadableTlsKey { path })?,
            None => {
                let key = issue::new_key(self.random);
                let pem = issue::key_pem(&key).map_err(failed)?;
                files::write(&path, pem.as_bytes())?;
                key
            }
        };
        let root = Root::make(key, self.clock.now(), self.random).map_err(failed)?;
        let pem = issue::certificate_pem(&root.certificate).map_err(failed)?;
        files::write(&self.path(ROOT_CERTIFICATE), pem.as_bytes())?;
        Ok(root)
    }

    /// Has the root issue a certificate for `key`, else for a new one, and writes it and the bundle. As long as the key
    /// stays, both files fit it at every moment.
    fn issue(&self, root: &Root, key: Option<&SecretKey>) -> Result<(), IdentityError> {
        let made;
        let key = match key {
            Some(key) => key,
            None => {
                made = issue::new_key(self.random);
                let pem = issue::key_pem(&made).map_err(failed)?;
                files::write(&self.path(KEY), pem.as_bytes())?;
                &made
            }
        };
        for (name, content) in self.issued(root, key)? {
            files::write(&self.path(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// The certificate that the root issues for `key`, and the bundle.
    fn issued(&self, root: &Root, key: &SecretKey) -> Result<[(&'static str, String); 2], IdentityError> {
        let leaf = root
            .issue(key, self.names, self.clock.now(), self.random)
            .map_err(failed)?;
        let leaf = issue::certificate_pem(&leaf).map_err(failed)?;
        let root = issue::certificate_pem(&root.certificate).map_err(failed)?;
        let bundle = format!("{leaf}{root}");
        Ok([(CERTIFICATE, leaf), (BUNDLE, bundle)])
    }

    /// Gives files that are there another name, with the time in it; which names they have now.
    fn set_aside(&self, names: &[&str]) -> Result<Vec<PathBuf>, IdentityError> {
        let time = self.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut aside = Vec::new();
        for name in names {
            let path = self.path(name);
            if path.is_file() {
                aside.push(files::set_aside(&path, &time)?);
            }
        }
        Ok(aside)
    }
}

/// Describes the certificate that is served, for people.
#[derive(Debug)]
pub struct Description {
    /// Where it lies.
    pub files: CertificateFiles,
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The names that it lists, with their kinds.
    pub names: Vec<String>,
    /// Since when it is valid.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Whether it has ended.
    pub ended: bool,
    /// SHA-256 of it.
    pub fingerprint: String,
    /// Whether agents that pin the bundle can verify it.
    pub verifiable: Result<(), Unverifiable>,
    /// Whether the root that issued it lies beside it and can issue another.
    pub has_root: bool,
}

fn is_complete(folder: &Path) -> bool {
    folder.join(CERTIFICATE).is_file() && folder.join(KEY).is_file()
}

fn ends(certificate: &Certificate) -> Timestamp {
    chain::moment(&certificate.tbs_certificate().validity().not_after)
}

#[allow(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn failed(error: IssueError) -> IdentityError {
    IdentityError::Certificate(error.to_string())
}

/// Paths in a sentence.
pub(super) fn shown(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
