//! What devices report of themselves. Heartbeats come by the thousand, so those that wait at the same moment are stored with
//! one statement.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    domain::devices::DeviceReport,
    repositories::{
        StoreError,
        devices::ReportNotes,
        sqlite::{SqliteStore, rows::Columns, together::Together, writer::Statement},
    },
};

/// The columns that a report changes but for the host name, of which there is an index.
macro_rules! reported_columns {
    () => {
        "last_seen = $2, memory = COALESCE($4, memory), network = COALESCE($5, network), \
         software = COALESCE($6, software), storage = COALESCE($7, storage), cpu = COALESCE($8, cpu), \
         last_user = COALESCE($9, last_user), operating_system = COALESCE($10, operating_system), \
         uptime = COALESCE($11, uptime), external_ip = COALESCE($12, external_ip), \
         internal_ip = COALESCE($13, internal_ip), device_type = COALESCE($14, device_type)"
    };
}

/// Which row a report is noted in. A name that is no text cannot be given, so nothing is stored with it.
macro_rules! of_the_name {
    ($name:literal) => {
        concat!(
            " AND typeof(hostname) IN ('text', 'null') AND (",
            $name,
            " IS NULL OR hostname = ",
            $name,
            ") RETURNING guid, hostname"
        )
    };
}

pub(in crate::repositories::sqlite) const NOTE_REPORT: &str = concat!(
    "UPDATE devices SET ",
    reported_columns!(),
    " WHERE guid = $1",
    of_the_name!("$3")
);

/// The same for several devices, without inventories.
pub(in crate::repositories::sqlite) const NOTE_REPORTS: &str = concat!(
    "UPDATE devices SET last_seen = note.value ->> 1, last_user = COALESCE(note.value ->> 3, last_user), \
     operating_system = COALESCE(note.value ->> 4, operating_system), uptime = COALESCE(note.value ->> 5, uptime), \
     external_ip = COALESCE(note.value ->> 6, external_ip), internal_ip = COALESCE(note.value ->> 7, internal_ip), \
     device_type = COALESCE(note.value ->> 8, device_type) FROM json_each($1) AS note WHERE guid = note.value ->> 0",
    of_the_name!("(note.value ->> 2)")
);

/// With another host name, unless that is none.
const STORE_REPORT: &str = concat!(
    "UPDATE devices SET hostname = COALESCE($3, hostname), ",
    reported_columns!(),
    " WHERE guid = $1"
);

/// A statement for the device of a GUID that reports.
fn of_report<'q>(
    statement: &'static str,
    guid: &'q str,
    report: &'q DeviceReport,
    now: i64,
) -> Statement<'q> {
    sqlx::query(statement)
        .bind(guid)
        .bind(now)
        .bind(&report.hostname)
        .bind(&report.memory)
        .bind(&report.network)
        .bind(&report.software)
        .bind(&report.storage)
        .bind(&report.cpu)
        .bind(&report.last_user)
        .bind(&report.operating_system)
        .bind(report.uptime)
        .bind(&report.external_ip)
        .bind(&report.internal_ip)
        .bind(&report.device_type)
}

/// The statement that stores a report with its host name.
pub(super) fn storing<'q>(guid: &'q str, report: &'q DeviceReport, now: i64) -> Statement<'q> {
    of_report(STORE_REPORT, guid, report, now)
}

/// Reports that wait to be noted.
pub(in crate::repositories::sqlite) type WaitingReports = Together<Arc<Note>, Option<Option<String>>>;

#[derive(Debug)]
pub(in crate::repositories::sqlite) struct Note {
    guid: String,
    report: DeviceReport,
    now: i64,
}

/// Whether a report is noted together with others: inventories are long, and SQLite's JSON ends a text at a NUL.
fn is_brief(guid: &str, report: &DeviceReport) -> bool {
    let DeviceReport {
        hostname,
        memory: None,
        network: None,
        software: None,
        storage: None,
        cpu: None,
        last_user,
        operating_system,
        uptime: _,
        external_ip,
        internal_ip,
        device_type,
    } = report
    else {
        return false;
    };
    let texts = [
        hostname,
        last_user,
        operating_system,
        external_ip,
        internal_ip,
        device_type,
    ];
    let mut texts = texts.into_iter().flatten().map(String::as_str).chain([guid]);
    texts.all(|text| !text.contains('\0'))
}

