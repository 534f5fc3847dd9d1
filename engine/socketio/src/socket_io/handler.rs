//! The messages of clients, handled one after the other.
//!
//! Long because packets, their attachments and who has entered where are one state.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    Admission, Application, Arguments, Client, Event, Handled, Packets, Refused, Request, Socket,
    data::Data,
    packet::{ACK, CONNECT_ERROR, Carried, Kind, Malformed, Packet},
};
use crate::{
    engine_io::{
        BodyError, Connection, Content, Handler, Inbox, Message, Opening, Parked, Permit, Rejection, new_id,
    },
    environment::Random,
    long_work::{LONG, LongWork},
    settings::{Leniency, Limits, Settings},
};

/// An application as a handler of Engine.IO.
pub struct SocketIo<A> {
    application: A,
    leniency: Leniency,
    most_attachments: usize,
    most_namespaces: usize,
    attachment_timeout: Duration,
    long_work: LongWork,
    random: Arc<dyn Random>,
}

impl<A> fmt::Debug for SocketIo<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SocketIo").finish_non_exhaustive()
    }
}

impl<A> SocketIo<A> {
    /// Over this application.
    pub fn new(application: A, settings: &Settings, random: Arc<dyn Random>) -> Self {
        Self {
            application,
            leniency: settings.leniency,
            most_attachments: settings.most_attachments,
            most_namespaces: settings.most_namespaces,
            attachment_timeout: settings.body_timeout,
            long_work: settings.long_work.clone(),
            random,
        }
    }

    /// The application.
    pub fn application(&self) -> &A {
        &self.application
    }
}

impl<A: Application> Handler for SocketIo<A> {
    type Client = Client<A::Peer, A::Data>;

    fn admit(&self, opening: &mut Opening<'_>) -> Result<Arc<Self::Client>, Rejection> {
        let request = Request {
            parts: opening.request(),
            transport: opening.transport(),
            limits: opening.limits(),
        };
        let Admission {
            peer,
            limits,
            address,
            cookie,
        } = self.application.admit(&request)?;
        let limits = limits.unwrap_or_else(|| opening.limits().clone());
        let client = Arc::new(Client::new(opening.accept(limits, address), peer));
        self.application.opened(&client)?;
        if let Some(cookie) = cookie {
            opening.set_cookie(cookie);
        }
        Ok(client)
    }

    async fn run(&self, client: Arc<Self::Client>, mut inbox: Inbox) {
        let handling = async {
            let mut reader = Reader {
                handler: self,
                client: &client,
                pending: None,
            };
            while let Some(message) = reader.next(&mut inbox).await {
                // On the heap, so that connections that wait have no room for it.
                if Box::pin(reader.handle(message)).await == Next::End {
                    break;
                }
            }
            drop(inbox);
            client.connection().end();
        };
        tokio::join!(handling, entered_in_time(&client));
        for namespace in client.namespaces() {
            self.leave(&client, &namespace);
        }
    }

    fn is_its_client(&self, client: &Self::Client, headers: &HeaderMap) -> bool {
        self.application.is_its_client(client, headers)
    }

    fn read_body(
        &self,
        client: &Self::Client,
        request: axum::extract::Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, BodyError>> + Send {
        self.application.read_body(client, request, timeout)
    }

    fn ended(&self, client: &Self::Client) {
        client.acks().close();
        self.application.ended(client);
    }
}

impl<A: Application> SocketIo<A> {
    fn leave(&self, client: &Client<A::Peer, A::Data>, namespace: &str) {
        if let Some(sid) = client.leave(namespace) {
            self.application.left(client, namespace, &sid);
        }
    }
}

/// What a text says that is a JSON string.
fn string<D: Data>(text: &str) -> Option<String> {
    // A look at it spares all others the reading.
    if !text.trim_start().starts_with('"') {
        return None;
    }
    let string = D::read(text, 1).ok()?;
    string.text().map(str::to_owned)
}

/// Ends a connection whose client enters no namespace in time.
async fn entered_in_time<P, D: Data>(client: &Client<P, D>) {
    let connection = client.connection();
    let Some(timeout) = connection.limits().connect_timeout else {
        return;
    };
    tokio::select! {
        () = connection.sleep(timeout) => {
            if !client.has_entered() {
                connection.end();
            }
        }
        () = connection.ended() => {}
    }
}

/// A packet whose attachments are still coming. Its text waits as it came: what is read of it takes far more memory.
#[derive(Debug)]
struct Pending {
    text: Bytes,
    /// Whether somebody will get its attachments.
    is_wanted: bool,
    expected: usize,
    received: usize,
    size: usize,
    attachments: Vec<Bytes>,
    /// What all of it takes while it waits.
    parked: Parked,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Continue,
    End,
}

/// Reads the messages of one client.
struct Reader<'a, A: Application> {
    handler: &'a SocketIo<A>,
    client: &'a Arc<Client<A::Peer, A::Data>>,
    pending: Option<Pending>,
}

