//! Makes the root certificate authority and the server certificates that it issues.

use std::{collections::HashSet, net::IpAddr, str::FromStr as _, time::Duration};

use jiff::Timestamp;
use p384::{
    SecretKey,
    ecdsa::SigningKey,
    pkcs8::{DecodePrivateKey as _, LineEnding},
};
use x509_cert::{
    Certificate,
    builder::{Builder as _, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        DateTime, EncodePem as _,
        asn1::{GeneralizedTime, Ia5String, OctetString, UtcTime},
        oid::ObjectIdentifier,
        referenced::OwnedToRef as _,
    },
    ext::{
        Extension, ToExtension as _,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use crate::domain::{
    random::{Random, random_bytes},
    server_name::ServerName,
};

// RFC 4514 writes the last name first.
const ROOT_NAME: &str = "O=Borealis,CN=Borealis Root CA";
const LEAF_NAME: &str = "O=Borealis,CN=Borealis Server";
const DAY: Duration = Duration::from_secs(86_400);
const ROOT_LIFETIME: Duration = Duration::from_secs(36_500 * 86_400);
const LEAF_LIFETIME: Duration = Duration::from_secs(5 * 365 * 86_400);
/// Clocks differ: a certificate is valid a little before it is made.
const CLOCK_SKEW: Duration = Duration::from_secs(300);
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// Why nothing could be made.
pub(super) type IssueError = Box<dyn std::error::Error + Send + Sync>;

/// A certificate authority: its certificate and the key that signs with it.
pub(super) struct Root {
    pub(super) certificate: Certificate,
    pub(super) key: SecretKey,
}

pub(super) fn new_key(random: &dyn Random) -> SecretKey {
    loop {
        // All but a vanishing share of 48 byte numbers are keys of the curve.
        if let Ok(key) = SecretKey::from_slice(&random_bytes::<48>(random)) {
            return key;
        }
    }
}

/// A P-384 key in PEM form, SEC1 or PKCS#8.
pub(super) fn read_key(pem: &[u8]) -> Option<SecretKey> {
    let pem = std::str::from_utf8(pem).ok()?.trim();
    SecretKey::from_sec1_pem(pem)
        .ok()
        .or_else(|| SecretKey::from_pkcs8_pem(pem).ok())
}

/// The key in SEC1 PEM form.
pub(super) fn key_pem(key: &SecretKey) -> Result<String, IssueError> {
    Ok(key.to_sec1_pem(LineEnding::LF)?.to_string())
}

/// The certificate in PEM form.
pub(super) fn certificate_pem(certificate: &Certificate) -> Result<String, IssueError> {
    Ok(certificate.to_pem(LineEnding::LF)?)
}

impl Root {
    /// Makes the certificate of an authority whose key this is.
    pub(super) fn make(key: SecretKey, now: Timestamp, random: &dyn Random) -> Result<Self, IssueError> {
        let name = Name::from_str(ROOT_NAME)?;
        let now = since_epoch(now)?;
        let signer = SigningKey::from(&key);
        let profile = RootProfile { name };
        let validity = validity(now, now + ROOT_LIFETIME)?;
        let certificate = sign(profile, &key, &signer, validity, random)?;
        Ok(Self { certificate, key })
    }

    /// Issues the server's certificate for `key`, for the machine itself and `names`.
    pub(super) fn issue(
        &self,
        key: &SecretKey,
        names: &[ServerName],
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Certificate, IssueError> {
        let now = since_epoch(now)?;
        let body = self.certificate.tbs_certificate();
        let last = body.validity().not_after.to_unix_duration().saturating_sub(DAY);
        let key_id = match body.get_extension::<SubjectKeyIdentifier>()? {
            Some((_, SubjectKeyIdentifier(id))) => id,
            None => {
                let key = SubjectPublicKeyInfo::from_key(SigningKey::from(&self.key).verifying_key())?;
                SubjectKeyIdentifier::try_from(key.owned_to_ref())?.0
            }
        };
        let profile = LeafProfile {
            name: Name::from_str(LEAF_NAME)?,
            issuer: body.subject().clone(),
            issuer_key_id: key_id,
            alternatives: alternatives(names)?,
        };
        let validity = validity(now, last.min(now + LEAF_LIFETIME))?;
        sign(profile, key, &SigningKey::from(&self.key), validity, random)
    }
}

fn sign(
    profile: impl BuilderProfile,
    key: &SecretKey,
    signer: &SigningKey,
    validity: Validity,
    random: &dyn Random,
) -> Result<Certificate, IssueError> {
    // A serial is a positive number of at most twenty bytes.
    let mut serial = random_bytes::<20>(random);
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    let builder = CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial)?,
        validity,
        SubjectPublicKeyInfo::from_key(SigningKey::from(key).verifying_key())?,
    )?;
    // A P-384 key signs with SHA-384.
    Ok(builder.build::<_, p384::ecdsa::DerSignature>(signer)?)
}

struct RootProfile {
    name: Name,
}

impl BuilderProfile for RootProfile {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        _certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let constraints = BasicConstraints {
            ca: true,
            path_len_constraint: None,
        };
        let usages = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign;
        Ok(vec![
            constraints.to_extension(&self.name, &[])?,
            KeyUsage(usages).to_extension(&self.name, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(&self.name, &[])?,
            AuthorityKeyIdentifier::try_from(issuer_key)?.to_extension(&self.name, &[])?,
        ])
    }
}

struct LeafProfile {
    name: Name,
    issuer: Name,
    issuer_key_id: OctetString,
    alternatives: Vec<GeneralName>,
}

impl BuilderProfile for LeafProfile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let constraints = BasicConstraints {
            ca: false,
            path_len_constraint: None,
        };
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(self.issuer_key_id.clone()),
            ..AuthorityKeyIdentifier::default()
        };
        Ok(vec![
            constraints.to_extension(&self.name, &[])?,
            KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(&self.name, &[])?,
            ExtendedKeyUsage(vec![SERVER_AUTH]).to_extension(&self.name, &[])?,
            SubjectAltName(self.alternatives.clone()).to_extension(&self.name, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(&self.name, &[])?,
            authority.to_extension(&self.name, &[])?,
        ])
    }
}

