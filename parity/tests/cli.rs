//! The commands as people run them: the program itself, its exit codes, and the files it leaves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

/// A scenario in which nine requests show what the register accepts.
const CRASHES: &str = "enrollment/codes_wrong_types";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn parity() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parity"));
    command.current_dir(top());
    command
}

fn run(command: &mut Command) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code().unwrap(), text)
}

/// A folder with one scenario, its snapshot and a register.
struct Small(TempDir);

impl Small {
    fn new(scenario: &str, register: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = |from: &str, end: &str| {
            let to = folder.path().join(from).join(format!("{scenario}.{end}"));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(top().join(from).join(format!("{scenario}.{end}")), to).unwrap();
        };
        copy("scenarios", "yaml");
        copy("snapshots", "snap");
        let digests = fs::read_to_string(top().join("snapshots/DIGESTS")).unwrap();
        let own = digests
            .lines()
            .find(|line| line.ends_with(&format!("  {scenario}.snap")))
            .unwrap();
        fs::write(folder.path().join("snapshots/DIGESTS"), format!("{own}\n")).unwrap();
        let small = Self(folder);
        small.write_register(register);
        small
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_register(&self, text: &str) {
        fs::write(self.path("scenarios/divergences.toml"), text).unwrap();
    }

    fn register(&self) -> String {
        fs::read_to_string(self.path("scenarios/divergences.toml")).unwrap()
    }

    fn report(&self, name: &str) -> String {
        fs::read_to_string(self.path("report").join(name)).unwrap()
    }

    /// A command over the folder.
    fn parity(&self, arguments: &[&str]) -> Command {
        let mut command = parity();
        command
            .args(arguments)
            .arg("--scenarios")
            .arg(self.path("scenarios"));
        if arguments[0] != "show" {
            command.arg("--snapshots").arg(self.path("snapshots"));
        }
        if arguments[0] == "run" {
            command.arg("--report").arg(self.path("report"));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        run(&mut self.parity(arguments))
    }
}

/// A register of one entry, without what it expects.
fn entry(more: &str) -> String {
    format!(
        "format = 2\n\n# Of every run.\n[[divergence]]\nid = \"wrong-types\"\ndefect = \"ENR-1\"\narea = \"Enrollment\"\n\
         legacy_behaviour = \"500\"\nengine_behaviour = \"400\"\nreason = \"A crash is no answer.\"\nsince = \"2026-11-20\"\n{more}"
    )
}

#[test]
fn a_place_is_named_by_its_step_and_a_wrong_name_is_told_with_the_nearest() {
    let small = Small::new(CRASHES, "");
    let with = |steps: &str| {
        let expect = format!(
            "\n[[divergence.expect]]\nat = {{ \"{CRASHES}\" = {steps} }}\ndiffer = [{{ path = \"/status\", legacy = 500, engine = 400 }}]\n"
        );
        small.write_register(&entry(&expect));
        small.run(&["check"])
    };
    let (code, text) = with("[\"POST enrollment-codes 2\", \"left\"]");
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("0 loose blocks in the register, 0 faults"),
        "{text}"
    );
    let (code, text) = with("[3]");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("step 3 is called \"POST enrollment-codes 2\""),
        "{text}"
    );
    let (code, text) = with("[\"POST enrolment-codes\"]");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("divergences.toml:13:1: entry `wrong-types`: ")
            && text.contains("has no step `POST enrolment-codes`; the nearest are `POST enrollment-codes`, "),
        "{text}"
    );
}

