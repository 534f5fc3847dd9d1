//! A mixed day, compressed, for as long as it is wanted: what grows with time shows by the minute.

mod day;
mod table;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use self::table::HEAD as MINUTES_HEAD;
use serde::Serialize;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{BenchError, Latencies, ServerProcess};

/// How many minutes of the beginning say nothing of how it goes on.
const WARM_UP: usize = 1;
/// An activity that runs for longer than this was forgotten: agents answer at once.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What is soaked, and how.
#[derive(Clone, Debug)]
pub struct SoakPlan {
    /// The server's binary.
    pub engine: PathBuf,
    /// How many agents are connected.
    pub devices: usize,
    /// How many operators look on and work.
    pub operators: usize,
    pub minutes: usize,
}

/// What was seen at the end of a minute, and of the answers in it.
#[derive(Clone, Debug, Serialize)]
pub struct Minute {
    pub minute: usize,
    /// In megabytes of a million bytes, as all of these.
    pub resident: f64,
    pub open_files: usize,
    /// The database's journal.
    pub journal: f64,
    pub log: f64,
    /// Agents that were connected.
    pub agents: usize,
    /// Requests that were answered.
    pub answers: usize,
    /// What 99 % of them took at most, in milliseconds.
    pub most: f64,
    pub slowest: f64,
}

/// How much more there is after each minute, by least squares over all but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Slopes {
    pub resident: f64,
    pub open_files: f64,
    pub journal: f64,
    pub log: f64,
    pub most: f64,
}

/// Everything that a soak shows.
#[derive(Clone, Debug, Serialize)]
pub struct SoakReport {
    pub devices: usize,
    pub operators: usize,
    pub minutes: Vec<Minute>,
    pub slopes: Slopes,
    /// What was done, and how often.
    pub done: BTreeMap<&'static str, usize>,
    /// What went wrong, and how often.
    pub faults: BTreeMap<String, usize>,
}

/// What the parts of the load note.
#[derive(Debug, Default)]
struct Ledger(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    latencies: Latencies,
    agents: usize,
    done: BTreeMap<&'static str, usize>,
    faults: BTreeMap<String, usize>,
}

impl Ledger {
    fn with<T>(&self, note: impl FnOnce(&mut Notes) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something was asked and answered, or went wrong.
    fn note(&self, what: &'static str, took: Duration, outcome: Result<(), BenchError>) {
        self.with(|notes| match outcome {
            Ok(()) => {
                notes.latencies.note(took);
                *notes.done.entry(what).or_default() += 1;
            }
            Err(error) => *notes.faults.entry(format!("{what}: {error}")).or_default() += 1,
        });
    }

    fn fault(&self, what: String, times: usize) {
        self.with(|notes| *notes.faults.entry(what).or_default() += times);
    }

    fn agents(&self, change: impl FnOnce(usize) -> usize) {
        self.with(|notes| notes.agents = change(notes.agents));
    }
}

/// Lives the day; `each` gets every minute as soon as it is over, `doing` what goes on before the first.
///
/// # Errors
/// There is no server, or it could not be filled.
pub async fn soak(
    plan: &SoakPlan,
    doing: impl Fn(&'static str),
    mut each: impl FnMut(&Minute),
) -> Result<SoakReport, BenchError> {
    doing("starting the server");
    let server = ServerProcess::start(&plan.engine).await?;
    let ledger = Arc::new(Ledger::default());
    doing("connecting agents and operators");
    let mut day = day::begin(&server, plan, &ledger).await?;
    let mut minutes = Vec::new();
    let mut end = tokio::time::Instant::now();
    for minute in 1..=plan.minutes {
        end += Duration::from_secs(60);
        tokio::time::sleep_until(end).await;
        let (mut latencies, agents) =
            ledger.with(|notes| (std::mem::take(&mut notes.latencies), notes.agents));
        let milliseconds = |took: Option<Duration>| took.unwrap_or_default().as_secs_f64() * 1000.0;
        let seen = Minute {
            minute,
            resident: server.resident_megabytes()?,
            open_files: server.open_files()?,
            journal: server.journal_megabytes(),
            #[allow(clippy::cast_precision_loss, reason = "bytes of a log")]
            log: server.log_bytes()? as f64 / 1e6,
            agents,
            answers: latencies.count(),
            most: milliseconds(latencies.quantile(0.99)),
            slowest: milliseconds(latencies.quantile(1.0)),
        };
        each(&seen);
        minutes.push(seen);
    }
    day.shutdown().await;
    let forgotten = forgotten(&server).await?;
    if forgotten > 0 {
        ledger.fault(
            "an activity still runs a minute after it began".to_owned(),
            forgotten,
        );
    }
    Ok(ledger.with(|notes| SoakReport {
        devices: plan.devices,
        operators: plan.operators,
        slopes: Slopes::of(&minutes),
        minutes,
        done: std::mem::take(&mut notes.done),
        faults: std::mem::take(&mut notes.faults),
    }))
}

/// Activities that should have ended and did not.
async fn forgotten(server: &ServerProcess) -> Result<usize, BenchError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(FORGOTTEN).as_secs();
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut database = SqliteConnection::connect_with(&options).await?;
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM activity_history WHERE status = 'Running' AND ran_at < $1")
            .bind(i64::try_from(before).unwrap_or(i64::MAX))
            .fetch_one(&mut database)
            .await?;
    database.close().await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

impl Slopes {
    fn of(minutes: &[Minute]) -> Self {
        let minutes = minutes.get(WARM_UP..).unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "minutes and open files")]
        let slope = |value: fn(&Minute) -> f64| {
            let points: Vec<(f64, f64)> = minutes
                .iter()
                .map(|one| (one.minute as f64, value(one)))
                .collect();
            slope(&points)
        };
        #[allow(clippy::cast_precision_loss, reason = "open files")]
        Self {
            resident: slope(|one| one.resident),
            open_files: slope(|one| one.open_files as f64),
            journal: slope(|one| one.journal),
            log: slope(|one| one.log),
            most: slope(|one| one.most),
        }
    }
}

/// Of the straight line that is nearest to all of these; 0 where there is none.
fn slope(points: &[(f64, f64)]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a day has 1440 minutes")]
    let count = points.len() as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_nearest_line() {
        assert_eq!(slope(&[]), 0.0);
        assert_eq!(slope(&[(1.0, 7.0)]), 0.0);
        assert_eq!(slope(&[(1.0, 7.0), (2.0, 7.0), (3.0, 7.0)]), 0.0);
        assert_eq!(slope(&[(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 0.0), (2.0, 2.0), (3.0, 0.0), (4.0, 2.0)]), 0.4);
    }

    #[test]
    fn what_goes_wrong_is_counted_by_what_it_is() {
        let ledger = Ledger::default();
        let refused = || {
            Err(BenchError::Refused {
                request: "a page",
                status: 503,
            })
        };
        ledger.note("a page", Duration::from_millis(1), Ok(()));
        ledger.note("a page", Duration::from_millis(1), refused());
        ledger.note("a page", Duration::from_millis(1), refused());
        ledger.with(|notes| {
            assert_eq!(notes.latencies.count(), 1);
            assert_eq!(notes.done.get("a page"), Some(&1));
            assert_eq!(notes.faults.get("a page: a page was answered with 503"), Some(&2));
        });
    }
}
