//! Recorded Socket.IO steps.

use serde_json::Value;

use super::{
    ImportError, Importer,
    fields::{array, object, string},
    http::{fold_values, survives_yaml},
    locate::Answer,
};
use crate::{
    scenario::{
        model::Action,
        socket::{self, Connect, Emit, SocketAct, SocketStep},
        template::{as_text, fold_repeats},
    },
    transcript::{Observation, Seen},
};

/// What the recorder wrote where no acknowledgement came.
const NO_ACK: &str = "<TimeoutError>";
/// Where `parity record` keeps the arguments of an acknowledgement, which may be several.
const ACK_ARGUMENTS: &str = "ack_args";

impl Importer {
    /// A step whose kind is `socket.<act>`.
    pub(super) fn socket(
        &mut self,
        id: u32,
        at_us: i64,
        act: &str,
        step: &Value,
    ) -> Result<Option<Action>, ImportError> {
        let (act, seen) = match act {
            "connect" => (SocketAct::Connect(read_connect(id, step)?), Some(connected(step))),
            "emit" => {
                let arguments = sent(step);
                if !arguments.iter().all(survives_yaml) {
                    let reason = format!("step {id}: a number of the data changes its text");
                    self.not_runnable.push(reason);
                }
                let emit = Emit {
                    event: string(step, "event")?,
                    arguments: arguments.iter().map(fold_values).collect(),
                    ack: step.get("ack").is_some() || step.get(ACK_ARGUMENTS).is_some(),
                };
                (SocketAct::Emit(emit), acknowledged(step))
            }
            "event" => {
                let missing = step.get("missing") == Some(&Value::Bool(true));
                let arguments = (!missing).then(|| sent(step));
                (
                    SocketAct::Receive(string(step, "event")?),
                    Some(Seen::Received { arguments }),
                )
            }
            "silence" => {
                let silent = step.get("silent") != Some(&Value::Bool(false));
                let arguments = (!silent).then(|| arguments(step.get("data")));
                (
                    SocketAct::Silence(string(step, "event")?),
                    Some(Seen::Silence { arguments }),
                )
            }
            "disconnect" => (SocketAct::Disconnect, None),
            other => {
                self.not_runnable.push(format!("step {id}: socket.{other}"));
                return Ok(None);
            }
        };
        let step = SocketStep {
            client: string(step, "client")?,
            act,
        };
        if let Some(seen) = seen {
            if let Seen::Acknowledged {
                arguments: Some(arguments),
            }
            | Seen::Received {
                arguments: Some(arguments),
            } = &seen
            {
                self.answers.push(id, Answer::socket(&socket::data(arguments)));
            }
            self.observations.push(Observation {
                step: id,
                at_us,
                label: step.label(),
                seen,
            });
        }
        Ok(Some(Action::Socket(step)))
    }
}

/// The arguments of an event: as `parity record` writes them, which may be several, or the only one.
fn sent(step: &Value) -> Vec<Value> {
    match step.get("args") {
        Some(Value::Array(arguments)) => arguments.clone(),
        _ => arguments(step.get("data")),
    }
}

/// The recorder writes null where there is no argument.
fn arguments(data: Option<&Value>) -> Vec<Value> {
    match data {
        None | Some(Value::Null) => Vec::new(),
        Some(data) => vec![data.clone()],
    }
}

fn acknowledged(step: &Value) -> Option<Seen> {
    let arguments = match (step.get(ACK_ARGUMENTS), step.get("ack")) {
        (Some(Value::Array(came)), _) => Some(came.clone()),
        (_, Some(ack)) => (ack.as_str() != Some(NO_ACK)).then(|| arguments(Some(ack))),
        (_, None) => return None,
    };
    Some(Seen::Acknowledged { arguments })
}

fn connected(step: &Value) -> Seen {
    Seen::Connected {
        connected: step.get("connected") != Some(&Value::Bool(false)),
        error: step.get("error").map(as_text),
    }
}

fn read_connect(id: u32, step: &Value) -> Result<Connect, ImportError> {
    let wrong = || ImportError::Field(format!("transports of step {id}"));
    let mut transports = Vec::new();
    for name in array(step, "transports") {
        transports.push(name.as_str().and_then(socket::transport).ok_or_else(wrong)?);
    }
    if transports.is_empty() {
        transports = Connect::default().transports;
    }
    Ok(Connect {
        headers: object(step, "headers")
            .into_iter()
            .map(|(name, value)| (name, fold_repeats(&as_text(&value))))
            .collect(),
        query: step
            .get("query")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        transports,
    })
}
