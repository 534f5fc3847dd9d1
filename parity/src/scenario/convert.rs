//! Turns files of format 1 into files of the present format, in which every step does what it did, with the same bytes.

use serde_json::Value;

use super::{
    emit::{straighten, to_yaml},
    model::{Action, FORMAT, FileSource, ModelError, Scenario, Step},
    read,
    template::{fold_repeats, whole_repeat},
    verify::texts,
    yaml::Fault,
};

/// A file of format 1 in the present format.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The new text.
    pub text: String,
    /// The scenario that it holds.
    pub scenario: Scenario,
    /// The number of each step in the file of format 1, in the order of the steps.
    pub numbers: Vec<u32>,
}

/// Converts a file. Nothing where it has the present format already.
///
/// # Errors
/// If the file cannot be read as what it says that it is, or if the result would do anything else.
pub fn convert(name: &str, text: &str) -> Result<Option<Converted>, ModelError> {
    let format = read::format(text).map_err(|fault| ModelError(vec![fault]))?;
    if format == FORMAT {
        // What says that it has the format need not have it.
        Scenario::read(name, text)?;
        return Ok(None);
    }
    let (old, numbers) = read::read_old(name, text)?;
    let text = if by_hand(text) {
        edited(text)
    } else {
        written_anew(&old)
    };
    let scenario = Scenario::read(name, &text)?;
    if let Some(reason) = changed(&old, &scenario) {
        let line = 0;
        let reason = format!("it would not do the same in format {FORMAT}: {reason}. Convert it by hand");
        return Err(ModelError(vec![Fault {
            line,
            column: 0,
            reason,
        }]));
    }
    Ok(Some(Converted {
        text,
        scenario,
        numbers,
    }))
}

/// Whether people wrote the file: importers gave every step its number.
fn by_hand(text: &str) -> bool {
    let steps = text.lines().filter(|line| line.starts_with("  - "));
    !steps.clone().all(|line| line.starts_with("  - id: "))
}

/// The scenario as a program writes it. The times are the recording's and stand in the snapshot.
fn written_anew(old: &Scenario) -> String {
    let mut scenario = old.clone();
    for (step, id) in scenario.steps.iter_mut().zip(1..) {
        step.id = id;
        step.name.clear();
        if old.has_legacy() {
            step.at_us = None;
        }
        if let Action::File { source, .. } = &mut step.action {
            fold(source);
        }
    }
    for (_, source) in &mut scenario.files {
        fold(source);
    }
    for step in &mut scenario.steps {
        fold_action(&mut step.action);
    }
    straighten(&mut scenario);
    to_yaml(&scenario)
}

/// A file that is one text over and over is written as that.
pub(crate) fn fold(source: &mut FileSource) {
    if let FileSource::Mode(source, _) = source {
        return fold(source);
    }
    if let FileSource::Text(text) = source
        && let Some((unit, times)) = whole_repeat(&fold_repeats(text))
        && unit.repeat(times) == *text
    {
        *source = FileSource::Repeat(unit, times);
    }
}

/// Long repeats in what a socket client sends; requests had theirs before.
fn fold_action(action: &mut Action) {
    fn values(value: &mut Value) {
        match value {
            Value::String(text) if !text.contains("${") => *text = fold_repeats(text),
            Value::Array(items) => items.iter_mut().for_each(values),
            Value::Object(fields) => fields.values_mut().for_each(values),
            _ => {}
        }
    }
    if let Action::Socket(super::socket::SocketStep {
        act: super::socket::SocketAct::Emit(emit),
        ..
    }) = action
    {
        emit.arguments.iter_mut().for_each(values);
    }
}

/// The text as its author wrote it, with its remarks; only what is written another way now is changed.
fn edited(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut entry = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("  - ") {
            out.push_str(&edited_entry(&entry));
            entry.clear();
        }
        entry.push_str(line);
    }
    out.push_str(&edited_entry(&entry));
    match out.strip_prefix("format: 1") {
        Some(rest) => format!("format: {FORMAT}{rest}"),
        None => out,
    }
}