/// The legacy's names, which has the two addresses among the host names; the addresses as what they are; the others.
fn alternatives(names: &[ServerName]) -> Result<Vec<GeneralName>, IssueError> {
    let mut alternatives = Vec::new();
    for name in ["localhost", "127.0.0.1", "::1"] {
        alternatives.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    let own = ["127.0.0.1", "::1"].into_iter().filter_map(ServerName::parse);
    let mut seen = HashSet::from([ServerName::Dns("localhost".to_owned())]);
    for name in own.chain(names.iter().cloned()) {
        if seen.contains(&name) {
            continue;
        }
        alternatives.push(match &name {
            ServerName::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
            ServerName::Address(IpAddr::V4(address)) => {
                GeneralName::IpAddress(OctetString::new(address.octets())?)
            }
            ServerName::Address(IpAddr::V6(address)) => {
                GeneralName::IpAddress(OctetString::new(address.octets())?)
            }
        });
        seen.insert(name);
    }
    Ok(alternatives)
}

fn since_epoch(time: Timestamp) -> Result<Duration, IssueError> {
    Ok(Duration::from_secs(u64::try_from(time.as_second())?))
}

fn validity(now: Duration, until: Duration) -> Result<Validity, IssueError> {
    Ok(Validity::new(time(now.saturating_sub(CLOCK_SKEW))?, time(until)?))
}

fn time(moment: Duration) -> Result<Time, x509_cert::der::Error> {
    // UTCTime ends with the year 2049.
    let moment = DateTime::from_unix_duration(moment)?;
    Ok(if moment.year() < 2050 {
        Time::UtcTime(UtcTime::from_date_time(moment)?)
    } else {
        Time::GeneralTime(GeneralizedTime::from_date_time(moment))
    })
}
