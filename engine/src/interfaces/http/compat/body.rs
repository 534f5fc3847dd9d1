//! Request bodies: read within a limit, and read as JSON in the three ways of the legacy's routes.
//!
//! Long because the ways to read a body differ in a few words that are compared here.

mod limits;

use std::{convert::Infallible, future::poll_fn, marker::PhantomData, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use socketio_server::{
    engine_io::{Budget, Reading, Senders},
    long_work::{LONG, LongWork},
};

pub use limits::{BodyLimit, Enrollment, Files, LONGEST, Small, SmallOfAnybody, Usual, UsualOfAnybody};

use super::{
    super::unread_body::BodyGone, bodies_in_flight::BodiesInFlight, error_page::ErrorPage, forwarded::Caller,
    reply::Answer,
};
use crate::{
    config::{
        bounds::{AnonymousBounds, Bounds},
        settings::Settings,
        timing::Timing,
    },
    domain::{
        json::{Json, JsonObject},
        json_reader::{JsonReader, Refused},
    },
};

/// How bodies are read; shared, an extension of the request.
#[derive(Debug)]
pub struct BodyRules {
    timing: Timing,
    anonymous: Option<AnonymousBounds>,
    in_flight: Arc<BodiesInFlight>,
    /// What bodies may take while they are read, by address; without limit where nobody is asked for an identity.
    senders: Option<Arc<Senders<String>>>,
    /// Where long ones are parsed.
    long_work: LongWork,
}

impl BodyRules {
    /// The rules of these settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            timing: settings.timing,
            anonymous: settings.anonymous_bounds(),
            in_flight: Arc::default(),
            senders: settings.anonymous_bounds().map(|_| senders(&settings.bounds)),
            long_work: LongWork::default(),
        }
    }
}

impl Default for BodyRules {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            anonymous: Some(Bounds::default().anonymous),
            in_flight: Arc::default(),
            senders: Some(senders(&Bounds::default())),
            long_work: LongWork::default(),
        }
    }
}

fn senders(bounds: &Bounds) -> Arc<Senders<String>> {
    Arc::new(Senders::new(Budget::new(bounds.body_bytes)))
}

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the route allows.
    #[error("the body is too long")]
    TooLarge,
    /// The client stopped sending it.
    #[error("the body stopped coming")]
    Stalled,
    /// Its transfer is malformed or was broken off.
    #[error("the body broke off")]
    Broken,
    /// It holds more values than are read.
    #[error("the body holds too many values")]
    TooManyValues,
    /// It is JSON, but no object.
    #[error("the body is no JSON object")]
    NotAnObject,
    /// A strict route got no JSON.
    #[error("the body is not readable as JSON")]
    Unparsable,
    /// A strict route got another content type.
    #[error("the content type is not JSON")]
    WrongContentType,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge => closing(ErrorPage::TooLarge.into_response()),
            Self::Stalled | Self::Broken => {
                let mut response = closing(ErrorPage::BadRequest.into_response());
                response.extensions_mut().insert(BodyGone);
                response
            }
            Self::TooManyValues => Answer::error(StatusCode::BAD_REQUEST, "too_many_values").into_response(),
            Self::NotAnObject => Answer::error(StatusCode::BAD_REQUEST, "invalid JSON body").into_response(),
            Self::Unparsable => ErrorPage::BadRequest.into_response(),
            Self::WrongContentType => ErrorPage::UnsupportedMediaType.into_response(),
        }
    }
}

/// The rest of the body is not read, so the connection cannot be used again.
fn closing(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body that was read, and what it takes until it is dropped.
struct ReadBody {
    bytes: Bytes,
    reading: Option<Reading>,
}

/// A body that has not been read. Taking it from the request never fails, so that a guard can answer first.
#[derive(Debug)]
pub struct RawBody<L = Usual> {
    headers: HeaderMap,
    body: Body,
    limit: usize,
    rules: Arc<BodyRules>,
    /// Who sends it, for the limits by address.
    caller: Caller,
    /// Whether it has to come at a pace of its own, because anybody may send it.
    has_pace: bool,
    /// Whether somebody else counts what is read of it.
    is_counted: bool,
    kind: PhantomData<L>,
}

impl<S: Sync, L: BodyLimit> FromRequest<S> for RawBody<L> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        let rules: Arc<BodyRules> = parts.extensions.get().cloned().unwrap_or_default();
        let of_anybody = rules.anonymous.as_ref().and_then(L::of_anybody);
        Ok(Self {
            rules,
            caller: parts.extensions.get().cloned().unwrap_or_default(),
            headers: parts.headers,
            body,
            limit: of_anybody.unwrap_or(L::BYTES),
            has_pace: of_anybody.is_some(),
            is_counted: false,
            kind: PhantomData,
        })
    }
}

