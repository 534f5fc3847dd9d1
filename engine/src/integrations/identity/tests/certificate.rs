//! Long because it is a list of stories.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use x509_cert::{
    Certificate,
    ext::pkix::{SubjectAltName, SubjectKeyIdentifier},
};

use super::{super::certificate::Chain, *};

const DAY: i64 = 86_400;
const NAMES: [&str; 5] = [
    "borealis-server-cert.pem",
    "borealis-server-key.pem",
    "borealis-server-bundle.pem",
    "borealis-root-ca.pem",
    "borealis-root-ca-key.pem",
];

fn folder(root: &Path) -> PathBuf {
    root.join("Certificates/Server")
}

fn chain(path: &Path) -> Vec<Certificate> {
    Certificate::load_pem_chain(&fs::read(path).unwrap()).unwrap()
}

/// The certificate files with their content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder(root))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn load_at(root: &Path, seconds: i64) -> Result<ServerIdentity, IdentityError> {
    ServerIdentity::load_or_create(&settings(root), &clock(seconds), &SeededRandom::new(8))
}

/// A root whose certificate is the one that the legacy's first revision makes: its issuer is not itself.
fn legacy() -> tempfile::TempDir {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy-root/root/Certificates/Server");
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder(root.path())).unwrap();
    for name in NAMES {
        if fixture.join(name).is_file() {
            fs::copy(fixture.join(name), folder(root.path()).join(name)).unwrap();
        }
    }
    root
}

