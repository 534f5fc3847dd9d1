//! The audit log: `Logs/Server/audit.log` under the root, one line a change that an operator or a device made.
//!
//! Services say what was changed once it is committed ([`crate::services::audit`]); who did it, and from where, is said
//! by the span around them, which the interface opens that the change came through.

use std::{fmt, sync::Arc};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::log_file::LogFile;
use crate::domain::{clock::Clock, json::Json, json_text::column_text, mask::shown};

/// The target of what belongs into this log, and into no other.
pub const TARGET: &str = "audit";
/// Days for which entries are kept.
pub const KEPT_DAYS: u16 = 365;

/// Writes each change as a JSON object of the members `time`, `by` (`operator`, `device`, `console`, `server` or
/// `nobody`), `who`, `from`, `what` and `id`. However many are equal, each has its line.
#[derive(Debug)]
pub struct AuditLog {
    file: LogFile,
    clock: Arc<dyn Clock>,
}

impl AuditLog {
    /// A log into `file`, with the time of `clock`.
    pub fn new(file: LogFile, clock: Arc<dyn Clock>) -> Self {
        Self { file, clock }
    }
}

/// Whether something that is logged belongs into this log.
pub fn is_audit(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for AuditLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut actor = Actor::default();
        attributes.record(&mut actor);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(actor);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(actor) = span.extensions_mut().get_mut::<Actor>()
        {
            values.record(actor);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !is_audit(event.metadata()) {
            return;
        }
        let mut change = Change::default();
        event.record(&mut change);
        let mut actor = Actor::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Actor>() {
                actor.fill_from(outer);
            }
        }
        let now = self.clock.now();
        let nobody = || "nobody".to_owned();
        let entry = Json::object([
            ("time", format!("{now:.3}").into()),
            ("by", actor.by.unwrap_or_else(nobody).into()),
            ("who", actor.who.into()),
            ("from", actor.from.into()),
            ("what", change.what.into()),
            ("id", change.id.into()),
        ]);
        self.file.append(now, &column_text(&entry));
    }
}

/// Who acts within a span, as far as its fields name somebody.
#[derive(Clone, Debug, Default)]
struct Actor {
    by: Option<String>,
    who: Option<String>,
    from: Option<String>,
}

impl Actor {
    /// Takes from an outer span the fields that the inner ones lack.
    fn fill_from(&mut self, outer: &Self) {
        if self.by.is_none() {
            self.by.clone_from(&outer.by);
            self.who.clone_from(&outer.who);
        }
        if self.from.is_none() {
            self.from.clone_from(&outer.from);
        }
    }
}

impl Visit for Actor {
    fn record_str(&mut self, field: &Field, value: &str) {
        let member = match field.name() {
            "by" => &mut self.by,
            "who" => &mut self.who,
            "from" => &mut self.from,
            _ => return,
        };
        *member = Some(shown(value).into_owned());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// What was changed.
#[derive(Debug, Default)]
struct Change {
    what: String,
    id: String,
}

impl Visit for Change {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "what" => value.clone_into(&mut self.what),
            "id" => self.id = shown(value).into_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
