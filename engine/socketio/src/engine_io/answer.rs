//! How requests are answered.

use std::io::Write as _;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderValue, StatusCode, header};

use super::{
    Rejection,
    metered::{AnswerBody, Delivery},
};
use crate::{json_text, settings::Settings};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const PACKETS: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// An extension of answers to requests that speak another protocol: python-engineio gives these before it looks at where
/// a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct BeforeOrigin;

/// What an answer is to be dressed in.
#[derive(Debug)]
pub(super) struct Dress<'a> {
    /// The index of a JSONP callback.
    pub(super) jsonp: Option<i128>,
    /// The codings that the client takes.
    pub(super) accepted: String,
    pub(super) settings: &'a Settings,
}

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    /// The packets of a POST are handled.
    Ok,
    /// Packets for a polling client, and what becomes of them if they do not go out.
    Packets {
        packets: String,
        delivery: Option<Delivery>,
    },
    /// 400 with a text.
    Refused(String),
    /// A new connection, for a client that polls.
    Opened {
        packets: String,
        cookie: Option<HeaderValue>,
    },
    /// 403: the connection is another client's.
    Stranger,
    /// The method means nothing here.
    NotAllowed,
    /// The application wants no such client.
    Rejected(Rejection),
    /// The websocket handshake's end.
    Switching(Response),
}

impl Answer {
    /// Packets that are of no use to anybody else.
    fn packets(packets: String) -> Self {
        Self::Packets {
            packets,
            delivery: None,
        }
    }

    /// The packet that means nothing.
    pub(super) fn noop() -> Self {
        Self::packets("6".to_owned())
    }

    pub(super) fn bad_request() -> Self {
        Self::Refused("Bad Request".to_owned())
    }

    pub(super) fn into_response(self, dress: &Dress<'_>) -> Response {
        let as_python = dress.settings.leniency.answers_as_python;
        match self {
            Self::Ok if as_python => plain(StatusCode::OK, TEXT, "OK"),
            Self::Ok => plain(StatusCode::OK, TEXT, "ok"),
            Self::Packets { packets, delivery } => {
                let body = match dress.jsonp {
                    Some(index) => callback(index, &packets),
                    None => packets,
                };
                compressed(body, delivery, dress)
            }
            Self::Refused(reason) => refusal(&reason),
            Self::Opened { packets, cookie } => {
                let mut response = Self::packets(packets).into_response(dress);
                if let Some(cookie) = cookie {
                    response.headers_mut().insert(header::SET_COOKIE, cookie);
                }
                response
            }
            Self::Stranger => plain(
                StatusCode::FORBIDDEN,
                TEXT,
                "\"The session was opened with another credential\"",
            ),
            Self::NotAllowed if as_python => plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Found"),
            Self::NotAllowed => refusal("Invalid method"),
            Self::Rejected(Rejection { status, reason }) => plain(status, TEXT, reason),
            Self::Switching(response) => response,
        }
    }
}

fn callback(index: i128, packets: &str) -> String {
    let escaped = packets.replace('"', "\\\"");
    format!("___eio[{index}](\"{escaped}\");")
}

fn compressed(body: String, delivery: Option<Delivery>, dress: &Dress<'_>) -> Response {
    let answer = |bytes: Bytes| {
        let body = match delivery {
            Some(delivery) => AnswerBody::wrap(bytes, delivery),
            None => Body::from(bytes),
        };
        plain(StatusCode::OK, PACKETS, body)
    };
    if dress
        .settings
        .compress_from
        .is_none_or(|least| body.len() < least)
    {
        return answer(body.into());
    }
    let coding = dress
        .accepted
        .split(',')
        .filter_map(|item| item.split(';').next())
        .map(str::trim)
        .find(|coding| matches!(*coding, "gzip" | "deflate"));
    let packed = match coding {
        Some("gzip") => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish())
        }
        Some("deflate") => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish())
        }
        _ => return answer(body.into()),
    };
    match (packed, coding) {
        (Ok(packed), Some(coding)) => {
            let mut response = answer(packed.into());
            if let Ok(coding) = HeaderValue::from_str(coding) {
                response.headers_mut().insert(header::CONTENT_ENCODING, coding);
            }
            response
        }
        // Writing into memory does not fail.
        _ => answer(body.into()),
    }
}

pub(super) fn refusal(reason: &str) -> Response {
    plain(StatusCode::BAD_REQUEST, TEXT, json_text::string(reason))
}

/// As [`refusal`], with [`BeforeOrigin`].
pub(super) fn early_refusal(reason: &str) -> Response {
    let mut response = refusal(reason);
    response.extensions_mut().insert(BeforeOrigin);
    response
}

fn plain(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}
