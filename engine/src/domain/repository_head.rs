//! Heads of GitHub repositories: which branch is meant, and the cache of what GitHub said.

use std::time::Duration;

use indexmap::IndexMap;
use percent_encoding::AsciiSet;

use super::percent::{all_but, encode};

/// Heads that are remembered. The legacy keeps every pair that a device ever named (PLT-7).
pub const CAPACITY: usize = 1000;

/// The bounds of heads' lifetimes and of the refresh interval, in seconds.
const REFRESH_SECONDS: (i128, i128) = (30, 3600);

/// Seconds that a setting or a query asks for, clamped to half a minute and an hour.
pub fn clamped_seconds(seconds: i128) -> Duration {
    let (least, most) = REFRESH_SECONDS;
    Duration::from_secs(u64::try_from(seconds.clamp(least, most)).unwrap_or_default())
}

/// What is escaped in a path.
const ESCAPED_IN_PATH: &AsciiSet = &all_but("/!$&'()*+,;=:@");

/// A name that leads to no branch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidBranch {
    #[error("repo must be in the form owner/name")]
    Repository,
    /// The branch's: it would lead out of the repository (PLT-7).
    #[error("invalid branch")]
    Branch,
}

/// A branch of a repository. Letter case counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RepositoryBranch {
    repository: String,
    branch: String,
}

impl RepositoryBranch {
    /// A branch, from names without white space around them. More than one slash in the repository's is let through,
    /// as in the legacy.
    ///
    /// # Errors
    /// The repository's name has no slash, or a name has a segment `.` or `..`.
    pub fn new(repository: impl Into<String>, branch: impl Into<String>) -> Result<Self, InvalidBranch> {
        let (repository, branch) = (repository.into(), branch.into());
        if !repository.contains('/') || has_dot_segment(&repository) {
            return Err(InvalidBranch::Repository);
        }
        if has_dot_segment(&branch) {
            return Err(InvalidBranch::Branch);
        }
        Ok(Self { repository, branch })
    }

    /// `owner/name`
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Whether both are branches of one repository. GitHub's names have no case.
    pub fn is_in_repository_of(&self, other: &Self) -> bool {
        self.repository.eq_ignore_ascii_case(&other.repository)
    }

    /// The branch's name.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The name under which its head is remembered, in memory and in the file that the legacy reads too.
    pub fn key(&self) -> String {
        format!("{}:{}", self.repository, self.branch)
    }

    /// Its path in GitHub's REST API. Slashes stay, whatever else could change the address is escaped (PLT-7).
    pub fn api_path(&self) -> String {
        format!(
            "/repos/{}/branches/{}",
            encode(&self.repository, ESCAPED_IN_PATH),
            encode(&self.branch, ESCAPED_IN_PATH)
        )
    }
}

impl Default for RepositoryBranch {
    /// Where Borealis itself is developed.
    fn default() -> Self {
        Self {
            repository: "bunny-lab-io/Borealis".to_owned(),
            branch: "main".to_owned(),
        }
    }
}

fn has_dot_segment(name: &str) -> bool {
    name.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// What GitHub said a branch's head is.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The commit's id. Empty where GitHub gave a blank one: fetched, but never fresh, and no commit.
    pub commit: String,
    /// When it was asked for: Unix seconds with their fraction.
    pub fetched_at: f64,
}

impl Head {
    /// The commit's id, where there is one.
    pub fn into_commit(self) -> Option<String> {
        Some(self.commit).filter(|commit| !commit.is_empty())
    }

    /// Seconds since it was asked for; zero where that lies in the future.
    pub fn age(&self, now: f64) -> f64 {
        (now - self.fetched_at).max(0.0)
    }
}

/// A cache of heads, at most [`CAPACITY`], in the order in which they were first heard of: so they stand in the file.
#[derive(Clone, Debug)]
pub struct HeadCache {
    heads: IndexMap<String, Head>,
    kept: String,
}

