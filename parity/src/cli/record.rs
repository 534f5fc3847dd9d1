//! `parity record`: a proxy between clients and a server, and at its end a scenario and its snapshot.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use jiff::SignedDuration;

use super::output::{complain, say};
use crate::{
    import::import_recording,
    normalize::sha256_hex,
    record::{Front, Limits, Plan, Proxy, SystemClock, Upstream, agent_of, compose},
    scenario::{agent::Agent, files::stays_inside, model::Scenario, verify},
    target::tls::Verification,
};

/// Arguments of `parity record`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every byte passes as it comes, and a copy of it is read. Ctrl-C, SIGTERM or --for ends the recording, which is \
    then written: `parity run AREA/NAME` replays it at once, over an empty root. So record a server that \
    begins empty too, from its first login on.\n\n\
    Exit codes:\n  0  all that passed is in the scenario\n  2  nothing was written, and why\n  \
    3  it was written, but requests are missing in it, which are told\n\n\
    Examples:\n  parity record --listen 127.0.0.1:5080 --upstream http://127.0.0.1:5000 --out enrollment/recorded\n  \
    parity record --listen 0.0.0.0:5443 --tls --tls-ca-out ca.pem \\\n      \
    --upstream https://staging.example:5000 --ca staging.pem \\\n      \
    --agent-key agent1=agent.key --out realtime/recorded --for 10m"
)]
pub struct Record {
    /// Where clients are to be pointed at.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The server: `http://HOST:PORT` or `https://HOST:PORT`.
    #[arg(long, value_name = "URL")]
    pub upstream: String,
    /// What to write.
    #[arg(long, value_name = "AREA/NAME")]
    pub out: String,
    /// What the scenario tries, in one sentence.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Ends the recording after this time: `90s`, `10m`.
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<SignedDuration>,
    /// An agent's private key (Ed25519: PEM, DER or the seed in base64), and what the scenario calls the agent. What is
    /// signed with it is signed anew in each run; the key is written into the scenario.
    #[arg(long = "agent-key", value_name = "[NAME=]FILE")]
    pub agent_keys: Vec<String>,
    /// An environment variable that the server runs with, beyond the usual ones.
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// The server's root folder, where its answers could show it.
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<String>,
    /// What the snapshot calls the server.
    #[arg(long, value_name = "TEXT", default_value = "a recorded server")]
    pub server: String,
    /// The server's revision.
    #[arg(long, value_name = "TEXT", default_value = "of unknown revision")]
    pub revision: String,
    /// Writes over a scenario that is there, and keeps what people wrote into it, as `parity import` does.
    #[arg(long)]
    pub replace: bool,
    /// Writes passwords as they are, and tokens that were given before the recording began: for a server whose accounts are
    /// not made in the recording.
    #[arg(long)]
    pub keep_secrets: bool,
    /// Writes pages and files of the web client too: for a scenario into whose `files` they are put afterwards.
    #[arg(long)]
    pub keep_pages: bool,
    /// Longer bodies and messages pass too, but are in no step.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body)]
    pub largest_body: usize,
    /// Folder that the snapshot is written to.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
    /// Clients speak TLS with the proxy; it makes an authority of its own, whose certificate they have to trust.
    #[arg(long)]
    pub tls: bool,
    /// Where the certificate of that authority is written; without it, it is printed.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_ca_out: Option<PathBuf>,
    /// Names and addresses of the proxy, besides `localhost` and the address at which it listens.
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub tls_name: Vec<String>,
    /// Trusts what the certificates in this file have signed, in place of what this machine trusts.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Trusts any certificate of the server.
    #[arg(long)]
    pub insecure: bool,
}

type Failure = Box<dyn std::error::Error>;

