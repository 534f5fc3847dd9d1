//! The channel as the scheduler needs it.

use std::collections::HashSet;

use super::{Audience, Payload, RealtimeService};
use crate::{
    domain::{clock::BoxFuture, json::Json},
    repositories::Store,
    services::scheduler::channel::{AgentChannel, Eventual, PendingReceipt},
};

impl<S: Store> AgentChannel for RealtimeService<S> {
    fn online_among<'a>(&'a self, hosts: &'a [String]) -> Eventual<'a, HashSet<String>> {
        Box::pin(async move {
            let mut online = HashSet::new();
            for host in hosts {
                match self.is_online(host).await {
                    Ok(true) => {
                        online.insert(host.clone());
                    }
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!("whether a host is online cannot be looked up: {error}");
                    }
                }
            }
            online
        })
    }

    fn hand_over<'a>(
        &'a self,
        hostname: &'a str,
        event: &'static str,
        payload: &'a Json,
    ) -> Eventual<'a, PendingReceipt> {
        Box::pin(async move {
            let payload = Payload::from(payload.clone());
            self.channel.hand_over(hostname, event, &payload).await
        })
    }

    fn tell_operators<'a>(&'a self, event: &'static str, payload: &'a Json) -> BoxFuture<'a> {
        Box::pin(async move {
            self.channel
                .emit(Audience::Operators, event, &Payload::from(payload.clone()))
                .await;
        })
    }
}