impl SqliteStore {
    async fn note_alone(
        &self,
        guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<Option<Option<String>>, StoreError> {
        let rows = self.change(|| of_report(NOTE_REPORT, guid, report, now)).await?;
        let named = |row| Columns::of("devices", row).get("hostname");
        rows.first().map(named).transpose()
    }

    /// Notes these, each in its place.
    async fn note_all(
        &self,
        notes: Vec<Arc<Note>>,
    ) -> Result<Vec<Result<Option<Option<String>>, StoreError>>, StoreError> {
        let mut devices = HashSet::new();
        // Of two of one device the later one comes later.
        let are_first: Vec<bool> = notes
            .iter()
            .map(|note| devices.insert(note.guid.as_str()))
            .collect();
        let noted = if devices.len() > 1 {
            let first = notes.iter().zip(&are_first).filter(|(_, is_first)| **is_first);
            match self.note_together(first.map(|(note, _)| &**note)).await {
                Ok(noted) => Some(noted),
                // Each alone: what is wrong with one is nobody else's trouble.
                Err(error) if matches!(error.root(), StoreError::Database(_)) && !error.is_busy() => None,
                Err(error) => return Err(error),
            }
        } else {
            None
        };
        let mut answers = Vec::with_capacity(notes.len());
        for (note, is_first) in notes.iter().zip(are_first) {
            answers.push(match &noted {
                Some(noted) if is_first => Ok(noted.get(&note.guid).cloned()),
                _ => self.note_alone(&note.guid, &note.report, note.now).await,
            });
        }
        Ok(answers)
    }

    /// The host names of those that are noted, by GUID.
    async fn note_together<'a>(
        &self,
        notes: impl Iterator<Item = &'a Note> + Send,
    ) -> Result<HashMap<String, Option<String>>, StoreError> {
        let notes: Vec<_> = notes
            .map(|Note { guid, report, now }| {
                (
                    guid,
                    now,
                    &report.hostname,
                    &report.last_user,
                    &report.operating_system,
                    report.uptime,
                    &report.external_ip,
                    &report.internal_ip,
                    &report.device_type,
                )
            })
            .collect();
        let notes = serde_json::to_string(&notes).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let rows = self
            .change(|| sqlx::query(NOTE_REPORTS).bind(notes.clone()))
            .await?;
        rows.iter()
            .map(|row| {
                let row = Columns::of("devices", row);
                Ok((row.get("guid")?, row.get("hostname")?))
            })
            .collect()
    }
}

#[async_trait]
impl ReportNotes for SqliteStore {
    async fn note_report(
        &self,
        guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<Option<Option<String>>, StoreError> {
        if !is_brief(guid, report) {
            return self.note_alone(guid, report, now).await;
        }
        let note = Note {
            guid: guid.to_owned(),
            report: report.clone(),
            now,
        };
        let noting = self.reports.ask(Arc::new(note), |notes| self.note_all(notes));
        self.writer.within_deadline(noting).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use tokio::task::JoinSet;

    use super::*;
    use crate::{
        repositories::{UnitOfWork as _, sqlite::Access as _},
        testkit::Ground,
    };

    const ROWS: &str = "INSERT INTO devices (guid, hostname, last_user, uptime) VALUES ('A', 'WIN-A', 'old', 7), ('B', NULL, 'old', 7), \
        ('C', x'00', 'old', 7), ('d', 'WIN-D', 'old', 7), ('E', 'WIN-E', 'old', 7)";
    const COLUMNS: &str = "SELECT json_array(guid, hex(hostname), last_seen, last_user, operating_system, uptime, external_ip, \
        internal_ip, device_type, typeof(uptime), typeof(last_user)) FROM devices ORDER BY guid";

    struct Place {
        store: SqliteStore,
        _folder: tempfile::TempDir,
    }

    impl Place {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("database.db"))
                .await
                .unwrap();
            store.migrate().await.unwrap();
            let mut work = store.work().await.unwrap();
            sqlx::raw_sql(ROWS).execute(work.connection()).await.unwrap();
            Box::new(work).save().await.unwrap();
            Self {
                store,
                _folder: folder,
            }
        }

        async fn rows(&self) -> Vec<String> {
            let mut view = self.store.reading().await.unwrap();
            // Every row, past the look at plans.
            let rows = sqlx::query_scalar(COLUMNS).fetch_all(&mut *view.connection).await;
            rows.unwrap()
        }
    }

