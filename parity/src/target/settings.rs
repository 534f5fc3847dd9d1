//! `parity.toml`: the servers that a run may be pointed at by name. Every mistake in it is told, with its line.
//!
//! Long because it is a list: one key of the file after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use toml_edit::{Document, Item, TableLike, Value};

use super::{
    endpoint::Url,
    operator::Operator,
    process::ProcessSettings,
    root::{Template, WEB},
    side::Kind,
    tls::Verification,
    url::UrlSettings,
};

/// The name of the file.
pub const FILE: &str = "parity.toml";
/// The version of the file that this program reads.
const FORMAT: i64 = 1;
/// How long a server may take to answer, unless a target says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The variables of this process that a server gets without being named.
const PASSED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];
/// Words that stand for something else.
const TAKEN: [&str; 2] = ["recorded", "embedded"];

/// The file cannot be used: every mistake in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// The mistakes, each with its line; line 0 is the file itself.
    pub faults: Vec<(usize, String)>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (line, reason)) in self.faults.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            match line {
                0 => write!(out, "{end}{}: {reason}", self.path.display())?,
                line => write!(out, "{end}{}:{line}: {reason}", self.path.display())?,
            }
        }
        Ok(())
    }
}

/// The targets of a file, by name.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    path: PathBuf,
    targets: BTreeMap<String, Described>,
}

/// A target as the file describes it; what stands in variables and other files is looked up when it is picked.
#[derive(Clone, Debug)]
struct Described {
    line: usize,
    kind: Kind,
    passed: Vec<String>,
    operator: Source,
    secret: Option<String>,
}

/// Where an operator's name and password stand.
#[derive(Clone, Debug)]
enum Source {
    First,
    Variables(String, String),
    File(PathBuf),
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) => Err(SettingsError {
                path: path.to_owned(),
                faults: vec![(0, error.to_string())],
            }),
        }
    }

    /// Reads the text of a file; what is relative in it is so to the folder of `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut reader = Reader {
            text,
            folder: std::path::absolute(path)
                .ok()
                .and_then(|path| path.parent().map(Path::to_owned))
                .unwrap_or_default(),
            faults: Vec::new(),
        };
        let targets = match Document::parse(text) {
            Ok(document) => reader.file(document.as_table()),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                reader.fault_at(at, error.message());
                BTreeMap::new()
            }
        };
        let mut faults = reader.faults;
        if faults.is_empty() {
            return Ok(Self {
                path: path.to_owned(),
                targets,
            });
        }
        faults.sort();
        Err(SettingsError {
            path: path.to_owned(),
            faults,
        })
    }

    /// The names that there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// A target, with what stands in these variables and in other files.
    ///
    /// # Errors
    /// What is missing, as a sentence.
    pub fn pick(&self, name: &str, variables: &BTreeMap<String, String>) -> Result<Kind, String> {
        let Some(target) = self.targets.get(name) else {
            let mut names: Vec<&str> = self.names().collect();
            names.sort_by_key(|known| strsim::osa_distance(known, name));
            let known = if names.is_empty() {
                format!("{} names none", self.path.display())
            } else {
                format!("{} names {}", self.path.display(), names.join(", "))
            };
            return Err(format!(
                "there is no target {name}: it is `recorded`, `embedded`, a URL, or a name of parity.toml ({known})"
            ));
        };
        let wrong =
            |reason: String| format!("{}:{}: target {name}: {reason}", self.path.display(), target.line);
        let operator = match &target.operator {
            Source::First => Ok(Operator::default()),
            Source::Variables(user, password) => Operator::of_variables(variables, user, password),
            Source::File(path) => Operator::of_file(path),
        };
        let operator = operator.map_err(wrong)?;
        let mut kind = target.kind.clone();
        match &mut kind {
            Kind::Embedded => {}
            Kind::Url(url) => {
                url.operator = operator;
                if let Some(variable) = &target.secret {
                    let secret = variables.get(variable).filter(|value| !value.is_empty()).cloned();
                    let secret =
                        secret.ok_or_else(|| wrong(format!("the variable {variable} is not set")))?;
                    url.secret = Some(secret);
                }
            }
            Kind::Process(process) => {
                if let Some(template) = &process.template {
                    let folder = template.folder.display();
                    if !template.folder.is_dir() {
                        return Err(wrong(format!("its template {folder} is no folder")));
                    }
                    let is_missing = |path: &&String| !template.folder.join(path).exists();
                    if let Some(path) = template.linked.iter().find(is_missing) {
                        return Err(wrong(format!(
                            "`linked`: there is no {path} in its template {folder}"
                        )));
                    }
                }
                process.operator = operator;
                process.secret.clone_from(&target.secret);
                let usual = PASSED.iter().map(|name| (*name).to_owned());
                for variable in usual.chain(target.passed.iter().cloned()) {
                    if let Some(value) = variables.get(&variable) {
                        process
                            .environment
                            .entry(variable)
                            .or_insert_with(|| value.clone());
                    } else if target.passed.contains(&variable) {
                        return Err(wrong(format!("the variable {variable} is not set")));
                    }
                }
            }
        }
        Ok(kind)
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Where the file lies.
    folder: PathBuf,
    faults: Vec<(usize, String)>,
}

