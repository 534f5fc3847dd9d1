//! The file in which the cache of heads outlives a restart. Both servers read and write the same form.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    domain::{
        json::{Json, JsonObject},
        json_reader,
        json_text::column_text,
        repository_head::{Head, HeadCache},
        text::python_trim,
    },
    integrations::private_files::{make_folders, private},
};

/// A longer file is no head file.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeadFileError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// There is no list of heads in it.
    #[error("{path}: {reason}")]
    Unreadable {
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the heads of the first of `files` that exists into `cache`. Entries that make no sense are left out; where
/// one does not say when it was fetched, `now` (Unix seconds) counts.
///
/// # Errors
/// The first file that exists cannot be used.
pub fn read(files: &[&Path], now: f64, cache: &mut HeadCache) -> Result<(), HeadFileError> {
    for path in files {
        match read_one(path, now, cache) {
            Err(HeadFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
    Ok(())
}

fn read_one(path: &Path, now: f64, cache: &mut HeadCache) -> Result<(), HeadFileError> {
    let failed = |source| HeadFileError::Io {
        path: path.to_owned(),
        source,
    };
    let unreadable = |reason: String| HeadFileError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    if fs::metadata(path).map_err(failed)?.len() > LONGEST_FILE {
        return Err(unreadable("too long".to_owned()));
    }
    let text = fs::read(path).map_err(failed)?;
    let document = json_reader::read_stored(&text).map_err(|error| unreadable(error.to_string()))?;
    let entries = entries(&document).ok_or_else(|| unreadable("no entries".to_owned()))?;
    for (key, entry) in entries {
        if let Some(head) = head(entry, now) {
            cache.insert(key.clone(), head);
        }
    }
    Ok(())
}

/// The legacy's form keeps them below `entries`; an earlier rewrite in Python kept nothing else in its file.
fn entries(document: &Json) -> Option<&JsonObject> {
    let members = document.as_object()?;
    match members.get("entries") {
        Some(entries) => entries.as_object(),
        None => (!members.contains_key("version")
            && members
                .iter()
                .any(|(key, entry)| key.contains('/') && entry.as_object().is_some()))
        .then_some(members),
    }
}

fn head(entry: &Json, now: f64) -> Option<Head> {
    let commit = python_trim(entry.get("sha")?.as_text()?);
    let fetched_at = match entry.get("ts").or_else(|| entry.get("timestamp")) {
        Some(Json::Float(time)) => Some(*time),
        Some(Json::Int(time)) => Some(*time as f64),
        Some(Json::Bool(time)) => Some(f64::from(u8::from(*time))),
        Some(Json::Text(text)) => python_trim(text).parse().ok(),
        _ => None,
    };
    (!commit.is_empty()).then(|| Head {
        commit: commit.to_owned(),
        fetched_at: fetched_at.filter(|time| time.is_finite()).unwrap_or(now),
    })
}

/// Writes the heads beside the file and moves them into its place, so that a reader never sees half of it. Blank ones
/// are left out; where there is nothing to keep, the file is removed.
///
/// # Errors
/// The file system refused; the file is as it was.
pub fn write(path: &Path, cache: &HeadCache) -> Result<(), HeadFileError> {
    let failed = |source| HeadFileError::Io {
        path: path.to_owned(),
        source,
    };
    let entries: JsonObject = cache
        .iter()
        .filter(|(_, head)| !head.commit.is_empty())
        .map(|(key, head)| {
            let entry = Json::object([
                ("sha", head.commit.as_str().into()),
                ("ts", head.fetched_at.into()),
            ]);
            (key.to_owned(), entry)
        })
        .collect();
    if entries.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    }
    let document = column_text(&Json::object([
        ("version", 1.into()),
        ("entries", entries.into()),
    ]));
    let temporary = path.with_extension("json.tmp");
    if let Some(folder) = path.parent() {
        make_folders(folder).map_err(failed)?;
    }
    private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(document.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::{
        domain::{arbitrary::any_json, json_text::compact_text, repository_head::RepositoryBranch},
        testkit::START,
    };

    const NOW: f64 = START as f64 + 0.5;

    fn cache() -> HeadCache {
        HeadCache::new(&RepositoryBranch::default())
    }

    fn parse(text: &str) -> Result<HeadCache, HeadFileError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("repo_hash_cache.json");
        fs::write(&file, text).unwrap();
        let mut heads = cache();
        read(&[&file], NOW, &mut heads).map(|()| heads)
    }

    fn known(heads: &HeadCache, key: &str) -> Option<(String, f64)> {
        heads.get(key).map(|head| (head.commit.clone(), head.fetched_at))
    }

    #[test]
    fn the_legacy_s_form_is_read_entry_by_entry() {
        let heads = parse(
            r#"{"version":7,"entries":{"a/b:main":{"sha":" x ","ts":"17.25 "},"a/c:main":{"sha":"y"},
                "a/d:main":{"sha":" ","ts":1},"a/e:main":["z"],"a/f:main":{"sha":7},"a/g:main":{"sha":"g","ts":"inf"},
                "a/h:main":{"sha":"h","ts":true}}}"#,
        )
        .unwrap();
        assert_eq!(known(&heads, "a/b:main"), Some(("x".to_owned(), 17.25)));
        assert_eq!(known(&heads, "a/c:main"), Some(("y".to_owned(), NOW)));
        assert_eq!(known(&heads, "a/g:main"), Some(("g".to_owned(), NOW)));
        assert_eq!(known(&heads, "a/h:main"), Some(("h".to_owned(), 1.0)));
        assert_eq!(heads.iter().count(), 4);
    }

    #[test]
    fn the_flat_form_is_read_too() {
        let heads = parse(r#"{"a/b:main":{"sha":"x","timestamp":17.5}}"#).unwrap();
        assert_eq!(known(&heads, "a/b:main"), Some(("x".to_owned(), 17.5)));
    }

    #[test]
    fn what_holds_no_heads_is_told() {
        for text in [
            "",
            "{not json",
            "[]",
            "{}",
            r#"{"version":1}"#,
            r#"{"entries":[]}"#,
        ] {
            assert!(
                matches!(parse(text), Err(HeadFileError::Unreadable { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_first_file_that_exists_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [own, legacy] = ["own.json", "legacy.json"].map(|name| folder.path().join(name));
        let mut heads = cache();
        read(&[&own, &legacy], NOW, &mut heads).unwrap();
        assert_eq!(heads.iter().count(), 0);
        fs::write(&legacy, r#"{"entries":{"a/b:main":{"sha":"old"}}}"#).unwrap();
        read(&[&own, &legacy], NOW, &mut heads).unwrap();
        assert_eq!(known(&heads, "a/b:main").unwrap().0, "old");
        fs::write(&own, r#"{"entries":{"a/b:main":{"sha":"new"}}}"#).unwrap();
        read(&[&own, &legacy], NOW, &mut heads).unwrap();
        assert_eq!(known(&heads, "a/b:main").unwrap().0, "new");
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/cache/repo_hash_cache.json");
        let mut heads = cache();
        heads.insert(
            "a/b:main".to_owned(),
            Head {
                commit: "x".to_owned(),
                fetched_at: 1_795_450_874.388_856_6,
            },
        );
        write(&file, &heads).unwrap();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            r#"{"version": 1, "entries": {"a/b:main": {"sha": "x", "ts": 1795450874.3888566}}}"#
        );
        let mut again = cache();
        read(&[&file], NOW, &mut again).unwrap();
        assert_eq!(again.get("a/b:main"), heads.get("a/b:main"));
        write(&file, &cache()).unwrap();
        write(&file, &cache()).unwrap();
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn whatever_heads_are_known_read_back(
            heads in prop::collection::btree_map(".{0,12}", ("[!-~]{1,12}", any::<f64>()), 1..20)
        ) {
            let mut known = cache();
            for (key, (commit, fetched_at)) in heads {
                known.insert(key, Head { commit, fetched_at });
            }
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("heads.json");
            write(&file, &known).unwrap();
            let mut again = cache();
            read(&[&file], NOW, &mut again).unwrap();
            prop_assert_eq!(again.iter().collect::<Vec<_>>(), known.iter().collect::<Vec<_>>());
        }

        #[test]
        fn what_is_read_makes_sense_and_another_file_is_named(
            document in prop_oneof![
                "\\PC{0,80}",
                any_json().prop_map(|value| compact_text(&value)),
                prop::collection::vec((".{0,3}/?.{0,3}", any_entry()), 0..6).prop_map(|entries| {
                    let entries: JsonObject = entries.into_iter().collect();
                    compact_text(&Json::object([("entries", entries.into())]))
                }),
            ]
        ) {
            match parse(&document) {
                Ok(heads) => for (_, head) in heads.iter() {
                    prop_assert!(!head.commit.is_empty() && python_trim(&head.commit) == head.commit);
                    prop_assert!(head.fetched_at.is_finite());
                },
                Err(HeadFileError::Unreadable { path, .. }) => prop_assert!(path.ends_with("repo_hash_cache.json")),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    fn any_entry() -> impl Strategy<Value = Json> {
        let value = || prop_oneof![1 => any_json(), 2 => "[ a-f0-9.]{0,8}".prop_map(Json::from)];
        (
            select(&["sha", "SHA"]),
            value(),
            select(&["ts", "timestamp"]),
            value(),
        )
            .prop_map(|(sha, commit, ts, time)| Json::object([(sha, commit), (ts, time)]))
    }
}
