//! Socket.IO steps: how they are read, written and named.

use serde_json::{Map, Value, json};

use super::yaml::{Fault, Fields, Node};
use crate::socket_io::Transport;

/// What one client of a scenario does, or waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketStep {
    pub client: String,
    pub act: SocketAct,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub enum SocketAct {
    /// Connects. A client that is connected already is dropped first.
    Connect(Connect),
    Emit(Emit),
    /// Takes the next event of this name, which may have arrived before.
    Receive(String),
    /// No event of this name has arrived.
    Silence(String),
    Disconnect,
}

/// How a client connects. Texts may hold templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Further query parameters.
    pub query: String,
    /// In the order of preference.
    pub transports: Vec<Transport>,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            query: String::new(),
            transports: vec![Transport::WebSocket],
        }
    }
}

/// An event that a client emits.
#[derive(Clone, Debug, PartialEq)]
pub struct Emit {
    pub event: String,
    /// The arguments, with templates; bytes as `{"<binary>": "<base64>"}`.
    pub arguments: Vec<Value>,
    /// Whether an acknowledgement is asked for.
    pub ack: bool,
}

/// The keys of socket steps besides `socket`.
const KEYS: [&str; 8] = [
    "connect",
    "emit",
    "data",
    "args",
    "ack",
    "receive",
    "silence",
    "disconnect",
];

/// Takes the fields of a socket step; nothing where there are none.
pub(super) fn read(fields: &mut Fields, faults: &mut Vec<Fault>) -> Option<SocketStep> {
    let place = fields.place;
    let named = fields.has("socket");
    if !named && !KEYS.iter().any(|key| fields.has(key)) {
        return None;
    }
    let client = fields.text("socket", faults);
    if !named {
        faults.push(place.fault("a socket step names its client: `socket: <name>`"));
    }
    let connect = fields.take("connect");
    let (emit, receive) = (fields.text("emit", faults), fields.text("receive", faults));
    let silence = fields.text("silence", faults);
    let (data, args) = (fields.value("data", faults), fields.values("args", faults));
    let ack = fields.flag("ack", faults);
    let disconnect = fields.flag("disconnect", faults);
    let belongs_to_emit = data.is_some() || args.is_some() || ack.is_some();
    let is_emit = emit.is_some();
    let act = match (connect, emit, receive, silence, disconnect) {
        (Some(connect), None, None, None, None) => SocketAct::Connect(read_connect(connect, faults)),
        (None, Some(event), None, None, None) => {
            let arguments = match (data, args) {
                (None | Some(Value::Null), None) => Vec::new(),
                (Some(data), None) => vec![data],
                (None, Some(all)) => all,
                (Some(_), Some(_)) => {
                    faults.push(place.fault("an emit has data or args, not both"));
                    Vec::new()
                }
            };
            SocketAct::Emit(Emit {
                event,
                arguments,
                ack: ack.unwrap_or(false),
            })
        }
        (None, None, Some(event), None, None) => SocketAct::Receive(event),
        (None, None, None, Some(event), None) => SocketAct::Silence(event),
        (None, None, None, None, Some(true)) => SocketAct::Disconnect,
        _ => {
            let reason = "a socket step has one of connect, emit, receive, silence and disconnect: true";
            faults.push(place.fault(reason));
            SocketAct::Disconnect
        }
    };
    if belongs_to_emit && !is_emit {
        faults.push(place.fault("data, args and ack belong to an emit"));
    }
    Some(SocketStep {
        client: client.unwrap_or_default(),
        act,
    })
}

/// The name of a transport in the files.
pub fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Polling => "polling",
        Transport::WebSocket => "websocket",
    }
}

pub fn transport(name: &str) -> Option<Transport> {
    [Transport::Polling, Transport::WebSocket]
        .into_iter()
        .find(|one| transport_name(*one) == name)
}

fn read_connect(node: Node, faults: &mut Vec<Fault>) -> Connect {
    let mut connect = Connect::default();
    let place = node.place;
    let Some(mut fields) = node.fields("connect", faults) else {
        return connect;
    };
    if let Some(headers) = fields.take("headers") {
        connect.headers = texts(headers, "headers", faults);
    }
    connect.query = fields.text("query", faults).unwrap_or_default();
    if let Some(names) = fields.values("transports", faults) {
        let transports = names
            .iter()
            .map(|name| name.as_str().and_then(transport))
            .collect();
        match transports {
            Some(transports) => connect.transports = transports,
            None => faults.push(place.fault("transports are websocket and polling")),
        }
    }
    fields.end("connect", faults);
    connect
}

/// Names and texts in order, such as headers.
pub(super) fn texts(node: Node, what: &str, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let Some(mut fields) = node.fields(what, faults) else {
        return Vec::new();
    };
    fields
        .rest()
        .into_iter()
        .filter_map(|(name, _, node)| Some((name.clone(), node.text(&name, faults)?)))
        .collect()
}

