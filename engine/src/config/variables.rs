//! The process's variables, and the names that the server knows.

use std::{collections::BTreeMap, ffi::OsString};

use super::settings::whole_seconds;

/// Every variable beginning with `BOREALIS_` that has a meaning to this server, to the legacy server whose
/// environment file it shares, or to its agents.
pub const KNOWN_VARIABLES: &[&str] = &[
    "BOREALIS_ACCESS_LOG",
    "BOREALIS_ACCESS_POLICY",
    "BOREALIS_AGENT_CERT_ROOT",
    "BOREALIS_API_GROUPS",
    "BOREALIS_CACHE_DIR",
    "BOREALIS_CERTIFICATES_ROOT",
    "BOREALIS_CERT_ROOT",
    "BOREALIS_COOKIE_DOMAIN",
    "BOREALIS_COOKIE_SAMESITE",
    "BOREALIS_COOKIE_SECURE",
    "BOREALIS_CORS_ALLOWED_ORIGINS",
    "BOREALIS_CORS_ORIGINS",
    "BOREALIS_DATABASE_PATH",
    "BOREALIS_DEBUG",
    "BOREALIS_ENGINE_API",
    "BOREALIS_ENGINE_AUTO_MIGRATE",
    "BOREALIS_FLASK_SECRET_KEY",
    "BOREALIS_GITHUB_API_URL",
    "BOREALIS_GITHUB_TOKEN",
    "BOREALIS_HOST",
    "BOREALIS_JOB_HISTORY_DAYS",
    "BOREALIS_LOG_FORMAT",
    "BOREALIS_METRICS_ADDR",
    "BOREALIS_MFA_ISSUER",
    "BOREALIS_PORT",
    "BOREALIS_PROJECT_ROOT",
    "BOREALIS_PROXY_ALLOW",
    "BOREALIS_PUBLIC_URL",
    "BOREALIS_REPO",
    "BOREALIS_REPO_BRANCH",
    "BOREALIS_REPO_HASH_REFRESH",
    "BOREALIS_ROOT",
    "BOREALIS_SECRET",
    "BOREALIS_SECRET_KEY",
    "BOREALIS_SERVER_CERT_ROOT",
    "BOREALIS_SERVER_ROOT",
    "BOREALIS_SIM_RUN_SECONDS",
    "BOREALIS_STATIC_ROOT",
    "BOREALIS_TLS",
    "BOREALIS_TLS_NAMES",
    "BOREALIS_TOKEN_TTL_SECONDS",
    "BOREALIS_TRUSTED_PROXIES",
];

/// Variables that somebody may set in good faith, and that change nothing here: what to do instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("BOREALIS_CERT_DIR", CERTIFICATES),
    ("BOREALIS_TLS_BUNDLE", CERTIFICATES),
    ("BOREALIS_TLS_CERT", CERTIFICATES),
    ("BOREALIS_TLS_KEY", CERTIFICATES),
];
const CERTIFICATES: &str = "the certificate and its key are those in the folder of BOREALIS_SERVER_CERT_ROOT";

/// Variables without the prefix that the settings are read from too.
const OTHERS: [&str; 3] = ["GITHUB_TOKEN", "HOME", "TZ"];
const PREFIX: &str = "BOREALIS_";

/// The variables of a process, as far as they can be read.
#[derive(Clone, Debug, Default)]
pub struct ProcessVariables {
    /// Those that are text.
    pub texts: BTreeMap<String, String>,
    /// The names of those that are not, and that the settings are read from.
    not_text: Vec<String>,
}

impl ProcessVariables {
    /// Reads the environment.
    pub fn read(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut read = Self::default();
        for (name, value) in variables {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    read.texts.insert(name, value);
                }
                (Ok(name), Err(_)) if name.starts_with(PREFIX) || OTHERS.contains(&name.as_str()) => {
                    read.not_text.push(name);
                }
                (Err(name), _) if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) => {
                    read.not_text.push(name.to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
        read
    }

    /// What is wrong with those that are not text. To pass over one would be to serve another folder than was meant, or
    /// with another secret.
    pub fn unreadable(&self) -> Vec<String> {
        self.not_text
            .iter()
            .map(|name| format!("{name} is not written in UTF-8: correct it or remove it"))
            .collect()
    }
}

/// Warnings of variables that look as if they were for this server and have no effect, and of values that the legacy takes
/// for others than they seem to say: this server does, too, so that both treat a session alike.
pub fn warnings(variables: &BTreeMap<String, String>) -> Vec<String> {
    let odd = variables
        .iter()
        .filter_map(|(name, value)| odd_value(name, value.trim()));
    without_effect(variables.keys()).into_iter().chain(odd).collect()
}

fn odd_value(name: &str, value: &str) -> Option<String> {
    let shown = value.escape_debug();
    match name {
        "BOREALIS_TOKEN_TTL_SECONDS" if !value.is_empty() && whole_seconds(value).is_none() => Some(format!(
            "{name} is `{shown}`, which is no whole number of seconds: no operator's token is accepted then. Correct it or \
             remove it"
        )),
        "BOREALIS_COOKIE_SECURE" => {
            let known = ["", "1", "true", "yes", "0", "false", "no", "off"];
            (!known.contains(&value.to_ascii_lowercase().as_str())).then(|| {
                format!(
                    "{name} is `{shown}`, which means no: cookies are never Secure. 1, true and yes mean yes, and without \
                     the variable the way a request came decides"
                )
            })
        }
        _ => None,
    }
}

fn without_effect<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names
        .map(String::as_str)
        .filter(|name| name.starts_with(PREFIX) && !KNOWN_VARIABLES.contains(name))
        .map(|name| {
            if let Some((_, instead)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
                return format!("{name} is set and has no effect: {instead}");
            }
            match nearest(name) {
                Some(known) => {
                    format!("{name} is set, but no such variable is known: is {known} meant? Correct it or remove it")
                }
                None => format!("{name} is set, but no such variable is known: correct its name or remove it"),
            }
        })
        .collect()
}

