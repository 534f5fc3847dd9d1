use super::*;

fn faults(text: &str) -> Vec<String> {
    match Settings::parse(Path::new("/etc/parity.toml"), text) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

fn read(text: &str) -> Settings {
    Settings::parse(Path::new("/srv/parity.toml"), text).unwrap()
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = r#"format = 1
strange = 1

[targets.a]
command = ["bin/engine", 1]

[targets.b]
url = "https://x/y"
port = 70000

[targets.c]
url = "https://x"
command = ["x"]

[targets.d]
command = ["server", "{port}"]
ready = { path = "health", within_seconds = 0, often = true }
stop = { signal = "STOP" }
database = "../database.db"
environment = { A = 1 }
tls = { ca = "ca.pem", insecure = true }
operator = { name_variable = "A", password = "secret" }
patience_seconds = "long"

[targets.embedded]
url = "http://x"
tls = {}

[targets.e]
command = ["server"]
"#;
    let faults = faults(text);
    let expected = [
        (2, "the file has no `strange`"),
        (5, "`command` is a list of texts"),
        (8, "scheme, host and port alone"),
        (11, "either a `url` or a `command`"),
        (17, "begins with /"),
        (17, "whole number from 1 to 3600"),
        (17, "`ready` has no `often`"),
        (18, "TERM, INT, QUIT, HUP or KILL"),
        (19, "`database` is a path under the root"),
        (20, "`A` is a text"),
        (21, "one of ca, certificate, fingerprint and insecure"),
        (22, "never a password itself"),
        (22, "`operator` has no `password`"),
        (23, "whole number from 1 to 3600"),
        (26, "for an https:// URL"),
        (30, "nothing tells the server its port"),
    ];
    for (line, reason) in expected {
        let place = format!("/etc/parity.toml:{line}: ");
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with(&place) && fault.contains(reason)),
            "{line} {reason}: {faults:#?}"
        );
    }
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("not recorded or embedded")),
        "{faults:#?}"
    );
}

#[test]
fn the_version_comes_first() {
    assert!(faults("")[0].ends_with("the file begins with `format = 1`"));
    assert!(faults("format = 2\n[targets.x]\nstrange = 1\n")[0].contains("newer than this program"));
    let syntax = faults("format = 1\n[targets.x\n");
    assert!(syntax[0].starts_with("/etc/parity.toml:2: "), "{syntax:?}");
}

#[test]
fn the_file_of_this_repository_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity.toml");
    let settings = Settings::load(&path).unwrap();
    assert_eq!(settings.names().collect::<Vec<_>>(), ["engine", "legacy"]);
}

#[test]
fn a_target_is_picked_with_what_stands_in_variables() {
    let settings = read(
        "format = 1\n[targets.new]\ncommand = [\"bin/engine\"]\nenvironment = { P = \"{port}\", G = \"{github}\", PATH = \"/own\" }\n\
         pass = [\"TOKEN\"]\nsecret = \"BOREALIS_SECRET\"\n[targets.old]\nurl = \"https://old.example\"\nsecret = \"OLD_SECRET\"\n\
         operator = { name_variable = \"WHO\", password_variable = \"WORD\" }\n",
    );
    let variables: BTreeMap<String, String> = [
        ("PATH", "/bin"),
        ("HOME", "/home/x"),
        ("TOKEN", "t"),
        ("OLD_SECRET", "s"),
        ("WHO", "olga"),
        ("WORD", "w"),
        ("OTHER", "o"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let Ok(Kind::Process(process)) = settings.pick("new", &variables) else {
        panic!("a process")
    };
    assert_eq!(process.command, ["/srv/bin/engine"]);
    assert_eq!(process.directory, Path::new("/srv/."));
    let environment: Vec<_> = process
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        environment,
        ["G={github}", "HOME=/home/x", "P={port}", "PATH=/own", "TOKEN=t"]
    );
    assert!(process.capabilities().upstream && !process.capabilities().clock);
    let Ok(Kind::Url(url)) = settings.pick("old", &variables) else {
        panic!("a URL")
    };
    assert_eq!(
        (url.secret.as_deref(), url.operator.name.as_str()),
        (Some("s"), "olga")
    );

    let missing = settings.pick("old", &BTreeMap::new()).unwrap_err();
    assert!(
        missing.contains("/srv/parity.toml:7: target old: the variable WHO is not set"),
        "{missing}"
    );
    let passed = settings.pick("new", &BTreeMap::new()).unwrap_err();
    assert!(passed.contains("TOKEN is not set"), "{passed}");
    let copied = read("format = 1\n[targets.x]\ncommand = [\"x\"]\nport = 5000\ntemplate = \"nowhere\"\n");
    let nowhere = copied.pick("x", &variables).unwrap_err();
    assert!(nowhere.contains("/srv/nowhere is no folder"), "{nowhere}");
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().display();
    let linked = read(&format!(
        "format = 1\n[targets.x]\ncommand = [\"x\"]\nport = 5000\ntemplate = \"{template}\"\nlinked = [\".venv\"]\n"
    ));
    let missing = linked.pick("x", &variables).unwrap_err();
    assert!(
        missing.contains("`linked`: there is no .venv in its template"),
        "{missing}"
    );
    std::fs::create_dir(folder.path().join(".venv")).unwrap();
    assert!(linked.pick("x", &variables).is_ok());
    let unknown = settings.pick("odl", &variables).unwrap_err();
    assert!(
        unknown.contains("there is no target odl") && unknown.contains("old, new"),
        "{unknown}"
    );
}