impl SocketStep {
    /// The step's fields besides `socket`, in the order in which they are written.
    pub(super) fn written(&self) -> Vec<(&'static str, Value)> {
        match &self.act {
            SocketAct::Connect(connect) => vec![("connect", connect.written())],
            SocketAct::Emit(emit) => {
                let mut fields = vec![("emit", json!(emit.event))];
                match emit.arguments.as_slice() {
                    [] => {}
                    [data] if !data.is_null() => fields.push(("data", data.clone())),
                    all => fields.push(("args", json!(all))),
                }
                if emit.ack {
                    fields.push(("ack", json!(true)));
                }
                fields
            }
            SocketAct::Receive(event) => vec![("receive", json!(event))],
            SocketAct::Silence(event) => vec![("silence", json!(event))],
            SocketAct::Disconnect => vec![("disconnect", json!(true))],
        }
    }

    /// The step in one line; its first two words stand where method and path stand in a request's label.
    pub fn label(&self) -> String {
        let client = &self.client;
        match &self.act {
            SocketAct::Connect(_) => format!("connect as {client}"),
            SocketAct::Emit(emit) => format!("emit {} as {client}", emit.event),
            SocketAct::Receive(event) => format!("receive {event} as {client}"),
            SocketAct::Silence(event) => format!("silence {event} as {client}"),
            SocketAct::Disconnect => format!("disconnect as {client}"),
        }
    }

    /// Every text in which templates count.
    pub fn texts(&self) -> Value {
        match &self.act {
            SocketAct::Connect(connect) => connect.written(),
            SocketAct::Emit(emit) => json!(emit.arguments),
            SocketAct::Receive(_) | SocketAct::Silence(_) | SocketAct::Disconnect => Value::Null,
        }
    }

    /// Whether it only waits for what comes.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        matches!(self.act, SocketAct::Receive(_) | SocketAct::Silence(_))
    }

    /// Whether later steps can capture from it.
    pub(super) fn shows_data(&self) -> bool {
        match &self.act {
            SocketAct::Emit(emit) => emit.ack,
            SocketAct::Receive(_) => true,
            _ => false,
        }
    }
}

impl Connect {
    fn written(&self) -> Value {
        let mut fields = Map::new();
        if !self.headers.is_empty() {
            let headers: Map<_, _> = self
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            fields.insert("headers".to_owned(), Value::Object(headers));
        }
        if !self.query.is_empty() {
            fields.insert("query".to_owned(), json!(self.query));
        }
        if self.transports != [Transport::WebSocket] {
            let names: Vec<_> = self.transports.iter().map(|one| transport_name(*one)).collect();
            fields.insert("transports".to_owned(), json!(names));
        }
        Value::Object(fields)
    }
}

/// What captures look into: a single argument as it is, none as null, several as a list.
pub fn data(arguments: &[Value]) -> Value {
    match arguments {
        [] => Value::Null,
        [data] => data.clone(),
        all => json!(all),
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{emit::to_yaml, model::Scenario};

    const HEAD: &str = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n";

    fn read(steps: &str) -> Scenario {
        Scenario::read("a/b", &format!("{HEAD}{steps}")).unwrap()
    }

    fn problem(steps: &str) -> String {
        Scenario::read("a/b", &format!("{HEAD}{steps}"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_steps_are_read_as_people_write_them_and_come_back() {
        let scenario = read(
            "  - {socket: ui, connect: {}}\n  - {socket: a, connect: {headers: {X: \"1\"}, query: who=a, transports: [polling, websocket]}}\n  - {socket: a, emit: none}\n  - {socket: a, emit: none, data: null, ack: true, capture: {x: /y}}\n  - {socket: a, emit: two, args: [null, {\"<binary>\": AAEC}]}\n  - {socket: ui, receive: two, capture: {z: /1}}\n  - {socket: ui, silence: none}\n  - {socket: a, disconnect: true}\n",
        );
        insta::assert_snapshot!(to_yaml(&scenario), @r#"
        format: 2
        title: T
        area: A
        started_at: 1
        steps:
          - socket: ui
            connect: {}
          - socket: a
            connect: {"headers": {"X": "1"}, "query": "who=a", "transports": ["polling", "websocket"]}
          - socket: a
            emit: none
          - socket: a
            emit: none
            ack: true
            capture: {"x": "/y"}
          - socket: a
            emit: two
            args: [null, {"<binary>": "AAEC"}]
          - socket: ui
            receive: two
            capture: {"z": "/1"}
          - socket: ui
            silence: none
          - socket: a
            disconnect: true
        "#);
        let again = Scenario::read("a/b", &to_yaml(&scenario)).unwrap();
        assert_eq!(to_yaml(&again), to_yaml(&scenario));
        assert_eq!(again.steps.len(), scenario.steps.len());
    }

    #[test]
    fn mistakes_are_told() {
        assert!(problem("  - {connect: {}}\n").contains("names its client"));
        assert!(problem("  - {socket: a}\n").contains("one of connect"));
        assert!(problem("  - {socket: a, receive: x, silence: z}\n").contains("one of connect"));
        assert!(problem("  - {socket: a, receive: x, data: 1}\n").contains("belong to an emit"));
        assert!(problem("  - {socket: a, emit: x, data: 1, args: [2]}\n").contains("not both"));
        assert!(problem("  - {socket: a, connect: {transports: [pigeon]}}\n").contains("transports are"));
        assert!(problem("  - {socket: a, emit: x, capture: {a: /b}}\n").contains("captured from"));
        assert!(problem("  - {socket: a, receive: x, get: /}\n").contains("two things"));
    }
}
