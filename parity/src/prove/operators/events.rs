//! What goes over sockets.

use super::{Change, Operator, other_letter};
use crate::transcript::Seen;

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "event-lost",
        sentence: "an event does not come",
        change: Change::Event(|heard, connection, at| {
            heard.get_mut(connection)?.events.remove(at);
            Some(())
        }),
    },
    Operator {
        name: "event-doubled",
        sentence: "an event comes twice",
        change: Change::Event(|heard, connection, at| {
            let events = &mut heard.get_mut(connection)?.events;
            events.insert(at, events.get(at)?.clone());
            Some(())
        }),
    },
    Operator {
        name: "event-moved",
        sentence: "an event comes after the next one",
        change: Change::Event(|heard, connection, at| {
            let events = &mut heard.get_mut(connection)?.events;
            let (one, other) = (events.get(at)?, events.get(at + 1)?);
            if (&one.event, &one.data) == (&other.event, &other.data) {
                return None;
            }
            let (here, next) = (one.after_step, other.after_step);
            events.swap(at, at + 1);
            events.get_mut(at)?.after_step = here;
            events.get_mut(at + 1)?.after_step = next;
            Some(())
        }),
    },
    Operator {
        name: "event-late",
        sentence: "an event comes two steps later",
        change: Change::Event(|heard, connection, at| {
            heard.get_mut(connection)?.events.get_mut(at)?.after_step += 2;
            Some(())
        }),
    },
    Operator {
        name: "event-early",
        sentence: "an event comes two steps earlier",
        change: Change::Event(|heard, connection, at| {
            let after = &mut heard.get_mut(connection)?.events.get_mut(at)?.after_step;
            // Which of two steps an event came in differs from run to run; that it can be moved must not.
            let earlier = (*after > 0).then(|| after.saturating_sub(2))?;
            *after = earlier;
            Some(())
        }),
    },
    Operator {
        name: "event-misdirected",
        sentence: "an event comes to another client",
        change: Change::Event(|heard, connection, at| {
            let other = if connection + 1 < heard.len() {
                connection + 1
            } else {
                connection.checked_sub(1)?
            };
            let event = heard.get_mut(connection)?.events.remove(at);
            let events = &mut heard.get_mut(other)?.events;
            let at = events.iter().position(|one| one.after_step > event.after_step);
            events.insert(at.unwrap_or(events.len()), event);
            Some(())
        }),
    },
    Operator {
        name: "event-overheard",
        sentence: "an event comes to another client, too",
        change: Change::Event(|heard, connection, at| {
            let other = if connection + 1 < heard.len() {
                connection + 1
            } else {
                connection.checked_sub(1)?
            };
            let event = heard.get(connection)?.events.get(at)?.clone();
            let events = &mut heard.get_mut(other)?.events;
            let at = events.iter().position(|one| one.after_step > event.after_step);
            events.insert(at.unwrap_or(events.len()), event);
            Some(())
        }),
    },
    Operator {
        name: "event-renamed",
        sentence: "an event of another name",
        change: Change::Event(|heard, connection, at| {
            let event = &mut heard.get_mut(connection)?.events.get_mut(at)?.event;
            *event = other_letter(event, 0)?;
            Some(())
        }),
    },
    Operator {
        name: "event-asks",
        sentence: "an event asks for an acknowledgement that asked for none, or no longer does",
        change: Change::Event(|heard, connection, at| {
            let event = heard.get_mut(connection)?.events.get_mut(at)?;
            event.asks = !event.asks;
            Some(())
        }),
    },
    Operator {
        name: "connection-closed",
        sentence: "the server ends a connection that it kept",
        change: Change::Connection(|heard, connection| {
            let closed = &mut heard.get_mut(connection)?.closed;
            if closed.is_some() {
                return None;
            }
            *closed = Some("transport error".to_owned());
            Some(())
        }),
    },
    Operator {
        name: "connection-kept",
        sentence: "the server keeps a connection that it ended",
        change: Change::Connection(|heard, connection| heard.get_mut(connection)?.closed.take().map(|_| ())),
    },
    Operator {
        name: "connection-end-reason",
        sentence: "the server ends a connection for another reason",
        change: Change::Connection(|heard, connection| {
            let closed = heard.get_mut(connection)?.closed.as_mut()?;
            *closed = other_letter(closed, 0)?;
            Some(())
        }),
    },
    Operator {
        name: "connect",
        sentence: "a connect is refused that was accepted, and accepted that was refused",
        change: Change::Seen("/connected", |seen| match seen {
            Seen::Connected { connected, error } => {
                *connected = !*connected;
                *error = None;
                Some(())
            }
            _ => None,
        }),
    },
    Operator {
        name: "ack-lost",
        sentence: "an acknowledgement or event that was waited for does not come",
        change: Change::Seen("/arguments", |seen| match seen {
            Seen::Acknowledged { arguments } | Seen::Received { arguments } => arguments.take().map(|_| ()),
            _ => None,
        }),
    },
    Operator {
        name: "ack-added",
        sentence: "something comes that did not come",
        change: Change::Seen("/arguments", |seen| match seen {
            Seen::Acknowledged { arguments } | Seen::Received { arguments } | Seen::Silence { arguments }
                if arguments.is_none() =>
            {
                *arguments = Some(Vec::new());
                Some(())
            }
            _ => None,
        }),
    },
];
