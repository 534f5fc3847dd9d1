//! Engine.IO sessions: a transport carries packets both ways until the session ends.

mod polling;
mod websocket;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use super::{CloseReason, ConnectError, ConnectOptions, Transport, engine_packet::EnginePacket};
use crate::{
    json_form,
    target::{
        endpoint::{DialError, Stream},
        http_client::HttpError,
    },
};

/// Batches that wait to be sent.
const OUTGOING: usize = 256;

/// What the server says about the session when it opens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handshake {
    pub(super) sid: String,
    #[serde(default)]
    upgrades: Vec<String>,
    /// Milliseconds.
    pub(super) ping_interval: u64,
    /// Milliseconds.
    pub(super) ping_timeout: u64,
    /// As [`super::Opening`] shows it.
    #[serde(skip)]
    pub(super) shown: Value,
}

impl Handshake {
    fn read(text: &str, over: Transport) -> Result<Self, ConnectError> {
        let unusable = |error: serde_json::Error| ConnectError::Unusable(format!("the open packet: {error}"));
        let handshake: Self = serde_json::from_str(text).map_err(unusable)?;
        let mut says: Value = serde_json::from_str(text).map_err(unusable)?;
        let written = json_form::spelling(text, &says);
        hide_sid(&mut says);
        let over = match over {
            Transport::Polling => "polling",
            Transport::WebSocket => "websocket",
        };
        Ok(Self {
            shown: json!({ "over": over, "says": says, "written": written }),
            ..handshake
        })
    }
}

/// Leaves of the id of a session its length: the rest is chance.
pub(super) fn hide_sid(data: &mut Value) {
    if let Some(sid) = data.get_mut("sid") {
        let length = sid.as_str().map(|sid| sid.chars().count());
        if let Some(length) = length {
            *sid = json!(format!("<{length} characters>"));
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) handshake: Handshake,
    /// Packets in the order of arrival; ends with why the session is over.
    pub(super) incoming: mpsc::Receiver<Result<EnginePacket, CloseReason>>,
    /// Packets that belong together; once every sender is gone, the transport is closed.
    pub(super) outgoing: mpsc::Sender<Vec<EnginePacket>>,
    /// Packets that say nothing and may come: one where the session was upgraded, to release a poll that waits.
    pub(super) noops: u32,
    /// The tasks end with the link.
    pub(super) _tasks: JoinSet<()>,
}

/// Opens a session as the options say.
pub(super) async fn open(options: &ConnectOptions) -> Result<Link, ConnectError> {
    match options.transports.as_slice() {
        [Transport::WebSocket, ..] => websocket::open(options).await,
        [Transport::Polling] => polling::open(options).await.map(|session| session.start(options)),
        [Transport::Polling, Transport::WebSocket, ..] => {
            let session = polling::open(options).await?;
            if session.handshake.upgrades.iter().any(|name| name == "websocket") {
                websocket::upgrade(options, session).await
            } else {
                Ok(session.start(options))
            }
        }
        _ => Err(ConnectError::Unusable("no transport".to_owned())),
    }
}

/// A fresh connection to the server.
async fn dial(options: &ConnectOptions) -> Result<Box<dyn Stream>, CloseReason> {
    options.server.dial().await.map_err(CloseReason::from)
}

/// The request target of a session.
fn target(options: &ConnectOptions, transport: &str, sid: Option<&str>) -> String {
    let mut target = format!("/socket.io/?EIO=4&transport={transport}");
    if let Some(sid) = sid {
        target.push_str(&format!("&sid={sid}"));
    }
    if !options.query.is_empty() {
        target.push('&');
        target.push_str(&options.query);
    }
    target
}

fn refused(status: u16, body: &[u8]) -> CloseReason {
    CloseReason::Refused {
        status,
        body: String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}

impl From<HttpError> for CloseReason {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Dial(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<DialError> for CloseReason {
    fn from(error: DialError) -> Self {
        Self::Unreachable(error.to_string())
    }
}