/// One step; what stands in a text and only looks like a key is found out by the comparison afterwards.
fn edited_entry(entry: &str) -> String {
    const USUAL: &str = "headers: {Content-Type: application/json";
    // Format 1 has no other `expect`.
    let mut entry = entry
        .replace(", expect: ", ", receive: ")
        .replace("{expect: ", "{receive: ")
        .replace("\n    expect: ", "\n    receive: ");
    let has_json = entry.contains(", json: ") || entry.contains("\n    json: ");
    if has_json && !entry.to_ascii_lowercase().contains("content-type") {
        entry = entry
            .replacen(", json: ", ", content_type: none, json: ", 1)
            .replacen("\n    json: ", "\n    content_type: none\n    json: ", 1);
    } else if has_json {
        entry = entry
            .replace(&format!("\n    {USUAL}}}\n"), "\n")
            .replace(&format!("{USUAL}}}, "), "")
            .replace(&format!("{USUAL}, "), "headers: {");
    }
    entry
}

/// What of a scenario is another in `new`; nothing where it does the same with the same bytes.
fn changed(old: &Scenario, new: &Scenario) -> Option<String> {
    // Steps are counted alike on both sides, so that `upstream` names the same ones.
    let heads = |one: &Scenario| Scenario {
        files: Vec::new(),
        queries: Vec::new(),
        steps: Vec::new(),
        ..one.clone()
    };
    if heads(old) != heads(new) {
        return Some("its head".to_owned());
    }
    let contents = |one: &Scenario| {
        let content = |(path, source): &(String, FileSource)| (path.clone(), unfolded(source));
        one.files.iter().map(content).collect::<Vec<_>>()
    };
    if contents(old) != contents(new) {
        return Some("its files".to_owned());
    }
    if old.steps.len() != new.steps.len() {
        return Some("the number of its steps".to_owned());
    }
    let differs = |(one, other): &(&Step, &Step)| !same(one, other, old);
    let (step, _) = old.steps.iter().zip(&new.steps).find(differs)?;
    Some(format!("the step in line {}", step.line))
}

fn unfolded(source: &FileSource) -> FileSource {
    match source {
        FileSource::Repeat(unit, times) => FileSource::Text(unit.repeat(*times)),
        FileSource::Mode(source, mode) => FileSource::Mode(Box::new(unfolded(source)), *mode),
        other => other.clone(),
    }
}

/// Whether two steps do the same. A value that a step captures and nobody uses makes no difference.
fn same(one: &Step, other: &Step, scenario: &Scenario) -> bool {
    let captured = one
        .captures
        .iter()
        .all(|capture| other.captures.contains(capture));
    let times = other.at_us.is_none() || one.at_us == other.at_us;
    one.who == other.who
        && one.note == other.note
        && times
        && captured
        && one.expect == other.expect
        && sent(&one.action, scenario) == sent(&other.action, scenario)
}

