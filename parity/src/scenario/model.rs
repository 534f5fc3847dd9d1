//! A scenario, read and checked.
//!
//! Long because it is one type, and its parts say what they mean.

use serde_json::{Map, Value};

use super::{
    agent::Agent, expect::Expect, made::Made, read, socket::SocketStep, upstream::Upstream, yaml::Fault,
};

/// The version of the format that this program reads and writes.
pub const FORMAT: u32 = 2;

#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `<area folder>/<file name>`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The area as it is shown to people.
    pub area: String,
    /// The entries of the checklist that it covers.
    pub checklist: Vec<String>,
    /// The agents, sorted by name.
    pub agents: Vec<Agent>,
    /// Unix time in microseconds at which step times begin.
    pub started_at_us: i64,
    /// Who may call what the legacy leaves open.
    pub policy: Policy,
    /// Environment variables beyond the usual.
    pub env: Vec<(String, String)>,
    /// Files under the root before the server starts.
    pub files: Vec<(String, FileSource)>,
    /// SQL texts that have a name in the file.
    pub queries: Vec<(String, String)>,
    /// What GitHub answers; nobody answers where this is left out.
    pub upstream: Option<Upstream>,
    /// Whether it may run on a server that others use, and what it leaves there.
    pub shared: Option<Shared>,
    pub steps: Vec<Step>,
}

/// A scenario that may run on a server that others use: its names begin with `${run}`, and it removes what it made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// What no route removes, with templates.
    pub leaves: Vec<String>,
}

/// The access policy that the scenario runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody is checked where the legacy checks nobody.
    Legacy,
    /// Operator routes want an operator.
    Strict,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    Text(String),
    Bytes(Vec<u8>),
    /// A text over and over.
    Repeat(String, usize),
    /// A file beside the scenario, as a path relative to the scenario's folder.
    Beside(String),
    /// A symbolic link to this path, which is relative to the folder that the link lies in. Before the start only.
    Link(String),
    /// One of the others, with these permission bits. Before the start only.
    Mode(Box<FileSource>, u32),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its place in the file, from 1; what shorthands stand for counts too.
    pub id: u32,
    /// Its name, which no other step of the scenario has.
    pub name: String,
    /// The line in the YAML file; 0 where there is none.
    pub line: u64,
    /// Whose cookies are used.
    pub who: Option<String>,
    /// A remark for people.
    pub note: String,
    /// Microseconds since the start at which the step is over.
    pub at_us: Option<i64>,
    pub action: Action,
    /// What later steps may name, and where it is found.
    pub captures: Vec<(String, Capture)>,
    /// What the scenario itself says that it must show.
    pub expect: Expect,
    /// Whether of lists in its answer only what mentions `${run}` counts: the others' entries are not the scenario's.
    pub only_own: bool,
}

impl Step {
    /// The names that later steps may use from here on.
    pub fn defines(&self) -> impl Iterator<Item = &str> {
        let (set, made) = match &self.action {
            Action::Set(values) => (values.as_slice(), None),
            Action::Make { name, .. } => (&[][..], Some(name)),
            _ => (&[][..], None),
        };
        let captured = self.captures.iter().map(|(name, _)| name);
        let set = set.iter().map(|(name, _)| name);
        captured.chain(set).chain(made).map(String::as_str)
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Http(Request),
    /// Literal values get names.
    Set(Vec<(String, Value)>),
    /// A client computes a value.
    Make {
        name: String,
        made: Made,
        /// The function and its fields as they are written.
        fields: Map<String, Value>,
    },
    /// The database is changed from outside.
    Sql {
        statement: String,
        /// Parameters by position.
        params: Vec<Value>,
    },
    /// The database is read.
    Rows {
        statement: String,
        /// Parameters by position.
        params: Vec<Value>,
    },
    /// Time passes.
    Wait {
        microseconds: i64,
    },
    /// The server is stopped and started over the same root.
    Restart,
    /// A file is written while the server runs.
    File {
        /// Path under the root.
        path: String,
        /// What it holds.
        source: FileSource,
    },
    /// A Socket.IO client does something.
    Socket(SocketStep),
    /// A fact that cannot be replayed.
    Check(Value),
}

/// One HTTP request, with templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path with the query, exactly as it is sent.
    pub path: String,
    /// The headers in order.
    pub headers: Vec<(String, String)>,
    pub body: RequestBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// None.
    Empty,
    /// Sent as compact JSON.
    Json(Value),
    /// Sent as it stands.
    Text(String),
    /// Sent as it stands, without templates.
    Bytes(Vec<u8>),
}