impl<L> RawBody<L> {
    /// The same body with another limit in bytes.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The same body of a route that anybody may call: where callers are asked for an identity elsewhere, it has the
    /// limit that `limit` chooses, and has to come at a pace.
    pub fn of_anybody(self, limit: impl FnOnce(&AnonymousBounds) -> usize) -> Self {
        match &self.rules.anonymous {
            None => self,
            Some(bounds) => Self {
                limit: limit(bounds),
                has_pace: true,
                ..self
            },
        }
    }

    /// The same body, of which the caller counts what is read.
    pub fn counted(self) -> Self {
        Self {
            is_counted: true,
            ..self
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Too many, or they stop coming.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        self.read().await.map(|body| body.bytes)
    }

    /// The object of a lenient route: another content type and unreadable text count as `{}`.
    ///
    /// # Errors
    /// As [`RawBody::bytes`], or JSON that is neither object nor falsy.
    pub async fn lenient(self) -> Result<JsonObject, BodyError> {
        let reader = self.reader();
        self.lenient_by(reader).await
    }

    /// As [`RawBody::lenient`], for what programs printed: lone surrogates and U+0000 become U+FFFD.
    ///
    /// # Errors
    /// As [`RawBody::lenient`].
    pub async fn lenient_replacing(self) -> Result<JsonObject, BodyError> {
        let reader = self.reader().replacing();
        self.lenient_by(reader).await
    }

    /// The object of a route that reads any content type as JSON.
    ///
    /// # Errors
    /// As [`RawBody::lenient`].
    pub async fn forced(self) -> Result<JsonObject, BodyError> {
        let reader = self.reader();
        object_or_falsy(self.parsed(reader).await?)
    }

    /// The object of a route that insists on JSON.
    ///
    /// # Errors
    /// As [`RawBody::bytes`], another content type, unreadable text, or JSON that is no object.
    pub async fn strict(self) -> Result<JsonObject, BodyError> {
        if !self.is_json() {
            return Err(BodyError::WrongContentType);
        }
        let reader = self.reader();
        match self.parsed(reader).await? {
            Some(Json::Object(members)) => Ok(members),
            Some(_) => Err(BodyError::NotAnObject),
            None => Err(BodyError::Unparsable),
        }
    }

    /// As [`RawBody::strict`], but falsy JSON counts as `{}`.
    ///
    /// # Errors
    /// As [`RawBody::strict`], of JSON that is neither object nor falsy.
    pub async fn strict_or_falsy(self) -> Result<JsonObject, BodyError> {
        if !self.is_json() {
            return Err(BodyError::WrongContentType);
        }
        let reader = self.reader();
        match self.parsed(reader).await? {
            None => Err(BodyError::Unparsable),
            value => object_or_falsy(value),
        }
    }

    async fn lenient_by(self, reader: JsonReader) -> Result<JsonObject, BodyError> {
        if self.is_json() {
            object_or_falsy(self.parsed(reader).await?)
        } else {
            self.read().await?;
            Ok(JsonObject::new())
        }
    }

    /// The value; `None` of a text that is no JSON.
    async fn parsed(self, reader: JsonReader) -> Result<Option<Json>, BodyError> {
        let long_work = self.rules.long_work.clone();
        let body = self.read().await?;
        let read = || reader.read(&body.bytes);
        readable(long_work.run(body.bytes.len() >= LONG, read).await)
    }

    fn reader(&self) -> JsonReader {
        self.rules.anonymous.map_or_else(JsonReader::default, |bounds| {
            JsonReader::within(bounds.json_values)
        })
    }

    fn is_json(&self) -> bool {
        self.headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| is_json_type(&String::from_utf8_lossy(value.as_bytes())))
    }

