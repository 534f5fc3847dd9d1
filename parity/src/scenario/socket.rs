//! Socket.IO steps: how they are read, written and named.

use serde_json::{Map, Value, json};

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
    Expect(String),
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

/// The fields of a socket step as they stand in the file.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) connect: Option<Value>,
    pub(super) emit: Option<String>,
    pub(super) data: Option<Value>,
    pub(super) args: Option<Vec<Value>>,
    pub(super) ack: Option<bool>,
    pub(super) expect: Option<String>,
    pub(super) silence: Option<String>,
    pub(super) disconnect: Option<bool>,
}

impl Fields {
    pub(super) fn any(&self) -> bool {
        self.connect.is_some()
            || self.emit.is_some()
            || self.data.is_some()
            || self.args.is_some()
            || self.ack.is_some()
            || self.expect.is_some()
            || self.silence.is_some()
            || self.disconnect.is_some()
    }

    /// Makes sense of the fields.
    pub(super) fn read(self, client: Option<String>) -> Result<SocketStep, String> {
        let client = client.ok_or("a socket step names its client: `socket: <name>`")?;
        let belongs_to_emit = self.data.is_some() || self.args.is_some() || self.ack.is_some();
        let act = match (
            self.connect,
            self.emit,
            self.expect,
            self.silence,
            self.disconnect,
        ) {
            (Some(connect), None, None, None, None) => SocketAct::Connect(read_connect(connect)?),
            (None, Some(event), None, None, None) => {
                let arguments = match (self.data, self.args) {
                    (None | Some(Value::Null), None) => Vec::new(),
                    (Some(data), None) => vec![data],
                    (None, Some(all)) => all,
                    (Some(_), Some(_)) => return Err("an emit has data or args, not both".to_owned()),
                };
                return Ok(SocketStep {
                    client,
                    act: SocketAct::Emit(Emit {
                        event,
                        arguments,
                        ack: self.ack.unwrap_or(false),
                    }),
                });
            }
            (None, None, Some(event), None, None) => SocketAct::Expect(event),
            (None, None, None, Some(event), None) => SocketAct::Silence(event),
            (None, None, None, None, Some(true)) => SocketAct::Disconnect,
            _ => {
                return Err(
                    "a socket step has one of connect, emit, expect, silence and disconnect: true".to_owned(),
                );
            }
        };
        if belongs_to_emit {
            return Err("data, args and ack belong to an emit".to_owned());
        }
        Ok(SocketStep { client, act })
    }
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

fn read_connect(value: Value) -> Result<Connect, String> {
    let Value::Object(fields) = value else {
        return Err("connect is an object, `{}` for the usual".to_owned());
    };
    let mut connect = Connect::default();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("headers", Value::Object(headers)) => {
                for (name, value) in headers {
                    let Value::String(text) = value else {
                        return Err(format!("header {name} is no text"));
                    };
                    connect.headers.push((name, text));
                }
            }
            ("query", Value::String(query)) => connect.query = query,
            ("transports", Value::Array(names)) => {
                connect.transports = names
                    .iter()
                    .map(|name| name.as_str().and_then(transport))
                    .collect::<Option<_>>()
                    .ok_or("transports are websocket and polling")?;
            }
            (key, _) => return Err(format!("connect has no such {key}")),
        }
    }
    Ok(connect)
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
            SocketAct::Expect(event) => vec![("expect", json!(event))],
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
            SocketAct::Expect(event) => format!("expect {event} as {client}"),
            SocketAct::Silence(event) => format!("silence {event} as {client}"),
            SocketAct::Disconnect => format!("disconnect as {client}"),
        }
    }

    /// Every text in which templates count.
    pub fn texts(&self) -> Value {
        match &self.act {
            SocketAct::Connect(connect) => connect.written(),
            SocketAct::Emit(emit) => json!(emit.arguments),
            SocketAct::Expect(_) | SocketAct::Silence(_) | SocketAct::Disconnect => Value::Null,
        }
    }

    /// Whether later steps can capture from it.
    pub(super) fn shows_data(&self) -> bool {
        match &self.act {
            SocketAct::Emit(emit) => emit.ack,
            SocketAct::Expect(_) => true,
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

    const HEAD: &str = "format: 1\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n";

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
            "  - {socket: ui, connect: {}}\n  - {socket: a, connect: {headers: {X: \"1\"}, query: who=a, transports: [polling, websocket]}}\n  - {socket: a, emit: none}\n  - {socket: a, emit: none, data: null, ack: true, capture: {x: /y}}\n  - {socket: a, emit: two, args: [null, {\"<binary>\": AAEC}]}\n  - {socket: ui, expect: two, capture: {z: /1}}\n  - {socket: ui, silence: none}\n  - {socket: a, disconnect: true}\n",
        );
        insta::assert_snapshot!(to_yaml(&scenario), @r#"
        format: 1
        title: T
        area: A
        started_at: 1
        steps:
          - id: 1
            socket: ui
            connect: {}
          - id: 2
            socket: a
            connect: {"headers": {"X": "1"}, "query": "who=a", "transports": ["polling", "websocket"]}
          - id: 3
            socket: a
            emit: none
          - id: 4
            socket: a
            emit: none
            ack: true
            capture: {"x": "/y"}
          - id: 5
            socket: a
            emit: two
            args: [null, {"<binary>": "AAEC"}]
          - id: 6
            socket: ui
            expect: two
            capture: {"z": "/1"}
          - id: 7
            socket: ui
            silence: none
          - id: 8
            socket: a
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
        assert!(problem("  - {socket: a, expect: x, silence: y}\n").contains("one of connect"));
        assert!(problem("  - {socket: a, expect: x, data: 1}\n").contains("belong to an emit"));
        assert!(problem("  - {socket: a, emit: x, data: 1, args: [2]}\n").contains("not both"));
        assert!(problem("  - {socket: a, connect: {transports: [pigeon]}}\n").contains("transports are"));
        assert!(problem("  - {socket: a, emit: x, capture: {a: /b}}\n").contains("captured from"));
        assert!(problem("  - {socket: a, expect: x, get: /}\n").contains("two things"));
    }
}
