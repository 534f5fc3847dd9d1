//! What the database says of the runs, held against what the agents know.
//!
//! Long because each promise has a query, a judgement and a test of its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    super::{BenchError, ServerProcess},
    Asked, DeliveryReport,
    agents::{FAILED_WITH, Known, Ledger, printed},
};

/// How often the server sends work at most.
const MOST_SENDS: usize = 2;
/// What stands where no script of the run was ever sent.
const NEVER_SENT: &str = "Device offline";

/// An activity, and the run of a job that it belongs to.
#[derive(Clone, Debug, Default)]
struct Activity {
    id: i64,
    host: String,
    status: String,
    stdout: String,
    stderr: String,
    run: Option<Run>,
}

#[derive(Clone, Debug, Default)]
struct Run {
    status: String,
    error: String,
}

async fn connect(server: &ServerProcess) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(server.database())
        .create_if_missing(false)
        .read_only(true);
    SqliteConnection::connect_with(&options).await
}

/// Runs and activities that have not ended, and runs of these that have not begun.
pub(super) async fn open_runs(server: &ServerProcess, scheduled: usize) -> Result<usize, BenchError> {
    let mut database = connect(server).await?;
    let open: i64 = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM activity_history WHERE status IN ('Running', 'Pending')) \
         + (SELECT COUNT(*) FROM scheduled_job_runs WHERE status IN ('Running', 'Pending'))",
    )
    .fetch_one(&mut database)
    .await?;
    let begun: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM scheduled_job_runs")
        .fetch_one(&mut database)
        .await?;
    database.close().await?;
    let begun = usize::try_from(begun).unwrap_or_default();
    Ok(usize::try_from(open).unwrap_or_default() + scheduled.saturating_sub(begun))
}

/// Everything that is to be judged, read once.
#[derive(Debug, Default)]
struct Found {
    activities: Vec<Activity>,
    runs: usize,
    /// Occurrences of a job that began on a host more than once.
    doubled: usize,
    /// Runs without any activity that do not say why.
    idle: usize,
}

async fn read(server: &ServerProcess) -> Result<Found, sqlx::Error> {
    let mut database = connect(server).await?;
    let rows = sqlx::query(
        "SELECT a.id, COALESCE(a.hostname, ''), COALESCE(a.status, ''), COALESCE(a.stdout, ''), COALESCE(a.stderr, ''), \
         r.status, COALESCE(r.error, '') FROM activity_history AS a \
         LEFT JOIN scheduled_job_run_activity AS l ON l.activity_id = a.id \
         LEFT JOIN scheduled_job_runs AS r ON r.id = l.run_id ORDER BY a.id",
    )
    .fetch_all(&mut database)
    .await?;
    let mut activities = Vec::with_capacity(rows.len());
    for row in rows {
        let status: Option<String> = row.try_get(5)?;
        activities.push(Activity {
            id: row.try_get(0)?,
            host: row.try_get(1)?,
            status: row.try_get(2)?,
            stdout: row.try_get(3)?,
            stderr: row.try_get(4)?,
            run: match status {
                Some(status) => Some(Run {
                    status,
                    error: row.try_get(6)?,
                }),
                None => None,
            },
        });
    }
    let mut count = [0; 3];
    let queries = [
        "SELECT COUNT(*) FROM scheduled_job_runs",
        "SELECT COUNT(*) FROM (SELECT r.job_id FROM scheduled_job_runs AS r \
         LEFT JOIN scheduled_job_run_activity AS l ON l.run_id = r.id \
         GROUP BY r.job_id, r.target_hostname, r.scheduled_ts HAVING COUNT(*) > 1)",
        "SELECT COUNT(*) FROM scheduled_job_runs AS r WHERE COALESCE(r.error, '') = '' \
         AND NOT EXISTS (SELECT 1 FROM scheduled_job_run_activity AS l WHERE l.run_id = r.id)",
    ];
    for (count, query) in count.iter_mut().zip(queries) {
        let found: i64 = sqlx::query_scalar(query).fetch_one(&mut database).await?;
        *count = usize::try_from(found).unwrap_or_default();
    }
    database.close().await?;
    let [runs, doubled, idle] = count;
    Ok(Found {
        activities,
        runs,
        doubled,
        idle,
    })
}