#[test]
fn what_differs_is_written_into_an_entry_and_accepted_from_then_on() {
    let small = Small::new(CRASHES, &entry("expect = []\n\n# The end.\n"));
    let (code, text) = small.run(&["check"]);
    assert!(
        code == 1 && text.contains("entry `wrong-types`: it accepts nothing yet"),
        "{text}"
    );
    assert_eq!(small.run(&["run"]).0, 1);

    let before = small.register();
    let (code, text) = small.run(&["accept", CRASHES, "--as", "wrong-tpyes"]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("no entry `wrong-tpyes`; the nearest is `wrong-types`") && text.contains("reason = "),
        "{text}"
    );
    let (code, text) = small.run(&[
        "accept",
        CRASHES,
        "--as",
        "wrong-types",
        "--step",
        "POST enrolment-codes",
    ]);
    assert!(
        code == 2 && text.contains("the nearest are `POST enrollment-codes`"),
        "{text}"
    );
    assert_eq!(small.register(), before, "nothing was written");

    let (code, text) = small.run(&[
        "accept",
        CRASHES,
        "--as",
        "wrong-types",
        "--step",
        "POST enrollment-codes",
    ]);
    assert!(
        code == 0 && text.contains("are in the entry `wrong-types` now"),
        "{text}"
    );
    let one = small.register();
    assert!(
        one.contains(
            "[[divergence.expect]]\nat = { \"enrollment/codes_wrong_types\" = [\"POST enrollment-codes\"] }"
        ),
        "{one}"
    );
    assert!(
        one.contains("    { path = \"/status\", legacy = 500, engine = 400 },\n"),
        "{one}"
    );
    assert!(
        one.starts_with("format = 2\n\n# Of every run.\n") && one.ends_with("# The end.\n"),
        "{one}"
    );

    let (code, text) = small.run(&["accept", CRASHES, "--as", "wrong-types"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = small.run(&["run"]);
    assert_eq!(code, 0, "{text}");
    let all = small.register();
    let (code, text) = small.run(&["accept", CRASHES, "--as", "wrong-types"]);
    assert!(
        code == 1 && text.contains("nothing differs that no entry accepts"),
        "{text}"
    );
    assert_eq!(small.register(), all);
}

#[test]
fn the_table_names_the_revision_and_tells_when_it_was_changed() {
    let small = Small::new(CRASHES, &entry("expect = []\n"));
    assert_eq!(small.run(&["accept", CRASHES, "--as", "wrong-types"]).0, 0);
    assert_eq!(small.run(&["run"]).0, 0);
    let path = small.path("report/divergences.md");
    let check = || run(parity().arg("check").arg(&path));
    let table = small.report("divergences.md");
    assert!(
        table.contains("\nborealis-engine 0.1.0, in this process, revision "),
        "{table}"
    );
    assert!(
        table.contains(
            "  - enrollment/codes_wrong_types: 2 `POST enrollment-codes`, 3 `POST enrollment-codes 2`"
        ),
        "{table}"
    );
    let (code, text) = check();
    assert!(code == 0 && text.contains("as the run wrote it"), "{text}");
    fs::write(
        &path,
        table.replace("A crash is no answer.", "A crash is an answer."),
    )
    .unwrap();
    let (code, text) = check();
    assert!(
        code == 1 && text.contains("changed after the run wrote it"),
        "{text}"
    );
    fs::write(&path, table + "\nSigned.\n").unwrap();
    let (code, text) = check();
    assert!(
        code == 1 && text.contains("its last line has no digest"),
        "{text}"
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(check().0, 2);
}

#[test]
fn an_expired_entry_is_told_as_what_it_is_and_an_owner_and_a_ticket_stand_in_the_table() {
    let small = Small::new(CRASHES, &entry("expect = []\n"));
    assert_eq!(small.run(&["accept", CRASHES, "--as", "wrong-types"]).0, 0);
    let since = "since = \"2026-11-20\"\n";
    let with = |more: &str| small.write_register(&small.register().replace(since, &format!("{since}{more}")));
    with("owner = \"platform team\"\nticket = \"BOR-12\"\nexpires = \"2999-12-31\"\n");
    let (code, text) = small.run(&["run"]);
    assert_eq!(code, 0, "{text}");
    let table = small.report("divergences.md");
    assert!(
        table.contains("| 2026-11-20, owner platform team, ticket BOR-12, until 2999-12-31 |"),
        "{table}"
    );

    small.write_register(&small.register().replace("2999-12-31", "2026-11-21"));
    let (code, text) = small.run(&["run"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("accepted until the entry `wrong-types` expired"),
        "{text}"
    );
    assert!(
        text.contains(
            "The register's entry `wrong-types` has expired on 2026-11-21 and accepts nothing any more"
        ),
        "{text}"
    );
    let table = small.report("divergences.md");
    assert!(table.contains("until 2026-11-21, **expired** |"), "{table}");
    assert!(
        table.contains("- `wrong-types` has expired on 2026-11-21 and accepts nothing any more; "),
        "{table}"
    );
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let small = Small::new(CRASHES, "format = 2\n");
    fs::create_dir(small.path("report")).unwrap();
    let lock = File::create(small.path("report/.lock")).unwrap();
    lock.lock().unwrap();
    let (code, text) = small.run(&["run"]);
    assert!(
        code == 2 && text.contains("another parity run is writing its reports there"),
        "{text}"
    );
    assert!(!small.path("report/report.json").exists());
    drop(lock);
    assert_eq!(small.run(&["run"]).0, 1);
}

#[test]
fn a_run_that_fails_before_it_compares_leaves_no_report_of_an_earlier_one() {
    let small = Small::new(CRASHES, "format = 2\n");
    assert_eq!(small.run(&["run"]).0, 1);
    assert!(small.report("divergences.md").contains("**Not accepted**"));
    for (arguments, reason) in [
        (
            &["run", "enrolment"][..],
            "no scenario or area is called enrolment",
        ),
        (&["run", "--side-by-side", "1"], "divergences.toml"),
    ] {
        if arguments.len() > 2 {
            small.write_register("format = 1\n");
        }
        let (code, text) = small.run(arguments);
        assert!(code == 2 && text.contains(reason), "{text}");
        let table = small.report("divergences.md");
        assert!(
            table.contains("The run could not be done: ") && table.contains(reason),
            "{table}"
        );
        assert!(!table.contains("**Not accepted**"), "{table}");
        assert!(small.report("report.json").contains(reason));
    }
}

#[test]
fn a_signal_leaves_partial_reports_and_says_so() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        leaves_partial_reports(signal, code);
    }
}

fn leaves_partial_reports(signal: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut child = parity()
        .args(["run", "--side-by-side", "1", "--report"])
        .arg(&report)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let table = report.join("divergences.md");
    let under_way = || fs::read_to_string(&table).is_ok_and(|text| text.contains("has not come to its end"));
    while !under_way() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(
        text.contains("Partial: the run was interrupted after ")
            && text.contains("FAIL, the run was interrupted: "),
        "{text}"
    );
    let table = fs::read_to_string(table).unwrap();
    assert!(
        table.contains("**Partial: the run was interrupted after ") && table.contains("it cannot be signed"),
        "{table}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(report.join("report.json")).unwrap()).unwrap();
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots");
    let recorded = parity::snapshot::snapshots_in(&snapshots).unwrap();
    // Those for servers that others use were recorded nowhere.
    let shared = fs::read_dir(top().join("scenarios/staging")).unwrap().count();
    assert_eq!(json["partial"]["chosen"], recorded.len() + shared);
}

#[test]
fn a_reader_that_goes_away_ends_no_command() {
    let small = Small::new(CRASHES, "format = 2\n");
    let commands: [(&[&str], i32); 6] = [
        (&["show", CRASHES], 0),
        (&["show", "enrollment/nothing"], 2),
        (&["check"], 0),
        (&["run"], 1),
        (&["run", "nothing"], 2),
        (&["accept", CRASHES, "--as", "nothing"], 2),
    ];
    let others: [(&[&str], i32); 4] = [
        (&["list"], 0),
        (&["convert", "scenarios/enrollment/codes_wrong_types.yaml"], 0),
        (&["new", "enrollment/codes_wrong_types"], 2),
        (&["import", "nothing.json"], 2),
    ];
    let own = commands.map(|(arguments, code)| (arguments, code, small.parity(arguments)));
    let others = others.map(|(arguments, code)| {
        let mut command = parity();
        command.args(arguments);
        (arguments, code, command)
    });
    for (arguments, code, mut command) in own.into_iter().chain(others) {
        let gone = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let status = command.stdout(gone()).stderr(gone()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_to_is_no_success() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = parity()
        .arg("list")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("parity: the standard output cannot be written to: ") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = run(parity().args(["completions", shell]));
        assert_eq!(code, 0, "{script}");
        assert!(script.contains("accept") && script.contains("prove"), "{shell}");
    }
    assert_eq!(run(parity().args(["completions", "vms"])).0, 2);
}

#[test]
fn a_signature_covers_the_run_that_was_signed_and_says_what_is_otherwise_later() {
    let small = Small::new(CRASHES, "format = 2\n");
    fs::write(
        small.path("scenarios/checklist.toml"),
        "format = 1\n\n[[item]]\nid = \"way-back\"\nwhat = \"The way back\"\nby_hand = \"Step 7\"\n",
    )
    .unwrap();
    let sign = |arguments: &[&str]| {
        let mut command = parity();
        command.args(["sign", "--report"]).arg(small.path("report"));
        command.arg("--scenarios").arg(small.path("scenarios"));
        run(command.args(arguments))
    };
    let (code, text) = sign(&["--as", "A. Nobody"]);
    assert_eq!((code, text.contains("report.json")), (2, true), "{text}");

    // Something differs that nobody has accepted.
    assert_eq!(small.run(&["run"]).0, 1);
    let (code, text) = sign(&["--as", "A. Nobody"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("the run did not pass") && text.contains("--despite"),
        "{text}"
    );
    assert_eq!(sign(&["--verify"]).0, 1, "nobody has signed");
    let (code, text) = sign(&["--as", "A. Nobody", "--despite", "it is a try"]);
    assert_eq!(
        (code, text.contains("1 scenarios, ")),
        (0, true),
        "how much is signed: {text}"
    );
    let (code, text) = sign(&["--verify"]);
    assert_eq!(
        (code, text.contains("the signature covers what this run showed")),
        (0, true),
        "{text}"
    );

    // Nor is there a signature without the table that was signed, or with another run's.
    let table = small.path("report/divergences.md");
    let whole = fs::read_to_string(&table).unwrap();
    let json = small.path("report/report.json");
    let report = fs::read_to_string(&json).unwrap();
    fs::remove_file(&table).unwrap();
    assert_eq!(sign(&["--verify"]).0, 2);
    fs::write(&table, &whole).unwrap();
    fs::write(&json, report.replacen("\"date\":\"", "\"date\":\"1", 1)).unwrap();
    let (code, text) = sign(&["--as", "A. Nobody", "--despite", "it is a try"]);
    assert_eq!((code, text.contains("do not say the same")), (2, true), "{text}");
    fs::write(&json, report).unwrap();
    assert_eq!(sign(&["--verify"]).0, 0);

    // The same again is covered; with another register it is not.
    let (code, text) = small.run(&["run"]);
    assert_eq!(
        (
            code,
            text.contains("Signed by A. Nobody") && text.contains("covers what")
        ),
        (1, true),
        "{text}"
    );
    small.write_register("format = 2\n# Another one.\n");
    let (_, text) = small.run(&["run"]);
    assert!(
        text.contains("does not cover what this run showed: the register was changed"),
        "{text}"
    );
    assert_eq!(sign(&["--verify"]).0, 1);

    // Changed by hand it says nothing.
    let path = small.path("report/signature.json");
    let signed = fs::read_to_string(&path).unwrap();
    fs::write(&path, signed.replace("A. Nobody", "B. Nobody")).unwrap();
    let (code, text) = sign(&["--verify"]);
    assert_eq!(
        (code, text.contains("it was changed after it was signed")),
        (2, true),
        "{text}"
    );

    // A table that was changed is not signed.
    let table = small.path("report/divergences.md");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replacen("Divergences", "Convergences", 1)).unwrap();
    let (code, text) = sign(&["--as", "A. Nobody", "--despite", "it is a try"]);
    assert_eq!(
        (code, text.contains("is not as the run wrote it")),
        (2, true),
        "{text}"
    );
}

#[test]
fn the_guide_says_what_the_run_proved_and_what_would_prove_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("GUIDE.md");
    fs::copy(top().join("STAGING_GUIDE.md"), &copy).unwrap();
    let report = folder.path().join("report");
    let (code, text) = run(parity()
        .args(["run", "realtime/relays_macro_and_windows", "--report"])
        .arg(&report));
    assert_eq!(code, 0, "{text}");
    let guide = || {
        let mut command = parity();
        command.args(["guide", "--write", "--guide"]).arg(&copy);
        run(command.arg("--report").arg(report.join("report.json")))
    };
    let (code, text) = guide();
    assert_eq!(code, 1, "most items are open: {text}");
    let written = fs::read_to_string(&copy).unwrap();
    assert!(
        written.contains("- [x] Macros and lists of windows are answered (`macros`)  \n  shown by realtime/relays_macro_and_windows\n"),
        "{written}"
    );
    assert!(
        written.contains("open: `parity run enrollment/codes_create_values`"),
        "{written}"
    );
    assert!(
        written.contains("Run of 20") && written.contains("PASS: 1 scenarios"),
        "{written}"
    );
    // Once more it is the same guide.
    guide();
    assert_eq!(fs::read_to_string(&copy).unwrap(), written);

    fs::write(&copy, "a guide of one's own").unwrap();
    let (code, text) = guide();
    assert_eq!((code, text.contains("are missing: put in")), (2, true), "{text}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "a guide of one's own");
}

#[test]
fn the_guide_of_the_project_shows_no_run() {
    let none = ["guide", "--report", "no-such-report.json"];
    let (code, part) = run(parity().args(none));
    assert_eq!(code, 1, "{part}");
    let part = part.rsplit_once("<!-- the end").unwrap().0;
    let guide = fs::read_to_string(top().join("STAGING_GUIDE.md")).unwrap();
    assert!(
        guide.contains(part),
        "`parity guide --report no-such-report.json --write` writes it"
    );
}

#[test]
fn a_program_follows_a_run_line_by_line() {
    let small = Small::new(CRASHES, "format = 2\n");
    let output = small.parity(&["run", "--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["begun", "started", "finished", "verdict", "ended"]);
    assert_eq!(
        (&events[3]["scenario"], &events[3]["outcome"]),
        (&CRASHES.into(), &"different".into())
    );
    let ended = &events[4];
    assert_eq!(
        (&ended["ending"], &ended["exit_code"], &ended["scenarios"]),
        (&"differs".into(), &1.into(), &1.into())
    );
    for report in ended["reports"].as_array().unwrap() {
        assert!(Path::new(report.as_str().unwrap()).is_file(), "{report}");
    }
}

#[test]
fn the_example_of_a_ci_job_calls_what_is_there() {
    let example = fs::read_to_string(top().join("parity/examples/github-actions.yml")).unwrap();
    let calls: Vec<&str> = example
        .lines()
        .filter_map(|line| line.trim().strip_prefix("run: target/release/parity "))
        .collect();
    assert_eq!(calls, ["check", "run --report parity-report", "prove"]);
    for call in calls {
        let output = Command::new(env!("CARGO_BIN_EXE_parity"))
            .args(call.split(' '))
            .arg("--help")
            .output()
            .unwrap();
        assert!(output.status.success(), "{call}: {output:?}");
    }
    for needed in [
        "cargo build --locked --release -p parity",
        "GITHUB_STEP_SUMMARY",
        "path: parity-report/",
    ] {
        assert!(example.contains(needed), "{needed}");
    }
}
