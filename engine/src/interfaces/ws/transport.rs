//! The endpoint's front door: which requests are refused, in which order and words, and how answers are dressed.

use std::{io::Write as _, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{
    SocketServer,
    handshake::Handshake,
    heartbeat::Heartbeat,
    hub::Full,
    moving::{AnswerBody, Delivery},
    polling,
    room::MAX_PAYLOAD,
    session::{Session, Transport},
    websocket,
};
use crate::{
    config::timing::Timing,
    domain::{
        json::Json,
        json_reader::JsonReader,
        json_text::compact_text,
        text::{python_trim, same_text},
    },
    interfaces::http::{
        browser::ClientBrowser,
        compat::{cors::WithoutCors, forwarded::Caller, query, session::socket_key},
    },
    services::realtime::{Identity, Standing},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const PACKETS: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
/// Answers from this size on are compressed, if the client takes that.
const COMPRESSED_FROM: usize = 1024;

const BAD_VERSION: &str =
    "The client is using an unsupported version of the Socket.IO or Engine.IO protocols";

/// What the query of a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Wanted {
    websocket: bool,
    sid: Option<String>,
    /// The index of a JSONP callback.
    jsonp: Option<i128>,
}

/// A query that no session can come of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Unwanted {
    reason: &'static str,
    /// The first checks come before the cross-origin rule.
    has_cors: bool,
}

/// Answers a request to the endpoint.
pub(super) async fn answer(server: &Arc<SocketServer>, request: Request) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && !server.origins.allow_sockets(origin, &caller)
    {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        return without_cors(refusal(&format!("{origin} is not an accepted origin.")));
    }
    let wanted = match Wanted::read(request.uri().query()) {
        Ok(wanted) => wanted,
        Err(Unwanted {
            reason,
            has_cors: true,
        }) => return refusal(reason),
        Err(Unwanted {
            reason,
            has_cors: false,
        }) => return without_cors(refusal(reason)),
    };
    let accepted = request
        .headers()
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let answer = match *request.method() {
        Method::GET => get(server, &wanted, request).await,
        Method::POST => post(server, &wanted, request).await,
        Method::OPTIONS => Answer::Ok,
        _ => Answer::NotAllowed,
    };
    answer.into_response(wanted.jsonp, &accepted)
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Self, Unwanted> {
        let unwanted = |reason, has_cors| Err(Unwanted { reason, has_cors });
        let first = |name| query::all(query, name).into_iter().next();
        let websocket = match first("transport").as_deref() {
            None | Some("polling") => false,
            Some("websocket") => true,
            Some(_) => return unwanted("Invalid transport", false),
        };
        let sid = first("sid");
        if sid.is_none() && query::all(query, "EIO") != ["4"] {
            return unwanted(BAD_VERSION, false);
        }
        let jsonp = match first("j") {
            None => None,
            Some(index) => match crate::domain::coerce::integer_in(&index) {
                Some(index) => Some(index),
                None => return unwanted("Invalid JSONP index number", true),
            },
        };
        Ok(Self {
            websocket,
            sid,
            jsonp,
        })
    }
}

async fn get(server: &Arc<SocketServer>, wanted: &Wanted, request: Request) -> Answer {
    let upgrade = wants_websocket(request.headers());
    let Some(sid) = &wanted.sid else {
        return match (wanted.websocket, upgrade) {
            (false, _) => open(server, &request),
            (true, true) => websocket::open(server, request),
            (true, false) => Answer::Refused("Invalid websocket upgrade".to_owned()),
        };
    };
    let Some(session) = server.hub.get(sid) else {
        return Answer::Refused(format!("Invalid session {sid}"));
    };
    if !is_its_client(server, &session, request.headers()) {
        return Answer::Stranger;
    }
    if session.transport() == Transport::Websocket {
        return Answer::Refused("Unexpected HTTP request".to_owned());
    }
    if wanted.websocket {
        // Proxies strip what asks for a websocket. Such a request is no poll: it would swallow what the next poll is to get.
        return if upgrade {
            websocket::upgrade(server, session, request)
        } else {
            Answer::Refused("Invalid transport".to_owned())
        };
    }
    polling::poll(server, &session).await
}

async fn post(server: &Arc<SocketServer>, wanted: &Wanted, request: Request) -> Answer {
    let session = wanted.sid.as_ref().and_then(|sid| server.hub.get(sid));
    let Some(session) = session else {
        let sid = wanted.sid.as_deref().unwrap_or("None");
        return Answer::Refused(format!("Invalid session {sid}"));
    };
    if !is_its_client(server, &session, request.headers()) {
        return Answer::Stranger;
    }
    if session.transport() == Transport::Websocket {
        return Answer::Refused("Unexpected HTTP request".to_owned());
    }
    polling::post(&session, request).await
}

/// Opens a session over polling.
fn open(server: &Arc<SocketServer>, request: &Request) -> Answer {
    let Some(session) = new_session(server, request, Transport::Polling) else {
        return Answer::Full;
    };
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    let key = session.handshake.key.as_deref();
    Answer::Opened {
        packets: format!("0{}", open_packet(&session, &server.timing, true)),
        cookie: key.and_then(|key| server.operators.socket(key, caller.arrival())),
    }
}

