//! The names of the variables that the server knows.

/// Every variable beginning with `BOREALIS_` that has a meaning to this server, to the legacy server whose
/// environment file it shares, or to its agents.
pub const KNOWN_VARIABLES: &[&str] = &[
    "BOREALIS_ACCESS_POLICY",
    "BOREALIS_AGENT_CERT_ROOT",
    "BOREALIS_API_GROUPS",
    "BOREALIS_CACHE_DIR",
    "BOREALIS_CERTIFICATES_ROOT",
    "BOREALIS_CERT_DIR",
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
    "BOREALIS_MFA_ISSUER",
    "BOREALIS_PORT",
    "BOREALIS_PROJECT_ROOT",
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
    "BOREALIS_TLS_BUNDLE",
    "BOREALIS_TLS_CERT",
    "BOREALIS_TLS_KEY",
    "BOREALIS_TLS_NAMES",
    "BOREALIS_TOKEN_TTL_SECONDS",
    "BOREALIS_TRUSTED_PROXIES",
];

/// The names among `names` that begin with `BOREALIS_` and that nobody knows.
pub fn unknown<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    names
        .map(String::as_str)
        .filter(|name| name.starts_with("BOREALIS_") && !KNOWN_VARIABLES.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_the_settings_read_is_known() {
        let source = concat!(include_str!("settings.rs"), include_str!("github.rs"));
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
        assert_eq!(unknown(names.iter()), Vec::<&str>::new());
    }
}