impl Record {
    /// Records, and writes what was recorded.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        super::exit_code(self.try_run(scenarios))
    }

    fn try_run(&self, scenarios: &Path) -> Result<ExitCode, Failure> {
        let mut plan = self.plan(scenarios)?;
        let duration = self.duration.map(Duration::try_from).transpose()?;
        let trust = match (&self.ca, self.insecure) {
            (Some(file), _) => Verification::Authority(file.clone()),
            (None, true) => Verification::Insecure,
            (None, false) => Verification::System,
        };
        let upstream = Upstream::read(&self.upstream, &trust)?;
        let listener = TcpListener::bind(self.listen)
            .map_err(|error| format!("cannot listen at {}: {error}", self.listen))?;
        let front = self.front()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let journal = runtime.block_on(async {
            let limits = Limits {
                body: self.largest_body,
                ..Limits::default()
            };
            // From here on a signal ends the recording and not the program.
            let ended = ended(duration)?;
            let proxy = Proxy::new(Arc::new(SystemClock), limits);
            let scheme = if self.tls { "https" } else { "http" };
            let address = proxy.serve(listener, front, upstream)?;
            plan.addresses = addresses(scheme, address, &self.tls_name);
            if self.insecure {
                complain!("INSECURE: the certificate of {} is not checked (--insecure)", self.upstream);
            }
            complain!(
                "recording: point clients at {scheme}://{address}, which passes everything on to {}. Ctrl-C ends it",
                self.upstream
            );
            ended.await;
            Ok::<_, Failure>(proxy.finish().await?)
        });
        runtime.shutdown_background();
        let journal = journal?;
        if journal.exchanges() == 0 {
            return Err(format!(
                "no request was answered, so there is nothing to write{}",
                journal.refusals()
            )
            .into());
        }
        self.write(compose(journal, &plan), scenarios)
    }

    fn write(&self, composed: crate::record::Composed, scenarios: &Path) -> Result<ExitCode, Failure> {
        let text = composed.recording.to_string();
        let mut imported = import_recording(&text)?;
        let kept = super::import::write(
            &mut imported,
            &sha256_hex(text.as_bytes()),
            scenarios,
            &self.snapshots,
        )?;
        let path = scenarios.join(format!("{}.yaml", self.out));
        say!("{}: {} steps", path.display(), imported.scenario.steps.len());
        let summary = composed.summary;
        if summary != crate::record::Summary::default() {
            super::output::write_out(format_args!("{summary}"));
        }
        for what in &kept.kept {
            say!("kept: {what}");
        }
        for what in &kept.lost {
            say!("not kept: {what}");
        }
        let written = std::fs::read_to_string(&path)?;
        let scenario = Scenario::read(&self.out, &written)?;
        let folder = path.parent().unwrap_or(scenarios);
        let mut missing = !summary.left_out.is_empty();
        for problem in verify::problems(&scenario, folder) {
            complain!("{}", problem.in_file(&path));
            missing = true;
        }
        for step in &imported.not_runnable {
            complain!("not as it was recorded: {step}");
            missing = true;
        }
        say!("`parity run {}` replays it", self.out);
        Ok(if missing {
            ExitCode::from(INCOMPLETE)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn plan(&self, scenarios: &Path) -> Result<Plan, Failure> {
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let (area, name) = match self.out.split_once('/') {
            Some((area, name)) if fits(area) && fits(name) && stays_inside(&self.out) => (area, name),
            _ => {
                let out = &self.out;
                return Err(format!(
                    "--out {out:?} is no <area>/<name> in small letters, digits and underscores"
                )
                .into());
            }
        };
        let path = scenarios.join(format!("{}.yaml", self.out));
        if path.exists() && !self.replace {
            return Err(format!(
                "{} is there already: choose another name, or --replace it",
                path.display()
            )
            .into());
        }
        // What was recorded for hours is not lost because it cannot be written at the end.
        for folder in [scenarios, &self.snapshots] {
            crate::together::try_folder(&folder.join(area))?;
        }
        let mut agents: Vec<Agent> = Vec::new();
        for given in &self.agent_keys {
            let (name, file) = match given.split_once('=') {
                Some((name, file)) if fits(name) => (name.to_owned(), file),
                _ => (format!("agent{}", agents.len() + 1), given.as_str()),
            };
            let bytes = std::fs::read(file).map_err(|error| format!("--agent-key {file}: {error}"))?;
            let agent = agent_of(&name, &bytes)
                .ok_or_else(|| format!("--agent-key {file}: no Ed25519 key in PEM, DER or base64"))?;
            if agents
                .iter()
                .any(|known| known.name == name || known.seed == agent.seed)
            {
                return Err(format!("--agent-key {file}: this name or key is given twice").into());
            }
            agents.push(agent);
        }
        let env: Result<Vec<_>, String> = self
            .env
            .iter()
            .map(|pair| {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| format!("--env {pair:?} is no NAME=VALUE"))?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect();
        Ok(Plan {
            area: area.to_owned(),
            name: name.to_owned(),
            title: self
                .title
                .clone()
                .unwrap_or_else(|| format!("Recorded on {}; say here what is tried.", super::run::today())),
            server: self.server.clone(),
            revision: self.revision.clone(),
            addresses: Vec::new(),
            agents,
            env: env?,
            root: self.root.clone(),
            keep_secrets: self.keep_secrets,
            keep_pages: self.keep_pages,
        })
    }

    /// How clients are served, and the certificate that they have to trust.
    fn front(&self) -> Result<Front, Failure> {
        if !self.tls {
            return Ok(Front::Plain);
        }
        let mut names = vec!["localhost".to_owned(), self.listen.ip().to_string()];
        names.extend(self.tls_name.iter().cloned());
        let (front, pem) = Front::with_tls(&names)?;
        match &self.tls_ca_out {
            Some(file) => {
                std::fs::write(file, &pem).map_err(|error| format!("{}: {error}", file.display()))?;
                complain!("clients have to trust the certificate in {}", file.display());
            }
            None => complain!("clients have to trust this certificate:\n{pem}"),
        }
        Ok(front)
    }
}

/// Written, but not everything that passed is in it.
const INCOMPLETE: u8 = 3;

/// Under which addresses clients may call a proxy, the one at which it listens first.
fn addresses(scheme: &str, address: SocketAddr, names: &[String]) -> Vec<(String, String)> {
    let mut hosts = vec![address.to_string()];
    let mut also = |name: &str| hosts.push(format!("{name}:{}", address.port()));
    also("localhost");
    if address.ip().is_unspecified() {
        also("127.0.0.1");
    }
    names.iter().for_each(|name| also(name));
    hosts
        .into_iter()
        .map(|host| {
            let base = format!("{scheme}://{host}");
            (host, base)
        })
        .collect()
}

/// Comes to its end when a person or a service manager ends the recording, or the time is over.
fn ended(duration: Option<Duration>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    #[allow(
        clippy::disallowed_methods,
        reason = "somebody has asked for a recording of so much real time"
    )]
    let over = async move {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = over => {}
        }
    })
}