impl HeadCache {
    /// Empty. The head of `kept` is never evicted for others.
    pub fn new(kept: &RepositoryBranch) -> Self {
        Self {
            heads: IndexMap::new(),
            kept: kept.key(),
        }
    }

    /// The head under `key`.
    pub fn get(&self, key: &str) -> Option<&Head> {
        self.heads.get(key)
    }

    /// Remembers a head. Where there are too many, the one asked for longest ago is forgotten.
    pub fn insert(&mut self, key: String, head: Head) {
        self.heads.insert(key, head);
        if self.heads.len() > CAPACITY {
            let oldest = self
                .heads
                .iter()
                .filter(|(key, _)| **key != self.kept)
                .min_by(|(_, one), (_, other)| one.fetched_at.total_cmp(&other.fetched_at))
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.heads.shift_remove(&oldest);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Head)> {
        self.heads.iter().map(|(key, head)| (key.as_str(), head))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(repository: &str, branch: &str) -> String {
        RepositoryBranch::new(repository, branch).unwrap().api_path()
    }

    #[test]
    fn slashes_stay_and_what_would_change_the_address_is_escaped() {
        assert_eq!(
            path("acme/widgets", "feature/x"),
            "/repos/acme/widgets/branches/feature/x"
        );
        assert_eq!(
            path("acme/w?x#y", "main?x=1 é%2e\n"),
            "/repos/acme/w%3Fx%23y/branches/main%3Fx=1%20%C3%A9%252e%0A"
        );
        assert_eq!(
            path("a/b", "deps/@types+node"),
            "/repos/a/b/branches/deps/@types+node"
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for repository in ["widgets", "", "../x", "a/..", "a/./b"] {
            assert_eq!(
                RepositoryBranch::new(repository, "main"),
                Err(InvalidBranch::Repository),
                "{repository}"
            );
        }
        for branch in ["..", "a/../b", ".", "x/."] {
            assert_eq!(
                RepositoryBranch::new("a/b", branch),
                Err(InvalidBranch::Branch),
                "{branch}"
            );
        }
        assert!(RepositoryBranch::new("a/b/c", "v1..2").is_ok());
    }

    #[test]
    fn the_oldest_is_forgotten_but_never_the_default() {
        let kept = RepositoryBranch::new("acme/default", "main").unwrap();
        let mut cache = HeadCache::new(&kept);
        let head = |fetched_at| Head {
            commit: "c".to_owned(),
            fetched_at,
        };
        cache.insert(kept.key(), head(0.0));
        for number in 0..CAPACITY {
            cache.insert(format!("acme/{number}:main"), head(100.0 + number as f64));
        }
        assert_eq!(cache.iter().count(), CAPACITY);
        assert!(cache.get("acme/default:main").is_some());
        assert!(cache.get("acme/0:main").is_none());
        assert!(cache.get("acme/1:main").is_some());
    }

    #[test]
    fn heads_stay_in_the_order_in_which_they_were_first_heard_of() {
        let mut cache = HeadCache::new(&RepositoryBranch::default());
        for (key, fetched_at) in [("z/z:main", 1.0), ("a/a:main", 2.0), ("z/z:main", 3.0)] {
            let commit = "c".to_owned();
            cache.insert(key.to_owned(), Head { commit, fetched_at });
        }
        let keys: Vec<_> = cache.iter().map(|(key, head)| (key, head.fetched_at)).collect();
        assert_eq!(keys, [("z/z:main", 3.0), ("a/a:main", 2.0)]);
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_path_of_branches(repository in ".*", branch in ".*") {
            if let Ok(branch) = RepositoryBranch::new(repository, branch) {
                let path = branch.api_path();
                let uri: http::Uri = path.parse().unwrap();
                prop_assert_eq!(uri.path(), path.as_str());
                prop_assert!(uri.query().is_none());
                prop_assert!(path.starts_with("/repos/") && path.contains("/branches/"));
            }
        }
    }
}