    fn any_report() -> impl Strategy<Value = (&'static str, DeviceReport)> {
        let text = || {
            option::of(prop::sample::select(vec![
                "",
                "x",
                "7",
                "\"\\\u{1}\u{e9}\u{1f600}",
                "null",
            ]))
        };
        let guid = prop::sample::select(vec!["A", "B", "C", "D", "E", "none"]);
        let name = option::weighted(0.3, prop::sample::select(vec!["WIN-A", "WIN-E", "other"]));
        let uptime = option::of(prop::sample::select(vec![0, i64::MAX, i64::MIN]));
        (guid, name, text(), text(), uptime, (text(), text(), text())).prop_map(
            |(guid, name, last_user, operating_system, uptime, (external_ip, internal_ip, device_type))| {
                let own = |text: Option<&str>| text.map(str::to_owned);
                let report = DeviceReport {
                    hostname: own(name),
                    last_user: own(last_user),
                    operating_system: own(operating_system),
                    uptime,
                    external_ip: own(external_ip),
                    internal_ip: own(internal_ip),
                    device_type: own(device_type),
                    ..DeviceReport::default()
                };
                (guid, report)
            },
        )
    }

    async fn together_as_alone(reports: Vec<(&'static str, DeviceReport)>) {
        let (one, other) = (Place::new().await, Place::new().await);
        let notes = reports.iter().zip(1..).map(|((guid, report), now)| {
            Arc::new(Note {
                guid: (*guid).to_owned(),
                report: report.clone(),
                now,
            })
        });
        let together = one.store.note_all(notes.collect()).await.unwrap();
        for (((guid, report), now), together) in reports.iter().zip(1..).zip(together) {
            let alone = other.store.note_alone(guid, report, now).await.unwrap();
            assert_eq!(together.unwrap(), alone, "{guid} {report:?}");
        }
        assert_eq!(one.rows().await, other.rows().await);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_is_noted_together_is_as_if_it_came_one_after_the_other(reports in vec(any_report(), 1..8)) {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(together_as_alone(reports));
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_one_report_is_nobody_else_s_trouble() {
        let ground = Arc::new(Ground::with(ROWS).await);
        ground
            .sql("CREATE TRIGGER no BEFORE UPDATE ON devices WHEN NEW.guid = 'E' BEGIN SELECT RAISE(ABORT, 'no'); END")
            .await;
        let mut reporting = JoinSet::new();
        for guid in ["A", "B", "E", "d", "none", "A\0"].repeat(10) {
            let store = ground.store();
            reporting.spawn(async move {
                let noted = store.note_report(guid, &DeviceReport::default(), 9).await;
                match guid {
                    "E" => assert_eq!(noted.unwrap_err().database_message(), "no"),
                    "A" => assert_eq!(noted.unwrap(), Some(Some("WIN-A".to_owned()))),
                    "B" => assert_eq!(noted.unwrap(), Some(None)),
                    "d" => assert_eq!(noted.unwrap(), Some(Some("WIN-D".to_owned()))),
                    _ => assert_eq!(noted.unwrap(), None),
                }
            });
        }
        while let Some(reported) = reporting.join_next().await {
            reported.unwrap();
        }
        let noted = "SELECT guid FROM devices WHERE last_seen = 9 ORDER BY guid";
        assert_eq!(
            ground.column(noted).await,
            ["A", "B", "d"].map(|guid| Some(guid.to_owned()))
        );
    }
}