/// What became of everything, and which promises were broken.
pub(super) async fn judge(
    server: &ServerProcess,
    ledger: &Ledger,
    asked: &Asked,
) -> Result<DeliveryReport, BenchError> {
    let found = read(server).await?;
    Ok(ledger.with(|notes| {
        let mut report = told(&found, &notes.jobs, asked);
        report.connections = notes.connections;
        report.cuts = notes.cuts;
        report
    }))
}

fn told(found: &Found, known: &HashMap<i64, Known>, asked: &Asked) -> DeliveryReport {
    let mut report = DeliveryReport {
        unanswered: asked.unanswered,
        ..DeliveryReport::default()
    };
    let mut broken: BTreeMap<String, usize> = BTreeMap::new();
    let mut breaks = |times: usize, what: &str| {
        if times > 0 {
            *broken.entry(what.to_owned()).or_default() += times;
        }
    };
    breaks(
        asked.scheduled.saturating_sub(found.runs),
        "a job never began on one of its hosts",
    );
    breaks(found.doubled, "an occurrence of a job began twice on a host");
    breaks(found.idle, "a run has no script and does not say why");
    let ids: HashSet<i64> = found.activities.iter().map(|activity| activity.id).collect();
    let forgotten = asked.quick.iter().filter(|id| !ids.contains(id)).count();
    breaks(
        forgotten,
        "a quick run that was answered is not in the host's history",
    );
    let strangers = known.keys().filter(|id| !ids.contains(id)).count();
    breaks(strangers, "an agent got a script that no history has");

    let nothing = Known::default();
    for activity in &found.activities {
        let known = known.get(&activity.id).unwrap_or(&nothing);
        let end = end_of(activity, known);
        match &activity.run {
            Some(_) => report.scheduled += 1,
            None => report.quick += 1,
        }
        let came = known.came_to.len();
        report.came += usize::from(came > 0);
        report.came_twice += usize::from(came > 1);
        report.ran += usize::from(known.word.is_some());
        report.results_lost += usize::from(known.word.is_some() && !known.confirmed);
        match &end {
            End::Succeeded => report.succeeded += 1,
            End::Assumed => report.assumed += 1,
            End::Failed => report.failed += 1,
            End::Unconfirmed(reason) => *report.unconfirmed.entry(reason.clone()).or_default() += 1,
            End::Open | End::Other => {}
        }
        for what in broken_of(activity, known, &end) {
            breaks(1, what);
        }
    }
    report.broken = broken;
    report
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
enum End {
    /// Its agent said so.
    Succeeded,
    /// Without a word of its agent.
    Assumed,
    /// Its script failed.
    Failed,
    /// It failed for this reason, which is none of the script's.
    Unconfirmed(String),
    Open,
    /// In a word that no run ends with here.
    Other,
}

fn end_of(activity: &Activity, known: &Known) -> End {
    let is_reported = known.word.is_some() && activity.stdout == printed(activity.id);
    match activity.status.as_str() {
        "Success" if is_reported => End::Succeeded,
        "Success" => End::Assumed,
        "Failed" if is_reported && activity.stderr == FAILED_WITH => End::Failed,
        "Failed" => End::Unconfirmed(activity.stderr.clone()),
        "Running" | "Pending" => End::Open,
        _ => End::Other,
    }
}

/// The promises that were broken with one script.
fn broken_of(activity: &Activity, known: &Known, end: &End) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let mut promise = |is_kept: bool, what| {
        if !is_kept {
            broken.push(what);
        }
    };
    let is_closed = |status: &str| ["Success", "Failed"].contains(&status);
    promise(*end != End::Open, "a script still runs");
    promise(
        *end != End::Other,
        "a script ended neither in Success nor in Failed",
    );
    if let Some(run) = &activity.run {
        promise(
            !["Running", "Pending"].contains(&run.status.as_str()),
            "a run still runs",
        );
        promise(
            is_closed(&run.status) || run.status == "Running" || run.status == "Pending",
            "a run ended neither in Success nor in Failed",
        );
        promise(
            run.status == activity.status,
            "a run and its script ended differently",
        );
        promise(
            run.status != "Failed" || !run.error.is_empty() || !activity.stderr.is_empty(),
            "a run failed and does not say why",
        );
    }
    promise(
        *end != End::Unconfirmed(String::new()),
        "a script failed and does not say why",
    );
    promise(
        known.came_to.len() <= MOST_SENDS,
        "a script was sent more than twice",
    );
    promise(known.began <= 1, "a script ran twice on an agent that remembers");
    let own = format!("{0} for {0}", activity.host);
    promise(
        known.came_to.iter().all(|host| *host == own),
        "a script came to another host",
    );
    let has_come = !known.came_to.is_empty();
    promise(
        has_come || ![End::Succeeded, End::Assumed].contains(end),
        "a script counts as a success and never came to its agent",
    );
    promise(
        !has_come || activity.stderr != NEVER_SENT,
        "a script came to its agent and is said not to have been sent",
    );
    if known.confirmed
        && let Some(word) = known.word
    {
        promise(
            activity.status == word && activity.stdout == printed(activity.id),
            "a result was confirmed and is not what is stored",
        );
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(status: &str, stderr: &str) -> Activity {
        Activity {
            id: 7,
            host: "A".to_owned(),
            status: status.to_owned(),
            stderr: stderr.to_owned(),
            ..Activity::default()
        }
    }

    fn reported(word: &'static str) -> Known {
        Known {
            came_to: vec!["A for A".to_owned()],
            began: 1,
            word: Some(word),
            confirmed: true,
        }
    }

    fn broken(activity: Activity, known: Known) -> Vec<String> {
        let found = Found {
            activities: vec![activity],
            ..Found::default()
        };
        let report = told(&found, &HashMap::from([(7, known)]), &Asked::default());
        report.broken.into_keys().collect()
    }

    #[test]
    fn a_script_that_ran_and_reported_keeps_every_promise() {
        let stored = Activity {
            stdout: printed(7),
            ..activity("Success", "")
        };
        assert_eq!(broken(stored, reported("Success")), [""; 0]);
        let failed = Activity {
            stdout: printed(7),
            ..activity("Failed", FAILED_WITH)
        };
        assert_eq!(broken(failed, reported("Failed")), [""; 0]);
        assert_eq!(broken(activity("Failed", NEVER_SENT), Known::default()), [""; 0]);
    }

    #[test]
    fn every_broken_promise_is_named() {
        let came = |hosts: &[&str]| Known {
            came_to: hosts.iter().map(|host| (*host).to_owned()).collect(),
            began: 1,
            ..Known::default()
        };
        for (stored, known, expected) in [
            (activity("Running", ""), came(&["A for A"]), "a script still runs"),
            (
                activity("Done", ""),
                came(&["A for A"]),
                "a script ended neither in Success nor in Failed",
            ),
            (
                activity("Failed", ""),
                came(&["A for A"]),
                "a script failed and does not say why",
            ),
            (
                activity("Failed", "x"),
                came(&["A for A"; 3]),
                "a script was sent more than twice",
            ),
            (
                activity("Failed", "x"),
                came(&["B for A"]),
                "a script came to another host",
            ),
            (
                activity("Failed", "x"),
                Known {
                    began: 2,
                    ..came(&["A for A"; 2])
                },
                "a script ran twice on an agent that remembers",
            ),
            (
                activity("Success", ""),
                Known::default(),
                "a script counts as a success and never came to its agent",
            ),
            (
                activity("Failed", NEVER_SENT),
                came(&["A for A"]),
                "a script came to its agent and is said not to have been sent",
            ),
            (
                activity("Success", ""),
                reported("Success"),
                "a result was confirmed and is not what is stored",
            ),
        ] {
            assert_eq!(broken(stored, known), [expected]);
        }
        let run = |status: &str, error: &str| Activity {
            run: Some(Run {
                status: status.to_owned(),
                error: error.to_owned(),
            }),
            ..activity("Failed", "x")
        };
        assert_eq!(
            broken(run("Running", ""), came(&["A for A"])),
            ["a run and its script ended differently", "a run still runs"]
        );
    }

    #[test]
    fn what_was_promised_and_is_not_there_is_broken() {
        let found = Found {
            runs: 3,
            doubled: 2,
            idle: 1,
            ..Found::default()
        };
        let asked = Asked {
            scheduled: 5,
            quick: vec![7, 8],
            unanswered: 1,
        };
        let report = told(&found, &HashMap::from([(9, Known::default())]), &asked);
        let broken: Vec<_> = report.broken.values().copied().collect();
        assert_eq!(
            (broken, report.unanswered),
            (vec![2, 2, 1, 1, 2], 1),
            "{:?}",
            report.broken
        );
    }
}
