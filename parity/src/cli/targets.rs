//! The options that choose what is held against what.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;

use crate::{
    campaign::Sides,
    target::{
        Side, Spec,
        endpoint::Url,
        needs::Limits,
        operator::Operator,
        settings::{self, Settings},
        side::Kind,
        tls::Verification,
        url::UrlSettings,
    },
};

/// The variables with name and password of the operator at a server whose URL stands on the command line.
const OPERATOR: [&str; 2] = ["PARITY_OPERATOR", "PARITY_PASSWORD"];
/// The variable with the secret that such a server signs cookies with.
const SECRET: &str = "PARITY_SECRET";

/// What is held against what.
#[derive(Debug, Args)]
pub struct Targets {
    /// The legacy's side: recorded (the snapshots), embedded, a URL, or a name of parity.toml.
    #[arg(
        long,
        default_value = "recorded",
        value_name = "TARGET",
        help_heading = "Targets"
    )]
    pub legacy: String,
    /// The engine's side: embedded (the engine in this process), a URL, or a name of parity.toml.
    #[arg(
        long,
        default_value = "embedded",
        value_name = "TARGET",
        help_heading = "Targets"
    )]
    pub engine: String,
    /// The file that names targets; without it parity.toml, where there is one.
    #[arg(long, value_name = "FILE", help_heading = "Targets")]
    pub parity_toml: Option<PathBuf>,
    /// How long a server at a URL may take to answer.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Targets")]
    pub patience: u64,
    /// Who issued the certificate of an https:// URL, in PEM form; without it whom this machine trusts.
    #[arg(long, value_name = "FILE", help_heading = "Targets")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of the only certificate that is taken from an https:// URL.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca", help_heading = "Targets")]
    pub pin: Option<String>,
    /// Do not look at the certificate of an https:// URL. Every report says so.
    #[arg(long, conflicts_with_all = ["ca", "pin"], help_heading = "Targets")]
    pub insecure: bool,
}

impl Targets {
    /// Both sides, with what stands in these variables. Whether the root folders of started servers are kept is asked for
    /// where scenarios run.
    ///
    /// # Errors
    /// What cannot be chosen, and what to do instead.
    pub fn chosen(
        &self,
        variables: &BTreeMap<String, String>,
        keep: bool,
    ) -> Result<(Side, Arc<Spec>), String> {
        let legacy = match self.legacy.as_str() {
            "recorded" => Side::Recorded,
            other => Side::Live(Arc::new(self.spec(other, variables, keep)?)),
        };
        if self.engine == "recorded" {
            return Err(
                "--engine recorded: the engine's side is a server; what the legacy did is recorded"
                    .to_owned(),
            );
        }
        // Two sides of one server take turns: what one does must not come in between what the other does.
        let engine = match &legacy {
            Side::Live(spec) if self.legacy == self.engine => Arc::clone(spec),
            _ => Arc::new(self.spec(&self.engine, variables, keep)?),
        };
        Ok((legacy, engine))
    }

    fn spec(&self, target: &str, variables: &BTreeMap<String, String>, keep: bool) -> Result<Spec, String> {
        if target == "embedded" {
            return Ok(Spec::embedded());
        }
        if target.contains("://") {
            return Ok(Spec::new(target, self.url(target, variables)?));
        }
        let mut kind = self.settings()?.pick(target, variables)?;
        if let Kind::Process(process) = &mut kind {
            process.keep = keep;
        }
        Ok(Spec::new(target, kind))
    }

    fn settings(&self) -> Result<Settings, String> {
        let usual = Path::new(settings::FILE);
        match &self.parity_toml {
            Some(path) => Settings::load(path).map_err(|error| error.to_string()),
            None if usual.exists() => Settings::load(usual).map_err(|error| error.to_string()),
            None => Settings::parse(usual, "format = 1\n").map_err(|error| error.to_string()),
        }
    }

    fn url(&self, text: &str, variables: &BTreeMap<String, String>) -> Result<Kind, String> {
        let url = Url::read(text).map_err(|error| error.to_string())?;
        let verification = if self.insecure {
            Verification::Insecure
        } else if let Some(pin) = &self.pin {
            Verification::fingerprint(pin)
                .ok_or_else(|| "--pin: the SHA-256 of a certificate is 64 hexadecimal digits".to_owned())?
        } else if let Some(ca) = &self.ca {
            Verification::Authority(ca.clone())
        } else {
            Verification::System
        };
        let [name, password] = OPERATOR;
        let is_set = |variable: &str| variables.get(variable).is_some_and(|value| !value.is_empty());
        let operator = if is_set(name) || is_set(password) {
            Operator::of_variables(variables, name, password)?
        } else {
            Operator::default()
        };
        Ok(Kind::Url(Box::new(UrlSettings {
            text: text.trim_end_matches('/').to_owned(),
            url,
            verification,
            secret: variables.get(SECRET).filter(|value| !value.is_empty()).cloned(),
            operator,
            patience: Duration::from_secs(self.patience),
        })))
    }
}

/// How scenarios run on what was chosen.
#[derive(Debug, Args)]
pub struct Replaying {
    /// Leave the root folders of started servers, and say where they lie.
    #[arg(long, help_heading = "Targets")]
    pub keep: bool,
    /// Run every scenario also on servers that others use. It changes what is there and removes nothing.
    #[arg(long, help_heading = "Targets")]
    pub allow_destructive: bool,
    /// Leave out what waits for longer on a server whose clock cannot be set.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", help_heading = "Targets")]
    pub longest_wait: u64,
    /// Run the legacy's side twice: what it does not agree with itself on is told as noise, and not compared.
    #[arg(long, help_heading = "Targets")]
    pub legacy_twice: bool,
    /// Run each scenario so many times: what does not differ in every run is told as flaky.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20), help_heading = "Targets")]
    pub runs: u8,
    /// Expect none of the differences of the register: for two servers that are to be the same.
    #[arg(long, help_heading = "Targets")]
    pub without_register: bool,
}

impl Replaying {
    /// Both sides, and how often and with which limits scenarios run on them.
    ///
    /// # Errors
    /// What cannot be chosen, and what to do instead.
    pub fn sides(&self, targets: &Targets, variables: &BTreeMap<String, String>) -> Result<Sides, String> {
        if self.legacy_twice && targets.legacy == "recorded" {
            return Err("--legacy-twice runs the legacy's side, and a recording cannot run: name a server with --legacy".to_owned());
        }
        let (legacy, engine) = targets.chosen(variables, self.keep)?;
        Ok(Sides {
            legacy,
            engine,
            limits: Limits {
                longest_wait: Duration::from_secs(self.longest_wait),
                allow_destructive: self.allow_destructive,
            },
            legacy_twice: self.legacy_twice,
            runs: usize::from(self.runs),
        })
    }
}

/// The variables of this process; those that are no UTF-8 are none.
#[allow(
    clippy::disallowed_methods,
    reason = "a command reads its own environment, once; everything else takes it from here"
)]
#[must_use]
pub fn variables() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
