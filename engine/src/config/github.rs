//! Where heads of repositories come from.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::Uri;

use super::{reader::Reader, secret::Secret};
use crate::domain::{
    coerce::integer_in,
    repository_head::{RepositoryBranch, clamped_seconds},
    text::python_trim,
};

const DEFAULT_REFRESH: Duration = Duration::from_secs(60);
const HEAD_FILE: &str = "repo_hash_cache.json";

/// Everything about GitHub: variables `BOREALIS_GITHUB_*`, `GITHUB_TOKEN`, `BOREALIS_REPO*`, `BOREALIS_CACHE_DIR`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GitHubSettings {
    /// Base URL of the REST API, without a slash at the end.
    pub api_url: String,
    /// The branch that agents follow unless they name another.
    pub default_branch: RepositoryBranch,
    /// Between two looks at it, half a minute to an hour.
    pub refresh: Duration,
    /// Used where the database holds no token.
    pub token: Option<Secret>,
    /// The file that outlives a restart.
    pub head_file: PathBuf,
    /// The legacy's file of that kind, read where the engine has none yet.
    pub legacy_head_file: PathBuf,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &Path) -> GitHubSettings {
    let repository = reader.parsed(
        "BOREALIS_REPO",
        RepositoryBranch::default(),
        "a repository in the form owner/name",
        |value| RepositoryBranch::new(value, "main").ok(),
    );
    GitHubSettings {
        api_url: reader.parsed(
            "BOREALIS_GITHUB_API_URL",
            "https://api.github.com".to_owned(),
            "an http or https URL without user, query and fragment",
            api_url,
        ),
        default_branch: reader.parsed(
            "BOREALIS_REPO_BRANCH",
            repository.clone(),
            "the name of a branch",
            |value| RepositoryBranch::new(repository.repository(), value).ok(),
        ),
        refresh: reader.parsed(
            "BOREALIS_REPO_HASH_REFRESH",
            DEFAULT_REFRESH,
            "a whole number of seconds",
            |value| integer_in(value).map(clamped_seconds),
        ),
        token: token(reader),
        head_file: reader
            .path(&["BOREALIS_CACHE_DIR"])
            .unwrap_or_else(|| root.join("Data/Engine/cache"))
            .join(HEAD_FILE),
        legacy_head_file: root.join("Data/Server/cache").join(HEAD_FILE),
    }
}

/// The legacy's reading: a first variable of blanks hides the second.
fn token(reader: &Reader<'_>) -> Option<Secret> {
    let value = ["BOREALIS_GITHUB_TOKEN", "GITHUB_TOKEN"]
        .iter()
        .filter_map(|name| reader.variables.get(*name))
        .find(|value| !value.is_empty())?;
    let token = python_trim(value);
    (!token.is_empty()).then(|| Secret::new(token))
}

fn api_url(value: &str) -> Option<String> {
    let uri: Uri = value.parse().ok()?;
    let is_base = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.query().is_none()
        && !value.contains('#');
    is_base.then(|| value.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{reader::InvalidSettings, settings::Settings};

    fn read(pairs: &[(&str, &str)]) -> Result<GitHubSettings, InvalidSettings> {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_map(&variables, Path::new("/srv/b")).map(|settings| settings.github)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let github = read(&[]).unwrap();
        assert_eq!(github.api_url, "https://api.github.com");
        assert_eq!(github.default_branch.key(), "bunny-lab-io/Borealis:main");
        assert_eq!(github.refresh, Duration::from_secs(60));
        assert_eq!(github.token, None);
        assert_eq!(
            github.head_file,
            Path::new("/srv/b/Data/Engine/cache/repo_hash_cache.json")
        );
        assert_eq!(
            github.legacy_head_file,
            Path::new("/srv/b/Data/Server/cache/repo_hash_cache.json")
        );
    }

    #[test]
    fn the_interval_is_held_and_a_word_is_refused() {
        let seconds =
            |value| read(&[("BOREALIS_REPO_HASH_REFRESH", value)]).map(|github| github.refresh.as_secs());
        assert_eq!(seconds("1").unwrap(), 30);
        assert_eq!(seconds("-9").unwrap(), 30);
        assert_eq!(seconds(" 90 ").unwrap(), 90);
        assert_eq!(seconds("99999999999999999999999").unwrap(), 3600);
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn repository_and_branch_are_set_apart_and_checked_apart() {
        assert_eq!(
            read(&[("BOREALIS_REPO_BRANCH", "dev/x")])
                .unwrap()
                .default_branch
                .key(),
            "bunny-lab-io/Borealis:dev/x"
        );
        assert_eq!(
            read(&[("BOREALIS_REPO", "acme/widgets")])
                .unwrap()
                .default_branch
                .key(),
            "acme/widgets:main"
        );
        let error = read(&[("BOREALIS_REPO", "widgets"), ("BOREALIS_REPO_BRANCH", "..")]).unwrap_err();
        let names: Vec<_> = error.0.iter().map(|variable| variable.variable).collect();
        assert_eq!(names, ["BOREALIS_REPO", "BOREALIS_REPO_BRANCH"]);
    }

    #[test]
    fn a_blank_first_token_hides_the_second_and_neither_is_printed() {
        let token = |pairs: &[(&str, &str)]| {
            let github = read(pairs).unwrap();
            assert!(!format!("{github:?}").contains("ghp"));
            github.token.map(|token| token.expose().to_owned())
        };
        let second = ("GITHUB_TOKEN", " ghp_two ");
        assert_eq!(token(&[second]).as_deref(), Some("ghp_two"));
        assert_eq!(
            token(&[("BOREALIS_GITHUB_TOKEN", ""), second]).as_deref(),
            Some("ghp_two")
        );
        assert_eq!(token(&[("BOREALIS_GITHUB_TOKEN", "  "), second]), None);
        assert_eq!(
            token(&[("BOREALIS_GITHUB_TOKEN", "ghp_one"), second]).as_deref(),
            Some("ghp_one")
        );
    }

    #[test]
    fn the_api_lies_at_a_plain_url() {
        let url = |value| read(&[("BOREALIS_GITHUB_API_URL", value)]).map(|github| github.api_url);
        assert_eq!(
            url("https://ghe.example/api/v3/").unwrap(),
            "https://ghe.example/api/v3"
        );
        assert_eq!(url("http://127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080");
        for refused in [
            "ghe.example",
            "ftp://ghe.example",
            "https://u:p@ghe.example",
            "https://a/?x=1",
            "https://a/#x",
            "/api",
        ] {
            assert!(url(refused).is_err(), "{refused}");
        }
    }
}
