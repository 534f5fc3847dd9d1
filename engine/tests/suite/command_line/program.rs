//! Runs the program over a root folder.

use std::{io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

pub(crate) use crate::testkit::process::program;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) output: String,
    /// Standard error.
    pub(crate) errors: String,
}

impl Ran {
    /// The line that `check` prints of a subject.
    pub(crate) fn line(&self, verdict: &str, subject: &str) -> &str {
        let start = format!("{verdict:8} {subject}: ");
        self.output
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap_or_else(|| panic!("no line {start:?} in\n{}", self.output))
    }

    /// Standard output of a run that did what it was asked.
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (Some(0), ""), "{self:?}");
        self.output
    }

    /// The same as JSON.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// What a run said that could not do it.
    pub(crate) fn refusal(self) -> String {
        assert_eq!((self.code, self.output.as_str()), (Some(1), ""), "{self:?}");
        self.errors
    }
}

/// Runs it with these arguments and variables, without a terminal.
pub(crate) fn run(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = program(root, arguments, variables).output().unwrap();
    ran(output)
}

/// The same with something to read on standard input.
pub(crate) fn run_with_input(root: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut process = program(root, arguments, &[])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read closes the pipe; what it says then is looked at.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    ran(process.wait_with_output().unwrap())
}

fn ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A database with every table, as a first start leaves it.
pub(crate) fn migrated() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), &["migrate"], &[]).code, Some(0));
    root
}

/// Runs statements in the database of a root folder.
pub(crate) async fn sql(root: &Path, statements: &'static str) {
    use sqlx::Connection as _;

    let mut connection = connect(root).await;
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Opens the database of a root folder.
pub(crate) async fn connect(root: &Path) -> sqlx::SqliteConnection {
    use sqlx::Connection as _;

    let path = root.join("database.db");
    sqlx::SqliteConnection::connect(path.to_str().unwrap())
        .await
        .unwrap()
}