/// Where a captured value is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// JSON pointer into the body, or into the rows.
    Pointer(String),
    /// A cookie that the answer sets.
    Cookie(String),
    /// A header of the answer.
    Header(String),
    /// A claim of a token that the pointer finds.
    Claim {
        /// JSON pointer to the token in the body.
        token: String,
        /// JSON pointer into its claims.
        claim: String,
    },
    /// JSON pointer into the first Engine.IO packet of a polling answer that has something there.
    Packet(String),
}

/// Why a scenario cannot be read: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError(pub Vec<Fault>);

impl std::fmt::Display for ModelError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ModelError {}

/// The methods a step may use, as key and as sent.
pub const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

/// Seconds as written in the files, in microseconds.
#[allow(
    clippy::cast_possible_truncation,
    reason = "microseconds of any date fit exactly; absurd values saturate"
)]
pub fn microseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

impl Scenario {
    /// Whether there is anything of the legacy to compare it with. The legacy has no access policy but its own, so
    /// what the strict one refuses is the project's own to say: such scenarios have approved transcripts instead.
    pub fn has_legacy(&self) -> bool {
        self.policy == Policy::Legacy
    }

    /// The number of the last step; what is seen once the steps are over has the numbers after it.
    pub fn last_step(&self) -> u32 {
        self.steps.iter().map(|step| step.id).max().unwrap_or_default()
    }

    /// Each step with when it was over when the scenario was recorded, in microseconds since the start.
    pub fn step_ends(&self) -> Vec<(u32, i64)> {
        let mut at = 0;
        let ends = self.steps.iter().map(|step| {
            at = step.at_us.unwrap_or(at);
            (step.id, at)
        });
        ends.collect()
    }

    /// Takes the steps' times out, in the order of the steps: they stand in the snapshot.
    pub fn take_times(&mut self) -> Vec<Option<i64>> {
        self.steps.iter_mut().map(|step| step.at_us.take()).collect()
    }

    /// Gives the steps, in their order, the times at which they were over when the scenario was recorded. A step that has
    /// a time of its own keeps it.
    #[must_use]
    pub fn with_times(mut self, times: impl IntoIterator<Item = Option<i64>>) -> Self {
        for (step, at_us) in self.steps.iter_mut().zip(times) {
            step.at_us = step.at_us.or(at_us);
        }
        self
    }

    /// Whether any step says itself what it must show.
    pub fn expects(&self) -> bool {
        self.steps.iter().any(|step| !step.expect.is_empty())
    }

    /// Reads a scenario from its YAML text.
    ///
    /// # Errors
    /// Everything because of which the text is no scenario of this format.
    pub fn read(name: &str, text: &str) -> Result<Self, ModelError> {
        read::read(name, text)
    }
}

