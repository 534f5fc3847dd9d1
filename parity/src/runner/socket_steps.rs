//! Socket.IO steps: how they reach the clients, and what of them is kept.

use serde_json::Value;

use super::{Run, StepError, in_data, sockets::Sockets, unresolved};
use crate::{
    scenario::{
        model::Step,
        socket::{Connect, SocketAct, SocketStep, data},
        template::{self, TemplateError},
    },
    socket_io::{ConnectOptions, Limits},
    target::cookies::Jar,
    transcript::{Heard, Notice, Seen},
};

impl Run<'_> {
    pub(super) async fn socket(
        &mut self,
        step: &Step,
        socket: &SocketStep,
    ) -> Result<Option<Seen>, StepError> {
        let client = &socket.client;
        let seen = match &socket.act {
            SocketAct::Connect(connect) => {
                let options = self.options(step, connect)?;
                let seen = self.sockets.connect(client, &options, step.id).await;
                if let Some(reason) = self.sockets.unreachable.take() {
                    self.broke(
                        step,
                        &reason,
                        "check that the server runs there, and its log",
                        true,
                    );
                }
                Some(seen)
            }
            SocketAct::Emit(emit) => {
                let arguments = self.params(step, &emit.arguments)?;
                self.sockets
                    .emit(client, step.id, &emit.event, &arguments, emit.ack)
                    .await?
            }
            SocketAct::Receive(event) => {
                let rests = || self.target.rests();
                let arguments = self.sockets.expect(client, step.id, event, &rests).await?;
                Some(Seen::Received { arguments })
            }
            SocketAct::Silence(event) => {
                let rests = || self.target.rests();
                let woken = self.woken;
                let arguments = self
                    .sockets
                    .silence(client, step.id, event, woken, &rests)
                    .await?;
                Some(Seen::Silence { arguments })
            }
            SocketAct::Disconnect => {
                self.sockets.disconnect(client).await;
                None
            }
        };
        let came = match &seen {
            Some(Seen::Acknowledged { arguments } | Seen::Received { arguments }) => arguments.as_deref(),
            _ => None,
        };
        let data = data(came.unwrap_or_default());
        self.capture(step, |source| in_data(source, &data));
        Ok(seen.map(|seen| self.mask_socket(seen)))
    }

    fn options(&self, step: &Step, connect: &Connect) -> Result<ConnectOptions, StepError> {
        let render = |text: &str| {
            template::render(text, &self.names).map_err(|error: TemplateError| unresolved(step, &error))
        };
        let mut headers = Vec::new();
        for (name, value) in &connect.headers {
            headers.push((name.clone(), render(value)?));
        }
        let jar = step.who.as_ref().and_then(|who| self.jars.get(who));
        if let Some(cookie) = jar.and_then(Jar::header) {
            headers.push(("Cookie".to_owned(), cookie));
        }
        Ok(ConnectOptions {
            server: self.endpoint.clone().ok_or("the server does not run")?,
            headers,
            query: render(&connect.query)?,
            transports: connect.transports.clone(),
            auth: None,
            limits: Limits::default(),
        })
    }

    fn mask_socket(&mut self, seen: Seen) -> Seen {
        let mut mask = |arguments: Option<Vec<Value>>| {
            arguments.map(|all| all.into_iter().map(|one| self.mask(one)).collect())
        };
        match seen {
            Seen::Acknowledged { arguments } => Seen::Acknowledged {
                arguments: mask(arguments),
            },
            Seen::Received { arguments } => Seen::Received {
                arguments: mask(arguments),
            },
            Seen::Silence { arguments } => Seen::Silence {
                arguments: mask(arguments),
            },
            other => other,
        }
    }

    /// Ends all connections; what was noted about them.
    pub(super) async fn finish_sockets(&mut self) -> (Vec<Notice>, Vec<Heard>) {
        let sockets: Sockets = std::mem::take(&mut self.sockets);
        let (mut notices, mut heard) = sockets.finish().await;
        if let Some(shared) = &mut self.shared {
            for connection in &mut heard {
                shared.only_own_events(&mut connection.events);
            }
        }
        for notice in &mut notices {
            let arguments = std::mem::take(&mut notice.arguments);
            notice.arguments = arguments.into_iter().map(|one| self.mask(one)).collect();
        }
        for event in heard.iter_mut().flat_map(|heard| &mut heard.events) {
            event.data = self.mask(event.data.take());
        }
        (notices, heard)
    }
}