impl<A: Application> Reader<'_, A> {
    /// The next message; `None` where no more will be handled. Who stops sending the attachments of a packet is closed: what
    /// has come of it would be kept for nothing.
    async fn next(&self, inbox: &mut Inbox) -> Option<Message> {
        if self.pending.is_none() {
            return inbox.next().await;
        }
        let stops = self.connection().stops_sending(self.handler.attachment_timeout);
        tokio::select! {
            biased;
            message = inbox.next() => message,
            () = stops => {
                self.close();
                None
            }
        }
    }

    async fn handle(&mut self, message: Message) -> Next {
        let Message { content, permit } = message;
        match content {
            // A client that forgets attachments would never be understood again.
            Content::Text(_) if self.pending.is_some() => self.close(),
            Content::Text(text) => self.text(text, permit).await,
            Content::Binary(bytes) => self.attachment(bytes, permit).await,
        }
    }

    async fn text(&mut self, text: Bytes, permit: Arc<Permit>) -> Next {
        let packet = match self.parse(&text).await {
            Ok(packet) if !packet.is_strict() => match self.malformed() {
                Next::Continue => packet,
                Next::End => return Next::End,
            },
            Ok(packet) => packet,
            Err(Malformed::NoPacket) => return self.malformed(),
            Err(Malformed::TooManyValues) => {
                self.refused(Refused::TooManyValues);
                return Next::Continue;
            }
        };
        let Packet { namespace, kind, .. } = packet;
        match kind {
            Kind::Connect(auth) => {
                drop(text);
                self.connect(&namespace, auth).await;
                return Next::Continue;
            }
            Kind::Other => return Next::Continue,
            Kind::Disconnect | Kind::Message { .. } if !self.knows(&namespace) => {
                if self.malformed() == Next::End {
                    return Next::End;
                }
            }
            Kind::Disconnect | Kind::Message { .. } => {}
        }
        match kind {
            Kind::Disconnect => self.handler.leave(self.client, &namespace),
            Kind::Message { message, attachments } => match attachments {
                Some(0) => return self.close(),
                None => {
                    // What was read of it is all that is needed from here on.
                    drop(text);
                    self.carry(&namespace, message, Vec::new(), permit).await;
                }
                Some(expected)
                    if expected > self.handler.most_attachments
                        && !self.handler.leniency.ignores_malformed =>
                {
                    return self.close();
                }
                Some(expected) => {
                    let pending = Pending {
                        is_wanted: self.is_wanted(&namespace, &message),
                        size: text.len(),
                        // A copy: the text may be a small part of what it came in.
                        text: Bytes::copy_from_slice(&text),
                        expected,
                        received: 0,
                        attachments: Vec::new(),
                        parked: Parked::default(),
                    };
                    return self.park(pending);
                }
            },
            Kind::Connect(_) | Kind::Other => {}
        }
        Next::Continue
    }

    async fn parse(&self, text: &Bytes) -> Result<Packet<A::Data>, Malformed> {
        let most_values = self.connection().limits().json_values;
        let unwraps = self.handler.leniency.unwraps_strings;
        let parse = || {
            let text = std::str::from_utf8(text).map_err(|_| Malformed::NoPacket)?;
            match unwraps.then(|| string::<A::Data>(text)).flatten() {
                Some(inner) => Packet::parse(&inner, most_values),
                None => Packet::parse(text, most_values),
            }
        };
        self.handler.long_work.run(text.len() >= LONG, parse).await
    }

    /// Keeps what has come of a packet, where there is room for it.
    fn park(&mut self, mut pending: Pending) -> Next {
        let Limits { message, budget, .. } = self.connection().limits();
        if pending.size > budget.most_parked().max(*message) {
            return self.close();
        }
        if !pending.parked.grow(budget, pending.size) {
            self.refused(Refused::NoRoomForAttachments);
            self.connection().dismiss();
            return Next::End;
        }
        self.pending = Some(pending);
        Next::Continue
    }

    async fn attachment(&mut self, bytes: Bytes, permit: Arc<Permit>) -> Next {
        let Some(mut pending) = self.pending.take() else {
            return self.malformed();
        };
        pending.received += 1;
        let are_too_many = pending.expected > self.handler.most_attachments;
        // What nobody will get is not kept.
        if !are_too_many && pending.is_wanted {
            pending.size = pending.size.saturating_add(bytes.len());
            pending.attachments.push(bytes);
        }
        if pending.received < pending.expected {
            return self.park(pending);
        }
        let Pending {
            text,
            expected,
            attachments,
            parked,
            ..
        } = pending;
        // It was read before.
        let Ok(Packet {
            namespace,
            kind: Kind::Message { message, .. },
            ..
        }) = self.parse(&text).await
        else {
            return self.close();
        };
        drop(text);
        if are_too_many {
            if let Carried::Event { data, .. } = &message {
                self.refused(Refused::TooManyAttachments {
                    namespace: &namespace,
                    data: data.as_ref(),
                });
            }
            return Next::Continue;
        }
        if !message.is_complete(expected) {
            return self.close();
        }
        self.carry(&namespace, message, attachments, parked.with(permit))
            .await;
        Next::Continue
    }

    /// Whether the attachments of a packet are of use.
    fn is_wanted(&self, namespace: &str, message: &Carried<A::Data>) -> bool {
        match message {
            Carried::Event { .. } => true,
            Carried::Acknowledgement { number, .. } => {
                let acks = self.client.acks();
                number.is_some_and(|number| acks.is_expected(namespace, number))
            }
        }
    }

    async fn connect(&self, namespace: &str, auth: Option<A::Data>) {
        let application = &self.handler.application;
        let client = self.client;
        if namespace.len() > self.connection().limits().longest_echo {
            self.refused(Refused::LongNamespace);
            return;
        }
        let answer = if client.is_in(namespace) {
            Err(application.is_there_already())
        } else {
            Box::pin(application.may_enter(client, namespace, auth.as_ref())).await
        };
        let sid = new_id(&*self.handler.random);
        match answer {
            Err(error) => client.send(&Packets::control(CONNECT_ERROR, namespace, &error.0)),
            Ok(()) if client.enter(namespace, &sid, self.handler.most_namespaces) => {
                Box::pin(application.entered(&Socket { client, namespace }, auth)).await;
            }
            Ok(()) => {
                let error = super::ConnectError::message("Too many namespaces");
                client.send(&Packets::control(CONNECT_ERROR, namespace, &error.0));
            }
        }
    }

    /// Hands on what carries arguments.
    async fn carry(
        &self,
        namespace: &str,
        message: Carried<A::Data>,
        attachments: Vec<Bytes>,
        permit: Arc<Permit>,
    ) {
        match message {
            Carried::Event { id, data } => {
                if let Some(data) = data
                    && self.client.is_in(namespace)
                {
                    self.event(namespace, id.as_deref(), data, attachments, permit)
                        .await;
                }
            }
            Carried::Acknowledgement {
                number: Some(number),
                data,
            } => {
                let values = data.and_then(Data::into_items).unwrap_or_default();
                let arguments = Arguments { values, attachments };
                self.client.acks().note(namespace, number, arguments);
            }
            Carried::Acknowledgement { number: None, .. } => {}
        }
    }

    async fn event(
        &self,
        namespace: &str,
        id: Option<&str>,
        data: A::Data,
        attachments: Vec<Bytes>,
        permit: Arc<Permit>,
    ) {
        let Some(mut values) = data.into_items().filter(|items| !items.is_empty()) else {
            return;
        };
        let first = values.remove(0);
        let Some(name) = first.text() else {
            return;
        };
        let event = Event {
            name: name.to_owned(),
            arguments: Arguments { values, attachments },
            _permit: Some(permit),
        };
        let client = self.client;
        let socket = Socket { client, namespace };
        // On the heap, so that connections that wait have no room for it.
        let handled = Box::pin(self.handler.application.event(&socket, event)).await;
        if let Handled::Done(Arguments { values, attachments }) = handled
            && let Some(id) = id
        {
            client.send(&Packets::with_json(
                ACK,
                namespace,
                Some(id),
                attachments,
                |text| {
                    text.push('[');
                    for (index, value) in values.iter().enumerate() {
                        if index > 0 {
                            text.push(',');
                        }
                        value.write(text);
                    }
                    text.push(']');
                },
            ));
        }
    }

    /// Whether the client is in this namespace, or may not know yet that it is not any more.
    fn knows(&self, namespace: &str) -> bool {
        self.client.is_in(namespace) || self.client.has_left(namespace)
    }

    /// The protocol does not allow this: it is passed over where that is the rule, else the connection is closed.
    fn malformed(&self) -> Next {
        if self.handler.leniency.ignores_malformed {
            return Next::Continue;
        }
        self.close()
    }

    fn close(&self) -> Next {
        self.refused(Refused::Malformed);
        self.connection().dismiss();
        Next::End
    }

    fn refused(&self, refused: Refused<'_, A::Data>) {
        self.handler.application.refused(self.client, refused);
    }

    fn connection(&self) -> &Connection {
        self.client.connection()
    }
}