/// What an action does, with everything filled in that is known before it is done.
fn sent(action: &Action, scenario: &Scenario) -> (String, Value) {
    fn fill(value: &mut Value, hostnames: &[(String, String)]) {
        match value {
            Value::String(text) => {
                for (name, hostname) in hostnames {
                    *text = text.replace(name, hostname);
                }
                if !text.contains("${") || whole_repeat(text).is_some() {
                    let filled = super::template::render(text, &super::template::Names::new());
                    *text = filled.unwrap_or_else(|_| text.clone());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| fill(item, hostnames)),
            Value::Object(fields) => fields.values_mut().for_each(|item| fill(item, hostnames)),
            _ => {}
        }
    }
    let hostnames: Vec<_> = scenario
        .agents
        .iter()
        .map(|agent| (format!("${{{}.hostname}}", agent.name), agent.hostname.clone()))
        .collect();
    let mut values = texts(action);
    fill(&mut values, &hostnames);
    let rest = match action {
        Action::Http(request) => {
            let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
            let kind = std::mem::discriminant(&request.body);
            let bytes = match &request.body {
                super::model::RequestBody::Bytes(bytes) => bytes.as_slice(),
                _ => &[],
            };
            format!("{} {names:?} {kind:?} {bytes:?}", request.method)
        }
        Action::Socket(socket) => {
            let fields = socket.written();
            let texts = fields
                .into_iter()
                .filter(|(key, _)| !matches!(*key, "data" | "args"));
            format!("{} {:?}", socket.client, texts.collect::<Vec<_>>())
        }
        Action::File { path, source } => format!("{path} {:?}", unfolded(source)),
        Action::Make { name, .. } => format!("make {name}"),
        other => format!("{other:?}"),
    };
    (rest, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = include_str!("old_format.yaml");

    #[test]
    fn a_file_that_only_says_that_it_has_the_format_is_told() {
        let head = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\n";
        assert!(convert("a/b", &format!("{head}steps: nonsense\n")).is_err());
        assert!(
            convert("a/b", &format!("{head}steps:\n  - get: /health\n"))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_file_of_format_1_becomes_one_that_does_the_same() {
        let converted = convert("enrollment/old", OLD).unwrap().unwrap();
        insta::assert_snapshot!(converted.text);
        let names: Vec<_> = converted
            .numbers
            .iter()
            .zip(&converted.scenario.steps)
            .map(|(number, step)| format!("{number}: {} {}", step.id, step.name))
            .collect();
        insta::assert_snapshot!(names.join("\n"));
        assert!(convert("enrollment/old", &converted.text).unwrap().is_none());
        let (old, _) = read::read_old("enrollment/old", OLD).unwrap();
        assert_eq!(changed(&old, &converted.scenario), None);
        let again = Scenario::read("enrollment/old", &to_yaml(&converted.scenario)).unwrap();
        assert_eq!(to_yaml(&again), converted.text);
    }

    #[test]
    fn what_would_do_something_else_is_found() {
        let (old, _) = read::read_old("enrollment/old", OLD).unwrap();
        let converted = convert("enrollment/old", OLD).unwrap().unwrap();
        for (from, to) in [
            ("ttl_hours\": 3", "ttl_hours\": 4"),
            ("application/json; charset", "text/plain; charset"),
            ("content_type: none", "note: x"),
            ("password: wrong", "password: right"),
            ("SELECT id, code", "SELECT code, id"),
            ("\"times\": 500", "\"times\": 501"),
            (
                "- proof: agent1",
                "- make: {name: agent1.proof, function: ed25519_sign, agent: agent1, parts: []}",
            ),
            ("started_at: 1795448990.335", "started_at: 1795448990.336"),
            ("receive: job", "receive: jobs"),
            ("start: 1", "start: 2"),
        ] {
            let text = converted.text.replacen(from, to, 1);
            assert_ne!(text, converted.text, "{from}");
            let other = Scenario::read("enrollment/old", &text).unwrap_or_else(|error| panic!("{error}"));
            assert!(changed(&old, &other).is_some(), "{from}");
        }
    }

    #[test]
    fn what_people_wrote_keeps_its_form_and_its_remarks() {
        let text = "format: 1\ntitle: T\narea: A\nstarted_at: 1\npolicy: strict\nsteps:\n  # A remark.\n  - login: admin\n  - {as: admin, post: /x, headers: {Content-Type: application/json}, json: {a: b}}\n\n  - {as: admin, post: /x, headers: {Content-Type: application/json, A: b}, json: {a: b}}\n  - {socket: ui, connect: {}}\n  - {socket: ui, expect: it}\n";
        let converted = convert("a/b", text).unwrap().unwrap();
        insta::assert_snapshot!(converted.text, @r"
        format: 2
        title: T
        area: A
        started_at: 1
        policy: strict
        steps:
          # A remark.
          - login: admin
          - {as: admin, post: /x, json: {a: b}}

          - {as: admin, post: /x, headers: {A: b}, json: {a: b}}
          - {socket: ui, connect: {}}
          - {socket: ui, receive: it}
        ");
    }
}
