//! `borealis-engine certificate`

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use super::{
    is_empty,
    program::{program, run},
};

const FIXTURE: &str = "tests/fixtures/legacy-root/root/Certificates/Server";

fn folder(root: &Path) -> std::path::PathBuf {
    root.join("Certificates/Server")
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder(root))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn it_is_shown_renewed_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    let certificate = |arguments: &[&str]| run(root.path(), &[&["certificate"], arguments].concat(), &[]);
    assert!(
        certificate(&["show"])
            .refusal()
            .contains("the first start makes it")
    );
    assert!(certificate(&["renew"]).refusal().contains("certificate replace"));
    let asked = certificate(&["replace"]).refusal();
    assert!(
        asked.contains("--yes") && asked.contains("nothing was changed"),
        "{asked}"
    );
    assert!(is_empty(root.path()));

    certificate(&["replace", "--yes"]).done();
    let first = certificate(&["show", "--json"]).json();
    assert_eq!(first["agents_can_verify"], true);
    assert_eq!(first["renewable"], true);
    assert_eq!(first["issuer"], "O=Borealis,CN=Borealis Root CA");
    let names = first["names"].as_array().unwrap();
    assert!(names.contains(&"IP:127.0.0.1".into()), "{names:?}");

    let renew = ["certificate", "renew", "--json"];
    let names = [("BOREALIS_TLS_NAMES", "borealis.example")];
    let renewed = run(root.path(), &renew, &names).json();
    assert_eq!(renewed["status"], "renewed");
    assert_ne!(
        renewed["certificate"]["fingerprint_sha256"],
        first["fingerprint_sha256"]
    );
    let text = certificate(&["show"]).done();
    for word in [
        "DNS:borealis.example",
        "can verify it",
        "certificate renew",
        "SHA-256 ",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }

    let before = files(root.path());
    let replaced = certificate(&["replace", "--yes"]).done();
    assert!(replaced.contains("What agents need now"), "{replaced}");
    let after = files(root.path());
    for (name, content) in before {
        let aside = after
            .iter()
            .find(|(other, _)| other.starts_with(&format!("{name}.replaced-")));
        assert_eq!(aside.unwrap().1, &content, "{name}");
        assert_ne!(after[&name], content, "{name}");
    }
}

#[test]
fn the_legacys_single_certificate_is_kept_and_warned_of() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder(root.path())).unwrap();
    for name in ["cert", "key", "bundle"] {
        let name = format!("borealis-server-{name}.pem");
        fs::copy(Path::new(FIXTURE).join(&name), folder(root.path()).join(&name)).unwrap();
    }
    let before = files(root.path());
    let check = run(root.path(), &["check"], &[]);
    assert_eq!(check.code, Some(0), "{}", check.output);
    assert!(
        check
            .line("warning", "certificate")
            .contains("`borealis-engine certificate replace`")
    );
    let shown = run(root.path(), &["certificate", "show", "--json"], &[]).json();
    assert_eq!(shown["agents_can_verify"], false);
    assert_eq!(shown["renewable"], false);
    let refusal = run(root.path(), &["certificate", "renew"], &[]).refusal();
    assert!(refusal.contains("certificate replace"), "{refusal}");
    assert_eq!(files(root.path()), before);
}

#[test]
fn a_pair_that_does_not_fit_is_a_problem_with_its_cure() {
    let root = tempfile::tempdir().unwrap();
    let replace = ["certificate", "replace", "--yes"];
    run(root.path(), &replace, &[]).done();
    let key = folder(root.path()).join("borealis-server-key.pem");
    fs::copy(folder(root.path()).join("borealis-root-ca-key.pem"), &key).unwrap();
    let check = run(root.path(), &["check"], &[]);
    assert_eq!(check.code, Some(1), "{}", check.output);
    let line = check.line("problem", "certificate");
    assert!(
        line.contains("borealis-server-key.pem") && line.contains("restore both"),
        "{line}"
    );
}

#[test]
fn names_and_origins_that_no_one_can_use_are_said() {
    let root = tempfile::tempdir().unwrap();
    let refused = run(
        root.path(),
        &["check"],
        &[("BOREALIS_TLS_NAMES", "https://a.example")],
    );
    assert!(
        refused
            .line("problem", "variables")
            .contains("BOREALIS_TLS_NAMES")
    );
    let origins = [(
        "BOREALIS_CORS_ALLOWED_ORIGINS",
        "https://a.example, https://b.example/",
    )];
    let check = run(root.path(), &["check"], &origins);
    let line = check.line("warning", "origins");
    assert!(line.contains("https://b.example/"), "{line}");
}

#[test]
fn a_replacement_that_fails_half_way_leaves_the_identity_that_agents_know() {
    let root = tempfile::tempdir().unwrap();
    let replace = ["certificate", "replace", "--yes"];
    run(root.path(), &replace, &[]).done();
    let before = files(root.path());
    let program = program(root.path(), &replace, &[]);
    // Names can be changed, and nothing be written.
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 0; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .env("BOREALIS_ROOT", root.path())
        .output()
        .unwrap();
    let told = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(files(root.path()), before, "{told}");
    assert_eq!(limited.status.code(), Some(1), "{told}");
    assert!(
        told.contains("ulimit -f") && !told.contains("owner and mode"),
        "{told}"
    );
    assert!(!root.path().join("restore-in-progress.json").exists());
    // Where names cannot be changed neither: the plan has no place.
    let in_the_way = root.path().join("restore-in-progress.json.new");
    fs::create_dir(&in_the_way).unwrap();
    run(root.path(), &replace, &[]).refusal();
    assert_eq!(files(root.path()), before);
    fs::remove_dir(&in_the_way).unwrap();
    run(root.path(), &replace, &[]).done();
}
