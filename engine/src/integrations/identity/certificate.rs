//! The TLS certificate, its key, and the bundle that agents pin.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use jiff::Timestamp;
use p384::{SecretKey, ecdsa::SigningKey, pkcs8::LineEnding};
use x509_cert::{
    Certificate,
    builder::{Builder as _, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        DateTime, DecodePem as _, EncodePem as _,
        asn1::{GeneralizedTime, Ia5String, UtcTime},
    },
    ext::{
        Extension, ToExtension as _,
        pkix::{BasicConstraints, SubjectAltName, name::GeneralName},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use super::{
    IdentityError, PartState,
    files::{self, Access},
};
use crate::domain::{
    clock::Clock,
    random::{Random, random_bytes},
};

const CERTIFICATE: &str = "borealis-server-cert.pem";
const KEY: &str = "borealis-server-key.pem";
const BUNDLE: &str = "borealis-server-bundle.pem";
const LIFETIME_DAYS: u64 = 36_500;

/// Where the certificate's parts lie.
pub(super) struct CertificateFiles {
    pub(super) key: PathBuf,
    pub(super) bundle: PathBuf,
}

/// Finds a certificate that is still good, or makes a new one.
pub(super) fn load_or_create(
    folder: &Path,
    former: &Path,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<CertificateFiles, IdentityError> {
    let (certificate, key, bundle) = (folder.join(CERTIFICATE), folder.join(KEY), folder.join(BUNDLE));
    if !(certificate.is_file() && key.is_file())
        && former.join(CERTIFICATE).is_file()
        && former.join(KEY).is_file()
    {
        for (name, path, access) in [
            (CERTIFICATE, &certificate, Access::Private),
            (KEY, &key, Access::Private),
            (BUNDLE, &bundle, Access::Public),
        ] {
            if !path.is_file() {
                files::take_over(&former.join(name), path, access)?;
            }
        }
    }
    let now = clock.now();
    let good = key.is_file()
        && files::read(&certificate)?.is_some_and(|pem| expires_at(&pem).is_some_and(|expiry| expiry > now));
    if !good {
        let made = make(now, random).map_err(|error| IdentityError::Certificate(error.to_string()))?;
        files::write(&key, made.key.as_bytes(), Access::Private)?;
        files::write(&certificate, made.certificate.as_bytes(), Access::Private)?;
        // The legacy leaves an old bundle beside a new key, so that nothing fits any more (ENR-13).
        files::write(&bundle, made.certificate.as_bytes(), Access::Public)?;
    } else if let (false, Some(pem)) = (bundle.is_file(), files::read(&certificate)?) {
        files::write(&bundle, &pem, Access::Public)?;
    }
    Ok(CertificateFiles { key, bundle })
}

/// What [`load_or_create`] would find; changes nothing.
pub(super) fn inspect(folder: &Path, former: &Path, clock: &dyn Clock) -> PartState {
    let complete = |folder: &Path| folder.join(CERTIFICATE).is_file() && folder.join(KEY).is_file();
    let place = if !complete(folder) && complete(former) {
        former
    } else {
        folder
    };
    let path = place.join(CERTIFICATE);
    let pem = match files::read(&path) {
        Ok(Some(pem)) => pem,
        Ok(None) => return PartState::Missing(folder.join(CERTIFICATE)),
        Err(error) => return PartState::Unusable(error),
    };
    if let Err(error) = files::read(&place.join(KEY)) {
        return PartState::Unusable(error);
    }
    if !place.join(KEY).is_file() {
        let reason = "its key is not there";
        return PartState::Unfit { path, reason };
    }
    match expires_at(&pem) {
        None => PartState::Unfit {
            path,
            reason: "it is no certificate in PEM form",
        },
        Some(ended) if ended <= clock.now() => PartState::Expired { path, ended },
        Some(_) if place == folder => PartState::Present(path),
        Some(_) => PartState::Former {
            from: path,
            to: folder.join(CERTIFICATE),
        },
    }
}

/// The files of a certificate that lies in `folder`: what is served, and the key. The certificate itself is served
/// where the bundle is not there.
pub(super) fn served_files(folder: &Path) -> (PathBuf, PathBuf) {
    let bundle = folder.join(BUNDLE);
    let served = if bundle.is_file() {
        bundle
    } else {
        folder.join(CERTIFICATE)
    };
    (served, folder.join(KEY))
}

fn expires_at(pem: &[u8]) -> Option<Timestamp> {
    let certificate = Certificate::from_pem(pem).ok()?;
    let seconds = certificate
        .tbs_certificate()
        .validity()
        .not_after
        .to_unix_duration()
        .as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

struct Made {
    key: String,
    certificate: String,
}

/// The legacy's extensions and names: the issuer is not the subject, and addresses stand among the DNS names.
struct LegacyProfile {
    subject: Name,
    issuer: Name,
}

impl BuilderProfile for LegacyProfile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let names = ["localhost", "127.0.0.1", "::1"]
            .into_iter()
            .map(|name| Ok(GeneralName::DnsName(Ia5String::new(name)?)))
            .collect::<x509_cert::builder::Result<Vec<_>>>()?;
        Ok(vec![
            SubjectAltName(names).to_extension(&self.subject, &[])?,
            BasicConstraints {
                ca: true,
                path_len_constraint: None,
            }
            .to_extension(&self.subject, &[])?,
        ])
    }
}

fn make(now: Timestamp, random: &dyn Random) -> Result<Made, Box<dyn std::error::Error>> {
    let secret = loop {
        // All but a vanishing share of 48 byte numbers are keys of the curve.
        if let Ok(secret) = SecretKey::from_slice(&random_bytes::<48>(random)) {
            break secret;
        }
    };
    let signer = SigningKey::from(&secret);
    let now = Duration::from_secs(u64::try_from(now.as_second())?);
    let validity = Validity::new(
        time(now.saturating_sub(Duration::from_secs(300)))?,
        time(now + Duration::from_secs(LIFETIME_DAYS * 86_400))?,
    );
    // A serial is a positive number of at most twenty bytes.
    let mut serial = random_bytes::<20>(random);
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    // RFC 4514 writes the last name first.
    let profile = LegacyProfile {
        subject: Name::from_str("O=Borealis,CN=Borealis Server")?,
        issuer: Name::from_str("CN=Borealis Server")?,
    };
    let builder = CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial)?,
        validity,
        SubjectPublicKeyInfo::from_key(signer.verifying_key())?,
    )?;
    let certificate: Certificate = builder.build::<_, p384::ecdsa::DerSignature>(&signer)?;
    Ok(Made {
        key: secret.to_sec1_pem(LineEnding::LF)?.to_string(),
        certificate: certificate.to_pem(LineEnding::LF)?,
    })
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
