//! The access log: `Logs/Server/access.log` under the root, one line of JSON a request, where it is switched on.
//!
//! Lines are written by a thread of its own, so that a slow disk holds no request up. Those that come faster than they
//! can be written are counted, and the log says how many they were.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;

use super::log_file::LogFile;
use crate::domain::{
    json::Json,
    json_text::column_text,
    mask::shown,
    measures::{self, Log},
};

/// Lines that wait to be written; each is a few hundred bytes.
const WAITING: usize = 10_000;

/// How long lines are gathered before they are written together: to write each by itself costs as much as to answer the
/// request.
const GATHERING: Duration = Duration::from_millis(20);

/// One request. What its client chose is cut where it is long, and there is no query: secrets may stand in one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Access {
    /// When it came.
    pub time: Timestamp,
    /// Where from: the nearest address that is no trusted proxy's.
    pub from: String,
    pub method: String,
    pub path: String,
    /// The route's template, or a word for what has none.
    pub route: String,
    /// `None` where its client was gone before there was an answer.
    pub status: Option<u16>,
    /// Bytes of the body that were handed to the connection.
    pub bytes: u64,
    /// Until the last of them.
    pub took: Duration,
}

impl Access {
    fn line(&self) -> String {
        let milliseconds = self.took.as_micros() as f64 / 1000.0;
        column_text(&Json::object([
            ("time", format!("{:.3}", self.time).into()),
            ("from", self.from.as_str().into()),
            ("method", shown(&self.method).as_ref().into()),
            ("path", shown(&self.path).as_ref().into()),
            ("route", self.route.as_str().into()),
            ("status", self.status.map(i64::from).into()),
            ("bytes", i64::try_from(self.bytes).unwrap_or(i64::MAX).into()),
            ("ms", milliseconds.into()),
        ]))
    }
}

enum Message {
    Line(Access),
    Stop,
}

/// Takes lines; they are written behind its back.
pub struct AccessLog {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Begins to write into `file`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn begin(file: LogFile) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&file, &waiting, &counted))?;
        Ok(Self {
            lines,
            lost,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Has a line written; never waits.
    pub fn note(&self, access: Access) {
        if self.lines.try_send(Message::Line(access)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            measures::log_line_lost(Log::Access);
        }
    }

    /// Returns once everything that came before is written. Blocks.
    pub fn finish(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // Neither fails but where the writer is gone.
            let _ = self.lines.send(Message::Stop);
            let _ = writer.join();
        }
    }
}

fn write(file: &LogFile, waiting: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(Message::Line(first)) = waiting.recv() {
        std::thread::sleep(GATHERING);
        let time = first.time;
        let mut text = first.line();
        let mut goes_on = true;
        for message in waiting.try_iter().take(WAITING) {
            let Message::Line(access) = message else {
                goes_on = false;
                break;
            };
            text.push('\n');
            text += &access.line();
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let line = Json::object([
                ("time", format!("{time:.3}").into()),
                ("lost", i64::try_from(lost).unwrap_or(i64::MAX).into()),
            ]);
            text.push('\n');
            text += &column_text(&line);
        }
        file.append(time, &text);
        if !goes_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::log_file::{KEPT_FILES, Kept};

    fn access(path: &str) -> Access {
        Access {
            time: "2031-05-01T21:59:58.042Z".parse().unwrap(),
            from: "192.0.2.7".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            route: "pages".to_owned(),
            status: Some(200),
            bytes: 12,
            took: Duration::from_micros(1234),
        }
    }

    fn log(folder: &tempfile::TempDir) -> LogFile {
        let path = folder.path().join("access.log");
        LogFile::new(path, TimeZone::UTC, Kept::Files(KEPT_FILES))
    }

    #[test]
    fn a_request_is_one_line_and_all_are_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = log(&folder);
        let path = file.path().to_owned();
        let written = AccessLog::begin(file).unwrap();
        for _ in 0..3 {
            written.note(access("/a\n\u{1b}b"));
        }
        written.note(Access {
            status: None,
            ..access(&"/x".repeat(100))
        });
        written.finish();
        written.finish();
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[2],
            "{\"time\": \"2031-05-01T21:59:58.042Z\", \"from\": \"192.0.2.7\", \"method\": \"GET\", \
             \"path\": \"/a\\n\\u001bb\", \"route\": \"pages\", \"status\": 200, \"bytes\": 12, \"ms\": 1.234}"
        );
        assert!(lines[3].contains("\"status\": null"), "{}", lines[3]);
        assert!(lines[3].len() < 300, "{}", lines[3]);
    }

    #[test]
    fn what_comes_too_fast_is_counted_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = log(&folder);
        let path = file.path().to_owned();
        let (lines, waiting) = sync_channel(2);
        let written = AccessLog {
            lines,
            lost: Arc::default(),
            writer: Mutex::default(),
        };
        for _ in 0..5 {
            written.note(access("/"));
        }
        let lost = Arc::clone(&written.lost);
        drop(written);
        write(&file, &waiting, &lost);
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("\"lost\": 3}"), "{text}");
    }
}