    async fn read(self) -> Result<ReadBody, BodyError> {
        let Some(bounds) = self.rules.anonymous.filter(|_| self.has_pace) else {
            return self.read_whole().await;
        };
        let in_flight = self
            .rules
            .in_flight
            .begin(self.caller.limit_key(), bounds.bodies_per_address);
        tokio::select! {
            biased;
            read = self.read_whole() => read,
            () = in_flight.ended() => Err(BodyError::Stalled),
        }
    }

    async fn read_whole(mut self) -> Result<ReadBody, BodyError> {
        let announced = self
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.limit as u64) {
            return Err(BodyError::TooLarge);
        }
        let (period, share) = self.pace();
        let mut body = ReadBody {
            bytes: Bytes::new(),
            reading: self.reading(announced),
        };
        let mut bytes = BytesMut::new();
        loop {
            // Who has to wait for others is not late meanwhile.
            if let Some(reading) = &body.reading {
                poll_fn(|context| reading.poll_read_on(context)).await;
            }
            let enough = bytes.len().saturating_add(share);
            let read = self.read_until(&mut bytes, enough, body.reading.as_ref());
            let is_whole = tokio::time::timeout(period, read)
                .await
                .map_err(|_| BodyError::Stalled)??;
            if is_whole {
                body.bytes = bytes.freeze();
                return Ok(body);
            }
        }
    }

    /// What counts the bytes while they are read: of long bodies of known callers. Those of anybody have bounds of their own.
    fn reading(&self, announced: Option<u64>) -> Option<Reading> {
        let senders = self.rules.senders.as_ref()?;
        let is_short = announced.is_some_and(|length| length <= Budget::UNCOUNTED as u64);
        if is_short || self.has_pace || self.is_counted {
            return None;
        }
        let sender = self.caller.limit_key().to_owned();
        Some(senders.budget_of(sender).reading())
    }

    /// Reads until there are `enough` bytes, or others have to be waited for; whether that is all.
    async fn read_until(
        &mut self,
        bytes: &mut BytesMut,
        enough: usize,
        reading: Option<&Reading>,
    ) -> Result<bool, BodyError> {
        while bytes.len() < enough && reading.is_none_or(Reading::reads_on) {
            match self.body.frame().await {
                None => return Ok(true),
                Some(Err(_)) => return Err(BodyError::Broken),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if data.len() > self.limit - bytes.len() {
                            return Err(BodyError::TooLarge);
                        }
                        if let Some(reading) = reading {
                            reading.note_read(data.len());
                        }
                        bytes.extend_from_slice(&data);
                    }
                }
            }
        }
        Ok(false)
    }

    /// How many bytes have to come in which time, again and again.
    fn pace(&self) -> (Duration, usize) {
        let timing = &self.rules.timing;
        let period = match (&self.rules.anonymous, self.has_pace) {
            (Some(_), true) => timing.anonymous_body_deadline,
            // Known callers have more time, and do not hold what they have sent for ever either.
            (Some(_), false) => timing.body_deadline,
            (None, _) => return (timing.body_deadline, 1),
        };
        let share = timing.slowest_transfer.saturating_mul(period.as_secs().max(1));
        (period, usize::try_from(share).unwrap_or(usize::MAX))
    }
}

/// The value; `None` of a text that is no JSON.
fn readable(read: Result<Json, Refused>) -> Result<Option<Json>, BodyError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Refused::Unparsable) => Ok(None),
        Err(Refused::TooManyValues) => Err(BodyError::TooManyValues),
    }
}

fn object_or_falsy(value: Option<Json>) -> Result<JsonObject, BodyError> {
    match value {
        Some(Json::Object(members)) => Ok(members),
        Some(value) if value.is_truthy() => Err(BodyError::NotAnObject),
        _ => Ok(JsonObject::new()),
    }
}

/// Whether a content type names JSON: `application/json` or `application/*+json`, parameters and case aside.
fn is_json_type(content_type: &str) -> bool {
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests;