impl Step {
    /// Whether it only waits or looks: whatever comes meanwhile was caused by something else.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        match &self.action {
            Action::Rows { .. } | Action::Set(_) | Action::Make { .. } | Action::Check(_) => true,
            Action::Socket(socket) => socket.only_waits(),
            _ => false,
        }
    }

    /// Whether later steps can capture from it.
    pub(super) fn shows_data(&self) -> bool {
        match &self.action {
            Action::Http(_) | Action::Rows { .. } => true,
            Action::Socket(socket) => socket.shows_data(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "format: 2\ntitle: T\narea: A\nstarted_at: 1795448990.335\nagents: {agent1: {hostname: H}}\nsteps:\n";

    #[test]
    fn a_scenario_is_read_as_people_write_it() {
        let text = format!(
            "{HEAD}  - as: admin\n    post: /x\n    json: {{ ttl: 1, n: null, \"f\": 1.5 }}\n    capture: {{ code: /code }}\n  - name: seven\n    rows: SELECT 1\n"
        );
        let scenario = Scenario::read("a/b", &text).unwrap();
        assert_eq!(scenario.started_at_us, 1_795_448_990_335_000);
        assert_eq!(
            scenario
                .steps
                .iter()
                .map(|step| (step.id, step.name.as_str()))
                .collect::<Vec<_>>(),
            [(1, "POST x"), (2, "seven")]
        );
        assert_eq!(
            scenario.steps[0].captures,
            [("code".to_owned(), Capture::Pointer("/code".to_owned()))]
        );
        let Action::Http(request) = &scenario.steps[0].action else {
            panic!("a request")
        };
        assert_eq!(
            request.body,
            RequestBody::Json(serde_json::json!({"ttl": 1, "n": null, "f": 1.5}))
        );
        let null = Scenario::read("a/b", &format!("{HEAD}  - post: /x\n    json: null\n")).unwrap();
        let Action::Http(request) = &null.steps[0].action else {
            panic!("a request")
        };
        assert_eq!(request.body, RequestBody::Json(Value::Null));
    }

    #[test]
    fn every_mistake_names_its_place() {
        let read = |steps: &str| {
            Scenario::read("a/b", &format!("{HEAD}{steps}"))
                .unwrap_err()
                .to_string()
        };
        let all = read(
            "  - socket: ui\n  - get: /\n    sql: X\n  - get: /\n    jsno: {}\n  - as: admin\n  - make: {name: p, function: nothing}\n  - {get: /, as: no}\n  - {get: /, headers: {X: 0123}}\n  - rows: codes\n  - {name: x, get: /}\n  - {name: x, get: /}\n  - {get: /, expect: {status: none}}\n  - {wait: 1, expect: {status: 200}}\n  - {post: /, body: x, json: 1}\n  - {sql: DELETE FROM x, content_type: none}\n",
        );
        insta::assert_snapshot!(all);
    }

    #[test]
    fn other_formats_are_told() {
        let read = |text: &str| Scenario::read("a/b", text).unwrap_err().to_string();
        assert!(read("format: 3\nstrange: 1\n").contains("newer than this program"));
        assert!(read("format: 1\n").contains("parity convert"));
        assert!(read("title: T\n").contains("`format: 2`"));
    }

    #[test]
    fn json_implies_its_content_type_and_nothing_else_does() {
        let text = format!(
            "{HEAD}  - {{post: /, json: {{}}}}\n  - {{post: /, json: {{}}, headers: {{A: b}}}}\n  - {{post: /, json: {{}}, headers: {{A: b, content-type: t}}}}\n  - {{post: /, json: {{}}, content_type: none}}\n  - {{post: /, body: x}}\n"
        );
        let scenario = Scenario::read("a/b", &text).unwrap();
        let headers: Vec<Vec<String>> = scenario
            .steps
            .iter()
            .map(|step| match &step.action {
                Action::Http(request) => request
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
        let json = "Content-Type: application/json";
        assert_eq!(
            headers,
            [
                vec![json],
                vec![json, "A: b"],
                vec!["A: b", "content-type: t"],
                vec![],
                vec![]
            ]
        );
    }

    #[test]
    fn times_are_given_in_the_order_of_the_steps() {
        let scenario = Scenario::read("a/b", &format!("{HEAD}  - get: /\n  - {{get: /, at: 5}}\n")).unwrap();
        let timed = scenario.with_times([Some(7), Some(8)]);
        assert_eq!(
            (timed.steps[0].at_us, timed.steps[1].at_us),
            (Some(7), Some(5_000_000))
        );
    }

    #[test]
    fn files_before_the_start_may_be_links_and_have_modes() {
        let read = |files: &str| {
            let text =
                format!("format: 2\ntitle: T\narea: A\nstarted_at: 1\nfiles:\n{files}steps:\n  - get: /\n");
            Scenario::read("a/b", &text)
        };
        let files =
            "  bin/run:\n    mode: \"0755\"\n    text: \"#!/bin/sh\"\n  in/link:\n    link: \"../bin/run\"\n";
        let scenario = read(files).unwrap();
        let text = FileSource::Text("#!/bin/sh".to_owned());
        assert_eq!(
            scenario.files,
            [
                ("bin/run".to_owned(), FileSource::Mode(Box::new(text), 0o755)),
                ("in/link".to_owned(), FileSource::Link("../bin/run".to_owned()))
            ]
        );
        let written = crate::scenario::emit::to_yaml(&scenario);
        assert!(written.contains(files), "{written}");
        for (files, fault) in [
            ("  f: {link: ../x}\n", "leaves the root"),
            ("  f: {link: x, mode: \"0755\"}\n", "a link has no mode"),
            ("  f: {link: x, text: y}\n", "text"),
            ("  f: {text: y, mode: rwx}\n", "rwx is no mode"),
            ("  f: {mode: \"0755\"}\n", "exactly one of"),
        ] {
            let faults = read(files).unwrap_err().to_string();
            assert!(faults.contains(fault), "{files}: {faults}");
        }
    }

    #[test]
    fn queries_are_named_once_and_repeats_are_written_out() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nqueries: {codes: SELECT 1}\nfiles: {f: {repeat: {text: ab, times: 3}}}\nsteps:\n  - rows: codes\n  - {post: /, repeat: {text: x, times: 5}}\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        assert!(
            matches!(&scenario.steps[0].action, Action::Rows { statement, .. } if statement == "SELECT 1")
        );
        assert_eq!(scenario.steps[0].name, "rows codes");
        assert_eq!(scenario.files[0].1, FileSource::Repeat("ab".to_owned(), 3));
        assert!(
            matches!(&scenario.steps[1].action, Action::Http(request) if request.body == RequestBody::Text("${repeat:x:5}".to_owned()))
        );
    }
}