/// The known name that is most like this one, where one is like it at all.
fn nearest(name: &str) -> Option<&'static str> {
    let own = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    let wrong = name.strip_prefix(PREFIX).unwrap_or(name);
    KNOWN_VARIABLES
        .iter()
        .map(|known| (strsim::osa_distance(own(known), wrong), *known))
        .filter(|(distance, known)| distance * 2 <= own(known).len().max(wrong.len()))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_the_settings_read_is_known() {
        let source = concat!(
            include_str!("settings.rs"),
            include_str!("reader.rs"),
            include_str!("github.rs"),
            include_str!("observing.rs")
        );
        let names: Vec<String> = source
            .split('"')
            .filter(|part| {
                part.starts_with("BOREALIS_")
                    && part
                        .chars()
                        .all(|one| one == '_' || one.is_ascii_uppercase() || one.is_ascii_digit())
            })
            .map(str::to_owned)
            .collect();
        assert!(names.len() > 10);
        assert_eq!(without_effect(names.iter()), Vec::<String>::new());
    }

    fn warning(name: &str) -> String {
        without_effect([name.to_owned()].iter()).concat()
    }

    #[test]
    fn the_nearest_known_name_is_offered_where_one_is_near() {
        for (wrong, meant) in [
            ("BOREALIS_PROT", "is BOREALIS_PORT meant?"),
            ("BOREALIS_TSL", "is BOREALIS_TLS meant?"),
            ("BOREALIS_DB_PATH", "is BOREALIS_DATABASE_PATH meant?"),
            ("BOREALIS_TRUSTED_PROXY", "is BOREALIS_TRUSTED_PROXIES meant?"),
        ] {
            assert!(warning(wrong).contains(meant), "{}", warning(wrong));
        }
        assert!(!warning("BOREALIS_QQQQ").contains("meant"));
        assert_eq!(
            without_effect(["PROT".to_owned(), "BOREALIS_PORT".to_owned()].iter()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_value_that_means_another_than_it_says_is_told() {
        let odd = |name: &str, value: &str| {
            let variables = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            warnings(&variables).concat()
        };
        for value in ["on", "maybe", "2"] {
            assert!(
                odd("BOREALIS_COOKIE_SECURE", value).contains("means no"),
                "{value}"
            );
        }
        for value in ["", "1", " TRUE ", "yes", "0", "off"] {
            assert_eq!(odd("BOREALIS_COOKIE_SECURE", value), "");
        }
        assert!(odd("BOREALIS_TOKEN_TTL_SECONDS", "30d").contains("no operator's token is accepted"));
        for value in [" 60 ", "86_400", "+60"] {
            assert_eq!(odd("BOREALIS_TOKEN_TTL_SECONDS", value), "", "{value}");
        }
    }

    #[test]
    fn a_variable_that_changes_nothing_is_not_passed_over_in_silence() {
        assert!(warning("BOREALIS_CERT_DIR").contains("has no effect"));
        assert!(warning("BOREALIS_TLS_CERT").contains("BOREALIS_SERVER_CERT_ROOT"));
        for (name, _) in WITHOUT_EFFECT {
            assert!(!KNOWN_VARIABLES.contains(name), "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_named_and_never_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let broken = || OsString::from_vec(b"secret\xff".to_vec());
        let read = ProcessVariables::read(
            [
                (OsString::from("BOREALIS_ROOT"), broken()),
                (OsString::from("TZ"), broken()),
                (OsString::from_vec(b"BOREALIS_\xff".to_vec()), OsString::from("x")),
                (OsString::from("LS_COLORS"), broken()),
                (OsString::from("BOREALIS_PORT"), OsString::from("1")),
            ]
            .into_iter(),
        );
        let told = read.unreadable();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].starts_with("BOREALIS_ROOT is not written in UTF-8"),
            "{told:?}"
        );
        assert!(!told.concat().contains("secret"));
        assert_eq!(read.texts.len(), 1);
    }
}
