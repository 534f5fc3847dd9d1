//! Everything that was recorded, in order.

use std::collections::BTreeMap;

use super::{
    tape::{Limits, Passed, Reader, Side},
    websocket::Message,
    wire::{Exchange, Room, Wire},
};

/// A place in the order of everything that passed, and the time then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub number: u64,
    /// Unix time in microseconds.
    pub at_us: i64,
}

/// Something that came to its end.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Exchange(Box<Exchange>),
    /// Over a websocket.
    Message {
        connection: u32,
        from: Side,
        at: Moment,
        message: Message,
    },
    /// A side has ended a connection that was a websocket's.
    Closed {
        connection: u32,
        from: Side,
        at: Moment,
    },
    /// A request whose answer never came.
    Unanswered {
        what: String,
    },
    /// A connection that cannot be read on, and during which request.
    Unread {
        why: String,
        during: Option<String>,
    },
}

/// A whole recording.
#[derive(Debug)]
pub struct Journal {
    pub(super) started_at_us: i64,
    pub(super) entries: Vec<Entry>,
    /// Connections that could not be passed on, and why the last one could not.
    pub(super) refused: (u64, String),
}

impl Journal {
    /// How many requests were answered.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Exchange(_)))
            .count()
    }
}

impl Journal {
    /// What became of connections that found no server, for people; nothing where there were none.
    #[must_use]
    pub fn refusals(&self) -> String {
        match &self.refused {
            (0, _) => String::new(),
            (count, reason) => format!("; {count} connections found no server: {reason}"),
        }
    }
}

/// Reads the tape to the recording's end.
pub(super) async fn keep(mut tape: Reader, limits: Limits, started_at_us: i64) -> Journal {
    let mut room = Room {
        body: limits.body,
        all: limits.all,
    };
    let mut journal = Journal {
        started_at_us,
        entries: Vec::new(),
        refused: (0, String::new()),
    };
    let mut wires: BTreeMap<u32, Wire> = BTreeMap::new();
    let mut number = 0;
    while let Some(passed) = tape.next().await {
        number += 1;
        let out = &mut journal.entries;
        match passed {
            Passed::Bytes {
                connection,
                from,
                at_us,
                bytes,
            } => {
                let wire = wires.entry(connection).or_insert_with(|| Wire::new(connection));
                wire.take(from, Moment { number, at_us }, &bytes, &mut room, out);
            }
            Passed::Ended {
                connection,
                from,
                at_us,
            } => {
                if let Some(wire) = wires.get_mut(&connection) {
                    wire.end(from, Moment { number, at_us }, out);
                }
            }
            Passed::Over { connection } => {
                wires.remove(&connection);
            }
            Passed::Lost { connection } => wires
                .entry(connection)
                .or_insert_with(|| Wire::new(connection))
                .give_up("more passed at once than could be kept", out),
            Passed::NoUpstream { reason } => {
                journal.refused.0 += 1;
                journal.refused.1 = reason;
            }
            Passed::End => break,
        }
    }
    for wire in wires.values_mut() {
        wire.finish(&mut journal.entries);
    }
    journal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tape::{Clock, tape};

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now_us(&self) -> i64 {
            0
        }
    }

    /// What a tape on which one websocket's connection ends like this gives.
    async fn closed_by(first: Side) -> Vec<String> {
        let limits = Limits::default();
        let (tape, reader) = tape(std::sync::Arc::new(Noon), limits);
        let other = match first {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let close = |side| match side {
            Side::Client => &b"\x88\x80\0\0\0\0"[..],
            Side::Server => &b"\x88\0"[..],
        };
        tape.bytes(
            1,
            Side::Client,
            (&b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"[..]).into(),
        );
        tape.bytes(1, Side::Server, (&b"HTTP/1.1 101 SWITCHING\r\n\r\n"[..]).into());
        tape.bytes(1, first, close(first).into());
        tape.ended(1, first);
        tape.bytes(1, other, close(other).into());
        tape.ended(1, other);
        tape.over(1);
        tape.end();
        let journal = keep(reader, limits, 0).await;
        let shown = journal.entries.iter().map(|entry| match entry {
            Entry::Exchange(exchange) => exchange.asked.target.clone(),
            Entry::Message { message, .. } => format!("{message:?}"),
            Entry::Closed { from, .. } => format!("closed by {from:?}"),
            Entry::Unanswered { what } => what.clone(),
            Entry::Unread { why, .. } => why.clone(),
        });
        shown.collect()
    }

    #[tokio::test]
    async fn what_one_side_says_after_the_other_has_ended_belongs_to_the_same_connection() {
        for first in [Side::Client, Side::Server] {
            let expected = [
                "/ws".to_owned(),
                "Close(None)".to_owned(),
                format!("closed by {first:?}"),
            ];
            assert_eq!(closed_by(first).await, expected);
        }
    }
}