/// Makes a session and begins to work for it; `None` where there are too many.
pub(super) fn new_session(
    server: &Arc<SocketServer>,
    request: &Request,
    transport: Transport,
) -> Option<Arc<Session>> {
    let headers = request.headers();
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    let name = match transport {
        Transport::Websocket => "websocket",
        _ => "polling",
    };
    let identity = identify(server, headers);
    let bounds = match &server.anonymous {
        Some(bounds) if identity == Identity::Nobody => server.shares.for_anonymous(bounds),
        Some(bounds) => server.shares.for_session(JsonReader::within(bounds.json_values)),
        None => server.shares.for_session(JsonReader::default()),
    };
    let mut handshake = Handshake::of(headers, &caller, name);
    if !matches!(identity, Identity::Device(_)) {
        handshake.browser = Some(Box::new(ClientBrowser::of(headers, &caller).browser));
    }
    if transport == Transport::Polling && identity != Identity::Nobody {
        handshake.key = Some(server.new_key().into());
    }
    let (session, inbox) = Session::new(
        server.new_sid(),
        handshake,
        Standing::new(identity),
        bounds,
        transport,
        Heartbeat::new(Arc::clone(&server.real_clock), server.timing),
    );
    if server.hub.add(&session) == Err(Full) {
        server.log_one_of_many(|| {
            tracing::warn!(
                "socket.io connection refused: there are too many ip={}",
                session.handshake.address
            );
        });
        return None;
    }
    server
        .hub
        .spawn(Arc::clone(server).run(Arc::clone(&session), inbox));
    Some(session)
}

/// An operator by session or token, or a device by its token. A policy that checks nobody does not ask.
fn identify(server: &SocketServer, headers: &HeaderMap) -> Identity {
    let access = server.hub.access();
    if !access.is_strict() {
        return Identity::Nobody;
    }
    let now = server.environment.clock.now().as_second();
    if let Some(credential) = server.operators.identify(headers, now) {
        return Identity::Operator(credential);
    }
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .map(str::trim)
        .and_then(|token| access.device(token))
        .unwrap_or(Identity::Nobody)
}

/// Whether a request comes from whom the session was opened by. The id alone is no credential for a session that was
/// opened with one: it stands in every address, and so in the logs of proxies. Browsers send theirs with every request;
/// other clients send headers of their own when they connect alone, but keep cookies, so they are given one.
fn is_its_client(server: &SocketServer, session: &Session, headers: &HeaderMap) -> bool {
    let opened_by = session.standing.identity();
    if *opened_by == Identity::Nobody {
        return true;
    }
    let is_same = match (opened_by, identify(server, headers)) {
        (Identity::Operator(one), Identity::Operator(other)) => {
            one.username.eq_ignore_ascii_case(&other.username)
        }
        (Identity::Device(one), Identity::Device(other)) => one.guid() == other.guid(),
        _ => false,
    };
    let has_key = || {
        let keys = (session.handshake.key.as_deref(), socket_key(headers));
        matches!(keys, (Some(own), Some(shown)) if same_text(own, &shown))
    };
    let is_same = is_same || has_key();
    if !is_same {
        server.log_one_of_many(|| {
            tracing::warn!(
                "socket.io request refused, it lacks the credential that the connection was opened with sid={} ip={}",
                session.id,
                session.handshake.address
            );
        });
    }
    is_same
}

/// The JSON of the open packet, its keys in the legacy's order.
pub(super) fn open_packet(session: &Session, timing: &Timing, upgradable: bool) -> String {
    let upgrades = if upgradable { "[\"websocket\"]" } else { "[]" };
    format!(
        "{{\"sid\":\"{}\",\"upgrades\":{upgrades},\"pingTimeout\":{},\"pingInterval\":{},\"maxPayload\":{MAX_PAYLOAD}}}",
        session.id,
        timing.ping_timeout.as_millis(),
        timing.ping_interval.as_millis(),
    )
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let names = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    names(header::UPGRADE, "websocket") && names(header::CONNECTION, "upgrade")
}

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    /// `OK`
    Ok,
    /// Packets for a polling client, and what becomes of them if they do not go out.
    Packets {
        packets: String,
        delivery: Option<Delivery>,
    },
    /// 400 with a text.
    Refused(String),
    /// A new session, for a client that polls.
    Opened {
        packets: String,
        cookie: Option<HeaderValue>,
    },
    /// 403: the session is another client's.
    Stranger,
    /// 405
    NotAllowed,
    /// 503: too many sessions.
    Full,
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

    fn into_response(self, jsonp: Option<i128>, accepted: &str) -> Response {
        match self {
            Self::Ok => plain(StatusCode::OK, TEXT, "OK"),
            Self::Packets { packets, delivery } => {
                let body = match jsonp {
                    Some(index) => callback(index, &packets),
                    None => packets,
                };
                compressed(body, delivery, accepted)
            }
            Self::Refused(reason) => refusal(&reason),
            Self::Opened { packets, cookie } => {
                let mut response = Self::packets(packets).into_response(jsonp, accepted);
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
            Self::NotAllowed => plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Found"),
            Self::Full => plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, "Too many sessions"),
            Self::Switching(response) => response,
        }
    }
}

fn callback(index: i128, packets: &str) -> String {
    let escaped = packets.replace('"', "\\\"");
    format!("___eio[{index}](\"{escaped}\");")
}

fn compressed(body: String, delivery: Option<Delivery>, accepted: &str) -> Response {
    let answer = |bytes: Bytes| {
        let body = match delivery {
            Some(delivery) => AnswerBody::wrap(bytes, delivery),
            None => Body::from(bytes),
        };
        plain(StatusCode::OK, PACKETS, body)
    };
    if body.len() < COMPRESSED_FROM {
        return answer(body.into());
    }
    let coding = accepted
        .split(',')
        .filter_map(|item| item.split(';').next())
        .map(python_trim)
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

fn refusal(reason: &str) -> Response {
    plain(StatusCode::BAD_REQUEST, TEXT, compact_text(&Json::from(reason)))
}

fn without_cors(mut response: Response) -> Response {
    response.extensions_mut().insert(WithoutCors);
    response
}

fn plain(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}