#[test]
fn a_new_identity_is_a_root_and_a_leaf_of_it() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = settings(root.path());
    settings.tls_names = ["borealis.example", "192.0.2.7", "localhost"]
        .map(|name| ServerName::parse(name).unwrap())
        .to_vec();
    settings.machine_name = ServerName::parse("box");
    let identity = ServerIdentity::load_or_create(&settings, &clock(START), &SeededRandom::new(7)).unwrap();
    let bundle = chain(&identity.certificate.bundle);
    let folder = folder(root.path());
    assert_eq!(bundle[..1], chain(&folder.join("borealis-server-cert.pem")));
    assert_eq!(bundle[1..], chain(&folder.join("borealis-root-ca.pem")));
    let extensions = |certificate: &Certificate| -> Vec<_> {
        let extensions = certificate.tbs_certificate().extensions().unwrap().iter();
        extensions
            .map(|one| (one.extn_id.to_string(), one.critical))
            .collect()
    };
    let expected = |list: &[(&str, bool)]| -> Vec<_> {
        list.iter()
            .map(|(id, critical)| ((*id).to_owned(), *critical))
            .collect()
    };
    let [leaf, authority] = &bundle[..] else {
        panic!("{} certificates", bundle.len())
    };
    let (leaf_body, root_body) = (leaf.tbs_certificate(), authority.tbs_certificate());
    assert_eq!(root_body.subject().to_string(), "O=Borealis,CN=Borealis Root CA");
    assert_eq!(root_body.issuer(), root_body.subject());
    assert_eq!(leaf_body.subject().to_string(), "O=Borealis,CN=Borealis Server");
    assert_eq!(leaf_body.issuer(), root_body.subject());
    assert_eq!(
        extensions(authority),
        expected(&[
            ("2.5.29.19", true),
            ("2.5.29.15", true),
            ("2.5.29.14", false),
            ("2.5.29.35", false)
        ])
    );
    assert_eq!(
        extensions(leaf),
        expected(&[
            ("2.5.29.19", true),
            ("2.5.29.15", true),
            ("2.5.29.37", false),
            ("2.5.29.17", false),
            ("2.5.29.14", false),
            ("2.5.29.35", false)
        ])
    );
    let key_id = |certificate: &Certificate| {
        let found = certificate
            .tbs_certificate()
            .get_extension::<SubjectKeyIdentifier>();
        found.unwrap().unwrap().1
    };
    assert_ne!(key_id(leaf), key_id(authority));
    for (certificate, days) in [(authority, 36_500), (leaf, 1825)] {
        let validity = certificate.tbs_certificate().validity();
        let lifetime = validity.not_after.to_unix_duration() - validity.not_before.to_unix_duration();
        assert_eq!(lifetime.as_secs(), days * 86_400 + 300);
        // ecdsa-with-SHA384
        assert_eq!(
            certificate.signature_algorithm().oid.to_string(),
            "1.2.840.10045.4.3.3"
        );
    }
    let (_, SubjectAltName(listed)) = leaf_body.get_extension::<SubjectAltName>().unwrap().unwrap();
    assert_eq!(listed.len(), 8);
    let shown = describe_certificate(&settings, &clock(START), &SeededRandom::new(1))
        .unwrap()
        .names;
    assert_eq!(
        shown,
        [
            "DNS:localhost",
            "DNS:127.0.0.1",
            "DNS:::1",
            "IP:127.0.0.1",
            "IP:::1",
            "DNS:box",
            "DNS:borealis.example",
            "IP:192.0.2.7"
        ]
    );
    let made = files(root.path());
    assert_eq!(made.len(), NAMES.len());
    for name in NAMES {
        let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        if name.ends_with("key.pem") {
            assert!(
                made[name].starts_with(b"-----BEGIN EC PRIVATE KEY-----"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_leaf_ends_at_least_a_day_before_its_root() {
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    load_at(root.path(), START + 36_000 * DAY).unwrap();
    let bundle = chain(&folder(root.path()).join("borealis-server-bundle.pem"));
    let ends = |certificate: &Certificate| {
        certificate
            .tbs_certificate()
            .validity()
            .not_after
            .to_unix_duration()
            .as_secs()
    };
    assert_eq!(ends(&bundle[0]), ends(&bundle[1]) - 86_400);
}

#[test]
fn a_file_that_holds_a_chain_is_used_and_not_written_over() {
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    let path = folder(root.path());
    // As certbot and its like leave it: the chain in the certificate's file, with words between.
    let bundle = fs::read_to_string(path.join("borealis-server-bundle.pem")).unwrap();
    let text = format!(
        "the server's\n{}",
        bundle.replace(
            "-----END CERTIFICATE-----\n",
            "-----END CERTIFICATE-----\n\nissuer\n"
        )
    );
    for name in ["borealis-server-cert.pem", "borealis-server-bundle.pem"] {
        fs::write(path.join(name), &text).unwrap();
    }
    for name in ["borealis-root-ca.pem", "borealis-root-ca-key.pem"] {
        fs::remove_file(path.join(name)).unwrap();
    }
    let before = files(root.path());
    load_at(root.path(), START + DAY).unwrap();
    assert_eq!(files(root.path()), before);
}

#[test]
fn a_certificate_that_agents_cannot_verify_is_kept_and_warned_of() {
    let root = legacy();
    let before = files(root.path());
    load(root.path()).unwrap();
    assert_eq!(files(root.path()), before);
    let settings = settings(root.path());
    let state = ServerIdentity::inspect(&settings, &clock(START), &SeededRandom::new(1));
    assert!(matches!(state.certificate, PartState::Present(_)));
    let [warning] = &state.certificate_warnings[..] else {
        panic!("{:?}", state.certificate_warnings)
    };
    let text = warning.to_string();
    assert!(
        text.contains("certificate replace") && text.contains("CN=Borealis Server"),
        "{text}"
    );
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_stay_as_they_are() {
    let other = tempfile::tempdir().unwrap();
    ServerIdentity::load_or_create(&settings(other.path()), &clock(START), &SeededRandom::new(99)).unwrap();
    let foreign = files(other.path());
    for name in &NAMES[..3] {
        let foreign = foreign[*name].as_slice();
        for content in [&b"garbage"[..], b"", foreign] {
            let root = tempfile::tempdir().unwrap();
            load(root.path()).unwrap();
            fs::write(folder(root.path()).join(name), content).unwrap();
            let before = files(root.path());
            let error = load_at(root.path(), START + DAY).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("restore"), "{error}");
            assert_eq!(files(root.path()), before);
        }
    }
    // A certificate without its key.
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    fs::remove_file(folder(root.path()).join(NAMES[1])).unwrap();
    let before = files(root.path());
    let error = load(root.path()).unwrap_err().to_string();
    assert!(
        error.contains(NAMES[1]) && error.contains("certificate renew"),
        "{error}"
    );
    assert_eq!(files(root.path()), before);
}

#[test]
fn an_ended_leaf_is_reissued_by_its_root_for_the_same_key() {
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    let before = files(root.path());
    load_at(root.path(), START + 1826 * DAY).unwrap();
    let after = files(root.path());
    for name in [
        "borealis-server-key.pem",
        "borealis-root-ca.pem",
        "borealis-root-ca-key.pem",
    ] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let bundle = chain(&folder(root.path()).join("borealis-server-bundle.pem"));
    assert_eq!(bundle.len(), 2);
    assert_ne!(
        after["borealis-server-bundle.pem"],
        before["borealis-server-bundle.pem"]
    );
    assert_eq!(after.len(), before.len());
}

#[test]
fn an_ended_identity_without_a_root_is_replaced_and_its_files_are_set_aside_for_their_owner_alone() {
    let root = legacy();
    let before = files(root.path());
    for name in before.keys() {
        let open_to_all = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder(root.path()).join(name), open_to_all).unwrap();
    }
    let log = crate::config::logging::capture::capture();
    let later = START + 200 * 365 * DAY;
    load_at(root.path(), later).unwrap();
    let after = files(root.path());
    for (name, content) in &before {
        let aside: Vec<_> = after
            .keys()
            .filter(|other| other.starts_with(&format!("{name}.replaced-")))
            .collect();
        assert_eq!(after[aside[0]], *content, "{name}");
        let found = fs::metadata(folder(root.path()).join(aside[0])).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(
        chain(&folder(root.path()).join("borealis-server-bundle.pem")).len(),
        2
    );
    let said = log.messages().join("\n");
    assert!(
        said.contains("enroll again") && said.contains("borealis-server-cert.pem.replaced-"),
        "{said}"
    );
}

#[test]
fn without_the_key_of_its_root_an_ended_leaf_stops_the_start() {
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    fs::remove_file(folder(root.path()).join("borealis-root-ca-key.pem")).unwrap();
    let before = files(root.path());
    let error = load_at(root.path(), START + 1826 * DAY).unwrap_err().to_string();
    assert!(error.contains("borealis-root-ca-key.pem"), "{error}");
    assert_eq!(files(root.path()), before);
}

#[test]
fn a_start_that_was_cut_short_anywhere_is_completed_by_the_next() {
    let order = [
        "borealis-root-ca-key.pem",
        "borealis-root-ca.pem",
        "borealis-server-key.pem",
        "borealis-server-cert.pem",
        "borealis-server-bundle.pem",
    ];
    for written in 0..order.len() {
        let root = tempfile::tempdir().unwrap();
        load(root.path()).unwrap();
        for name in &order[written..] {
            fs::remove_file(folder(root.path()).join(name)).unwrap();
        }
        let before = files(root.path());
        load(root.path()).unwrap();
        let after = files(root.path());
        assert_eq!(after.len(), order.len(), "{written}");
        for (name, content) in before {
            assert_eq!(after[&name], content, "{written}: {name}");
        }
        let state = ServerIdentity::inspect(&settings(root.path()), &clock(START), &SeededRandom::new(1));
        assert_eq!(state.certificate_warnings, [], "{written}");
    }
}

#[test]
fn a_file_that_cannot_be_written_has_the_cure_of_its_cause() {
    for (kind, cure) in [
        (std::io::ErrorKind::StorageFull, "make room"),
        (std::io::ErrorKind::FileTooLarge, "ulimit -f"),
        (std::io::ErrorKind::PermissionDenied, "owner and mode"),
    ] {
        let error = IdentityError::File {
            action: "write",
            path: "key.pem".into(),
            source: kind.into(),
        };
        assert!(error.to_string().contains(cure), "{error}");
    }
}

#[test]
fn a_certificate_that_ends_soon_or_lacks_names_is_warned_of() {
    let root = tempfile::tempdir().unwrap();
    load(root.path()).unwrap();
    let mut settings = settings(root.path());
    settings.tls_names = vec![ServerName::parse("borealis.example").unwrap()];
    let state = ServerIdentity::inspect(&settings, &clock(START + 1800 * DAY), &SeededRandom::new(1));
    let warnings: Vec<_> = state
        .certificate_warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .all(|warning| warning.contains("certificate renew"))
    );
    assert!(warnings[1].contains("borealis.example"), "{warnings:?}");
}

#[test]
fn what_is_served_follows_its_files_and_never_a_pair_that_does_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let identity = load(root.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let settings = settings(other.path());
    let foreign = ServerIdentity::load_or_create(&settings, &clock(START), &SeededRandom::new(99)).unwrap();
    let served = ServedCertificate::load(identity.certificate.clone()).unwrap();
    let first = served.bundle();
    assert!(!served.look());

    let log = crate::config::logging::capture::capture();
    let new = fs::read_to_string(&foreign.certificate.bundle).unwrap();
    fs::write(&identity.certificate.bundle, &new).unwrap();
    for _ in 0..3 {
        assert!(!served.look());
    }
    assert_eq!(served.bundle(), first);
    assert_eq!(log.messages().len(), 1, "{:?}", log.messages());
    fs::copy(&foreign.certificate.key, &identity.certificate.key).unwrap();
    assert!(served.look());
    assert_eq!(*served.bundle(), *new);

    fs::remove_file(&identity.certificate.key).unwrap();
    for _ in 0..3 {
        assert!(!served.look());
    }
    assert_eq!(*served.bundle(), *new);
    assert_eq!(log.messages().len(), 3, "{:?}", log.messages());
}

/// `CN=fleet.example`, issued by `CN=Example CA, O=Example`.
const OF_AN_AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBOzCB4gIUQ3sl0xlioOcRa/LcDpXoMirvjFAwCgYIKoZIzj0EAwIwJzEQMA4G\n\
A1UECgwHRXhhbXBsZTETMBEGA1UEAwwKRXhhbXBsZSBDQTAgFw0yNjExMjgyMTU3\n\
NTdaGA8yMTI2MTEwNDIxNTc1N1owGDEWMBQGA1UEAwwNZmxlZXQuZXhhbXBsZTBZ\n\
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABJoLI7bvtqu5e7UjVRtmqhuq7GmPH+kM\n\
I0CvzAspReRN7gQC/msI0hIdIMH9S8Q9DAu/Okcx+0SOs90Pias8WXIwCgYIKoZI\n\
zj0EAwIDSAAwRQIgUUCYgO4+kSws5lGC2iQo0iqnERBhx1TLInctRWYmYeICIQDt\n\
nq73QoJRM+IFSgr0rvpj1F+ZfDHktazBKyCw23N9SQ==\n\
-----END CERTIFICATE-----\n\
";

#[test]
fn a_certificate_of_an_authority_is_told_from_one_that_is_made_here() {
    let root = tempfile::tempdir().unwrap();
    load_at(root.path(), 0).unwrap();
    let made = |name: &str| fs::read(folder(root.path()).join(name)).unwrap();
    for own in [
        "borealis-server-bundle.pem",
        "borealis-server-cert.pem",
        "borealis-root-ca.pem",
    ] {
        assert!(Chain::read(&made(own)).unwrap().is_self_made(), "{own}");
    }
    let of_authority = Chain::read(OF_AN_AUTHORITY.as_bytes()).unwrap();
    assert!(!of_authority.is_self_made());
    // The legacy's first revision.
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/legacy-root/root/Certificates/Server/borealis-server-cert.pem");
    assert!(Chain::read(&fs::read(legacy).unwrap()).unwrap().is_self_made());
}
