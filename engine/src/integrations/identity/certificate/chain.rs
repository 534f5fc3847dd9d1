//! A certificate with those behind it, as a PEM file holds them, and what agents make of it.

use std::fmt;

use jiff::Timestamp;
use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName, name::GeneralName},
    time::Time,
};

use crate::domain::server_name::ServerName;

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// The server's certificate and those that stand behind it in the file.
#[derive(Clone, Debug)]
pub(in super::super) struct Chain {
    pub(super) leaf: Certificate,
    others: Vec<Certificate>,
}

/// Why an agent that trusts the bundle alone cannot verify the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unverifiable {
    /// The bundle does not lead to a root.
    NoRoot {
        /// Who issued the last certificate that it leads to.
        issuer: String,
    },
    /// A certificate behind the server's own has ended.
    Ended { subject: String },
    /// The certificate is not for servers.
    NotForServers,
}

impl fmt::Display for Unverifiable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoot { issuer } => {
                write!(
                    formatter,
                    "its issuer ({issuer}) is no root certificate that the bundle holds"
                )
            }
            Self::Ended { subject } => write!(formatter, "the certificate of {subject} has ended"),
            Self::NotForServers => write!(formatter, "its extended key usage does not allow servers"),
        }
    }
}

impl Chain {
    /// Reads the certificates of a PEM text, which may hold other things beside them. `None` where it holds none, or
    /// one that is no X.509 certificate.
    pub(in super::super) fn read(pem: &[u8]) -> Option<Self> {
        let mut certificates = CertificateDer::pem_slice_iter(pem)
            .map(|der| Certificate::from_der(&der.ok()?).ok())
            .collect::<Option<Vec<_>>>()?
            .into_iter();
        Some(Self {
            leaf: certificates.next()?,
            others: certificates.collect(),
        })
    }

    /// When the server's own certificate ends.
    pub(in super::super) fn ends(&self) -> Timestamp {
        moment(&self.leaf.tbs_certificate().validity().not_after)
    }

    /// Whether the server's own certificate is issued by itself or by what this server and the legacy call themselves.
    pub(in super::super) fn is_self_made(&self) -> bool {
        let certificate = self.leaf.tbs_certificate();
        let issuer = certificate.issuer();
        let is_ours = |part: &str| part == "O=Borealis" || part.starts_with("CN=Borealis ");
        issuer == certificate.subject() || issuer.to_string().split(',').any(is_ours)
    }

    /// Since when the server's own certificate is valid.
    pub(super) fn begins(&self) -> Timestamp {
        moment(&self.leaf.tbs_certificate().validity().not_before)
    }

    /// Whether the file holds this certificate.
    pub(super) fn holds(&self, certificate: &Certificate) -> bool {
        self.leaf == *certificate || self.others.contains(certificate)
    }

    /// Whether a client that trusts what the file holds and nothing else can verify the server's certificate at
    /// `now`, in the way of Python's default: up to a root that is its own issuer.
    pub(super) fn verify(&self, now: Timestamp) -> Result<(), Unverifiable> {
        let usage = self.leaf.tbs_certificate().get_extension::<ExtendedKeyUsage>();
        if let Ok(Some((_, ExtendedKeyUsage(usages)))) = usage
            && !usages
                .iter()
                .any(|usage| [SERVER_AUTH, ANY_USAGE].contains(usage))
        {
            return Err(Unverifiable::NotForServers);
        }
        let mut current = &self.leaf;
        for _ in 0..=self.others.len() {
            let body = current.tbs_certificate();
            let no_root = || Unverifiable::NoRoot {
                issuer: body.issuer().to_string(),
            };
            if body.issuer() == body.subject() && is_signed_by(current, current) {
                return Ok(());
            }
            let issuer = self.others.iter().find(|candidate| {
                candidate.tbs_certificate().subject() == body.issuer()
                    && is_authority(candidate)
                    && is_signed_by(current, candidate)
            });
            current = issuer.ok_or_else(no_root)?;
            if moment(&current.tbs_certificate().validity().not_after) <= now {
                return Err(Unverifiable::Ended {
                    subject: current.tbs_certificate().subject().to_string(),
                });
            }
        }
        Err(Unverifiable::NoRoot {
            issuer: current.tbs_certificate().issuer().to_string(),
        })
    }

    /// The names for which the server's certificate is good, as they are listed.
    pub(super) fn names(&self) -> Vec<ListedName> {
        let listed = self.leaf.tbs_certificate().get_extension::<SubjectAltName>();
        let Ok(Some((_, SubjectAltName(names)))) = listed else {
            return Vec::new();
        };
        names.iter().filter_map(ListedName::of).collect()
    }

    /// Of `names` those that the server's certificate does not list.
    pub(super) fn lacks<'a>(&self, names: &'a [ServerName]) -> Vec<&'a ServerName> {
        let listed = self.names();
        let has = |name: &ServerName| {
            listed.iter().any(|one| match (one, name) {
                (ListedName::Dns(listed), ServerName::Dns(name)) => listed.eq_ignore_ascii_case(name),
                (ListedName::Address(listed), ServerName::Address(name)) => listed == name,
                _ => false,
            })
        };
        names.iter().filter(|name| !has(name)).collect()
    }

    /// SHA-256 over the server's certificate, as tools print it.
    pub(super) fn fingerprint(&self) -> String {
        let der = self.leaf.to_der().unwrap_or_default();
        Sha256::digest(der)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<Vec<_>>()
            .join(":")
    }
}

/// A name as a certificate lists it: an address may stand among the host names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ListedName {
    Dns(String),
    Address(std::net::IpAddr),
}

impl ListedName {
    fn of(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => Some(Self::Dns(name.to_string())),
            GeneralName::IpAddress(bytes) => {
                let bytes = bytes.as_bytes();
                let address = <[u8; 4]>::try_from(bytes)
                    .map(std::net::IpAddr::from)
                    .or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
                address.ok().map(Self::Address)
            }
            _ => None,
        }
    }
}

impl fmt::Display for ListedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(formatter, "DNS:{name}"),
            Self::Address(address) => write!(formatter, "IP:{address}"),
        }
    }
}

/// When a certificate's time is.
pub(super) fn moment(time: &Time) -> Timestamp {
    i64::try_from(time.to_unix_duration().as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

fn is_authority(certificate: &Certificate) -> bool {
    matches!(
        certificate.tbs_certificate().get_extension::<BasicConstraints>(),
        Ok(Some((_, BasicConstraints { ca: true, .. })))
    )
}

/// Whether the signature of `certificate` was made with the key of `issuer`.
pub(super) fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let key = issuer.tbs_certificate().subject_public_key_info();
    let (Ok(message), Some(key), Some(signature)) = (
        certificate.tbs_certificate().to_der(),
        key.subject_public_key.as_bytes(),
        certificate.signature().as_bytes(),
    ) else {
        return false;
    };
    // An algorithm that is not the signature's own, or not the key's, verifies nothing.
    default_provider()
        .signature_verification_algorithms
        .all
        .iter()
        .any(|algorithm| algorithm.verify_signature(key, &message, signature).is_ok())
}