/// A table of which keys are taken one after the other.
struct Keys<'a> {
    table: &'a dyn TableLike,
    what: String,
    taken: BTreeSet<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(table: &'a dyn TableLike, what: impl Into<String>) -> Self {
        Self {
            table,
            what: what.into(),
            taken: BTreeSet::new(),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Item> {
        self.taken.insert(key);
        self.table.get(key)
    }
}

impl Reader<'_> {
    fn fault_at(&mut self, at: usize, reason: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        self.faults
            .push((before.matches('\n').count() + 1, reason.into()));
    }

    fn fault(&mut self, item: &Item, reason: impl Into<String>) {
        self.fault_at(item.span().map_or(0, |span| span.start), reason);
    }

    fn line(&self, table: &dyn TableLike, key: &str) -> usize {
        let start = table
            .get_key_value(key)
            .and_then(|(key, _)| key.span())
            .map_or(0, |span| span.start);
        self.text.get(..start).unwrap_or_default().matches('\n').count() + 1
    }

    /// Tells every key that nobody took.
    fn end(&mut self, keys: &Keys<'_>) {
        for (key, item) in keys.table.iter() {
            if !keys.taken.contains(key) {
                let at = keys.table.get_key_value(key).and_then(|(key, _)| key.span());
                let at = at.or_else(|| item.span()).map_or(0, |span| span.start);
                let known: Vec<&str> = keys.taken.iter().copied().collect();
                let reason = format!("{} has no `{key}`; it may have {}", keys.what, known.join(", "));
                self.fault_at(at, reason);
            }
        }
    }

    fn text(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
        let item = keys.take(key)?;
        let text = item.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.fault(item, format!("`{key}` is a text, and not empty"));
        }
        text.map(str::to_owned)
    }

    fn texts(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<Vec<String>> {
        let item = keys.take(key)?;
        let all: Option<Vec<String>> = item.as_array().and_then(|array| {
            let texts = array.iter().map(|value| value.as_str().map(str::to_owned));
            texts.collect()
        });
        if all.is_none() {
            self.fault(item, format!("`{key}` is a list of texts"));
        }
        all
    }

    fn whole(&mut self, keys: &mut Keys<'_>, key: &'static str, most: i64) -> Option<u64> {
        let item = keys.take(key)?;
        let number = item.as_integer().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.fault(item, format!("`{key}` is a whole number from 1 to {most}"));
        }
        number.and_then(|number| u64::try_from(number).ok())
    }

    fn seconds(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<Duration> {
        self.whole(keys, key, 3600).map(Duration::from_secs)
    }

    /// A table within another one; where it is something else that is told.
    fn table<'t>(&mut self, keys: &mut Keys<'t>, key: &'static str) -> Option<Keys<'t>> {
        let item = keys.take(key)?;
        match item.as_table_like() {
            Some(table) => Some(Keys::of(table, format!("`{key}`"))),
            None => {
                self.fault(item, format!("`{key}` is a table"));
                None
            }
        }
    }

    fn file(&mut self, root: &dyn TableLike) -> BTreeMap<String, Described> {
        let mut keys = Keys::of(root, "the file");
        match keys.take("format") {
            Some(item) if item.as_integer() == Some(FORMAT) => {}
            Some(item) => {
                let reason = match item.as_integer() {
                    Some(newer) if newer > FORMAT => {
                        format!("format {newer} is newer than this program, which reads {FORMAT}")
                    }
                    _ => format!("the format is {FORMAT}"),
                };
                self.fault(item, reason);
                return BTreeMap::new();
            }
            None => self.fault_at(0, format!("the file begins with `format = {FORMAT}`")),
        }
        let mut targets = BTreeMap::new();
        if let Some(all) = self.table(&mut keys, "targets") {
            for (name, item) in all.table.iter() {
                let line = self.line(all.table, name);
                let fits = !name.is_empty()
                    && name
                        .chars()
                        .all(|one| one.is_ascii_alphanumeric() || "-_".contains(one));
                if !fits || TAKEN.contains(&name) {
                    self.fault(
                        item,
                        format!("`{name}`: a target's name is letters, digits, - and _, and not recorded or embedded"),
                    );
                }
                match item.as_table_like() {
                    Some(table) => {
                        if let Some(target) = self.target(name, line, table) {
                            targets.insert(name.to_owned(), target);
                        }
                    }
                    None => self.fault(item, format!("`{name}` is a table: [targets.{name}]")),
                }
            }
        }
        self.end(&keys);
        targets
    }

    fn target(&mut self, name: &str, line: usize, table: &dyn TableLike) -> Option<Described> {
        let mut keys = Keys::of(table, format!("the target `{name}`"));
        let tls = self.tls(&mut keys);
        let operator = self.operator(&mut keys);
        let secret = self.text(&mut keys, "secret");
        let patience = self.seconds(&mut keys, "patience_seconds").unwrap_or(PATIENCE);
        let url = self.text(&mut keys, "url");
        let command = self.texts(&mut keys, "command");
        let (kind, passed) = match (url, command) {
            (Some(text), None) => (self.url(&keys, text, tls, patience)?, Vec::new()),
            (None, Some(command)) => {
                let passed = self.texts(&mut keys, "pass").unwrap_or_default();
                let process = self.process(&mut keys, command, tls, patience)?;
                (Kind::Process(Box::new(process)), passed)
            }
            _ => {
                self.faults.push((
                    line,
                    format!("the target `{name}` has either a `url` or a `command`"),
                ));
                return None;
            }
        };
        self.end(&keys);
        Some(Described {
            line,
            kind,
            passed,
            operator,
            secret,
        })
    }

    fn url(
        &mut self,
        keys: &Keys<'_>,
        text: String,
        tls: Option<Verification>,
        patience: Duration,
    ) -> Option<Kind> {
        let item = keys.table.get("url")?;
        let url = match Url::read(&text) {
            Ok(url) => url,
            Err(error) => {
                self.fault(item, error.to_string());
                return None;
            }
        };
        if !url.is_tls && tls.is_some() {
            self.fault(item, "`tls` is for an https:// URL");
        }
        Some(Kind::Url(Box::new(UrlSettings {
            text,
            url,
            verification: tls.unwrap_or_default(),
            secret: None,
            operator: Operator::default(),
            patience,
        })))
    }

    fn process(
        &mut self,
        keys: &mut Keys<'_>,
        mut command: Vec<String>,
        tls: Option<Verification>,
        patience: Duration,
    ) -> Option<ProcessSettings> {
        match command.first_mut() {
            // A path is the file's own, a bare name is looked for in PATH.
            Some(program) if program.contains('/') && !program.starts_with('{') => {
                *program = self.folder.join(&*program).display().to_string();
            }
            Some(program) if !program.is_empty() => {}
            _ => {
                let item = keys.table.get("command")?;
                self.fault(item, "the command begins with a program");
            }
        }
        let environment = self.environment(keys);
        let (mut ready_path, mut ready_within) = ("/health".to_owned(), Duration::from_secs(60));
        if let Some(mut ready) = self.table(keys, "ready") {
            ready_path = self.text(&mut ready, "path").unwrap_or(ready_path);
            ready_within = self.seconds(&mut ready, "within_seconds").unwrap_or(ready_within);
            if !ready_path.starts_with('/')
                && let Some(item) = ready.table.get("path")
            {
                self.fault(item, "the path of `ready` begins with /");
            }
            self.end(&ready);
        }
        let (mut stop_signal, mut stop_within) = (Signal::TERM, Duration::from_secs(15));
        if let Some(mut stop) = self.table(keys, "stop") {
            if let Some(name) = self.text(&mut stop, "signal") {
                match signal(&name) {
                    Some(known) => stop_signal = known,
                    None => {
                        if let Some(item) = stop.table.get("signal") {
                            self.fault(item, "the signal is TERM, INT, QUIT, HUP or KILL");
                        }
                    }
                }
            }
            stop_within = self.seconds(&mut stop, "within_seconds").unwrap_or(stop_within);
            self.end(&stop);
        }
        let directory = self.text(keys, "directory").unwrap_or_else(|| ".".to_owned());
        let template = self.template(keys);
        let port = self
            .whole(keys, "port", 65_535)
            .and_then(|port| u16::try_from(port).ok());
        let names_port = command
            .iter()
            .chain(environment.values())
            .any(|text| text.contains("{port}"));
        if port.is_none()
            && !names_port
            && let Some(item) = keys.table.get("command")
        {
            let reason = "nothing tells the server its port: `{port}` stands neither in `command` nor in `environment`, \
                          and there is no `port` that it always has";
            self.fault(item, reason);
        }
        Some(ProcessSettings {
            command,
            environment,
            directory: if directory.starts_with('{') {
                directory.into()
            } else {
                self.folder.join(directory)
            },
            ready_path,
            ready_within,
            stop_signal,
            stop_within,
            database: self
                .inside(keys, "database")
                .unwrap_or_else(|| "database.db".to_owned()),
            secret: None,
            port,
            template,
            web: self.inside(keys, "web").unwrap_or_else(|| WEB.to_owned()),
            tls,
            operator: Operator::default(),
            patience,
            keep: false,
        })
    }

    /// What a root begins as.
    fn template(&mut self, keys: &mut Keys<'_>) -> Option<Template> {
        let folder = self.text(keys, "template").map(|path| self.folder.join(path));
        let linked = self.texts(keys, "linked");
        if let (Some(paths), Some(item)) = (&linked, keys.table.get("linked")) {
            if folder.is_none() {
                self.fault(item, "`linked` names parts of a `template`, and there is none");
            }
            if paths
                .iter()
                .any(|path| !crate::scenario::files::stays_inside(path))
            {
                self.fault(item, "`linked` is a list of paths in the template");
            }
        }
        folder.map(|folder| Template {
            folder,
            linked: linked.unwrap_or_default(),
        })
    }

    /// A path under the root.
    fn inside(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
        let path = self.text(keys, key)?;
        if !crate::scenario::files::stays_inside(&path)
            && let Some(item) = keys.table.get(key)
        {
            self.fault(item, format!("`{key}` is a path under the root"));
        }
        Some(path)
    }

    fn environment(&mut self, keys: &mut Keys<'_>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let Some(table) = self.table(keys, "environment") else {
            return all;
        };
        for (name, item) in table.table.iter() {
            match item.as_str() {
                Some(value) if !name.is_empty() && !name.contains('=') => {
                    all.insert(name.to_owned(), value.to_owned());
                }
                _ => self.fault(item, format!("the variable `{name}` is a text: quote it")),
            }
        }
        all
    }

    fn tls(&mut self, keys: &mut Keys<'_>) -> Option<Verification> {
        let item = keys.table.get("tls");
        let mut tls = self.table(keys, "tls")?;
        let path = |text: String, folder: &Path| {
            if text.starts_with('{') {
                PathBuf::from(text)
            } else {
                folder.join(text)
            }
        };
        let mut all = Vec::new();
        if let Some(text) = self.text(&mut tls, "ca") {
            all.push(Verification::Authority(path(text, &self.folder)));
        }
        if let Some(text) = self.text(&mut tls, "certificate") {
            all.push(Verification::Certificate(path(text, &self.folder)));
        }
        if let Some(text) = self.text(&mut tls, "fingerprint") {
            match (Verification::fingerprint(&text), tls.table.get("fingerprint")) {
                (Some(fingerprint), _) => all.push(fingerprint),
                (None, Some(item)) => {
                    self.fault(
                        item,
                        "the fingerprint is the certificate's SHA-256, 64 hexadecimal digits",
                    );
                }
                (None, None) => {}
            }
        }
        match tls
            .take("insecure")
            .map(|item| (item, item.as_value().and_then(Value::as_bool)))
        {
            Some((_, Some(true))) => all.push(Verification::Insecure),
            Some((_, Some(false))) | None => {}
            Some((item, None)) => self.fault(item, "`insecure` is true or false"),
        }
        self.end(&tls);
        if all.len() > 1
            && let Some(item) = item
        {
            self.fault(item, "`tls` has one of ca, certificate, fingerprint and insecure");
        }
        Some(all.into_iter().next().unwrap_or_default())
    }

    fn operator(&mut self, keys: &mut Keys<'_>) -> Source {
        let item = keys.table.get("operator");
        let Some(mut operator) = self.table(keys, "operator") else {
            return Source::First;
        };
        let name = self.text(&mut operator, "name_variable");
        let password = self.text(&mut operator, "password_variable");
        let file = self.text(&mut operator, "file");
        self.end(&operator);
        match (name, password, file) {
            (Some(name), Some(password), None) => Source::Variables(name, password),
            (None, None, Some(file)) => Source::File(self.folder.join(file)),
            _ => {
                if let Some(item) = item {
                    let reason = "`operator` has name_variable and password_variable, or a file; never a password itself";
                    self.fault(item, reason);
                }
                Source::First
            }
        }
    }
}

fn signal(name: &str) -> Option<Signal> {
    Some(match name.trim_start_matches("SIG") {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
