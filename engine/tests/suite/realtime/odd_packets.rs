//! Packets that no client of today sends, and what the legacy's libraries make of them.

use serde_json::json;

use crate::testkit::{server::Server, socket::Client};

#[tokio::test]
async fn events_named_as_a_connections_own_are_acknowledged_where_nobody_is_checked() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    for (event, is_acknowledged) in [
        ("[\"connect\"]", true),
        ("[\"connect\",{\"a\":1}]", true),
        ("[\"connect\",1,2,3]", true),
        ("[\"disconnect\"]", true),
        ("[\"disconnect\",{}]", true),
        ("[\"disconnect\",1,2]", false),
        ("[\"connect_error\"]", false),
    ] {
        client.send(&format!("421{event}")).await;
        if is_acknowledged {
            assert_eq!(client.frame().await, "431[]", "{event}");
        }
        client.nothing_came().await;
    }
    server.stop().await;
    let server = Server::start("strict", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    client.call_in_vain("connect", json!({})).await;
    server.stop().await;
}

#[tokio::test]
async fn a_packet_with_an_integer_of_more_than_a_hundred_characters_is_none() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    let event = |integer: &str| format!("[\"macro_status\",{{\"n\":{integer}}}]");
    let longest = "9".repeat(100);
    for longer in [format!("{longest}9"), format!("-{longest}")] {
        client.send(&format!("421{}", event(&longer))).await;
        client.nothing_came().await;
    }
    client.send(&format!("421{}", event(&longest))).await;
    assert_eq!(client.frame().await, format!("42{}", event(&longest)));
    assert_eq!(client.frame().await, "431[]");
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_a_json_string_is_what_the_string_says() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::open(&server, &[]).await;
    client.frame().await;
    client.send("4\"0\"").await;
    assert!(client.frame().await.starts_with("40{\"sid\":\""));
    for (message, is_packet) in [
        ("4\"21[\\\"macro_status\\\",{}]\"", true),
        ("4 \"\\u00321[\\\"macro_status\\\",{}]\"\n", true),
        ("4\"4\\\"21[]\\\"\"", false),
        ("4\"21[\\\"macro_status\\\",{}]", false),
        ("4[\"21\"]", false),
        ("4null", false),
    ] {
        client.send(message).await;
        if is_packet {
            assert_eq!(client.frame().await, "42[\"macro_status\",{}]", "{message}");
            assert_eq!(client.frame().await, "431[]", "{message}");
        }
        client.nothing_came().await;
    }
    let placeholder = "{\"_placeholder\":true,\"num\":0}";
    let event = format!("51-1[\"agent_window_list\",{placeholder}]");
    client.send(&format!("4{}", json!(event))).await;
    client.send_binary(b"x").await;
    assert_eq!(
        client.frame().await,
        format!("451-[\"agent_window_list\",{placeholder}]")
    );
    assert_eq!(client.binary().await, b"x");
    assert_eq!(client.frame().await, "431[]");
    server.stop().await;
}

#[tokio::test]
async fn whatever_is_truthy_marks_an_attachment() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    client
        .send("451-1[\"agent_window_list\",{\"_placeholder\":1,\"num\":-1,\"more\":2}]")
        .await;
    client.send_binary(b"x").await;
    assert_eq!(
        client.frame().await,
        "451-[\"agent_window_list\",{\"_placeholder\":true,\"num\":0}]"
    );
    assert_eq!(client.binary().await, b"x");
    assert_eq!(client.frame().await, "431[]");
    server.stop().await;
}

/// An event with so many attachments, and what is relayed of it.
async fn attach(client: &mut Client, name: &str, count: usize) -> String {
    let named: Vec<_> = (0..count)
        .map(|number| format!("{{\"_placeholder\":true,\"num\":{number}}}"))
        .collect();
    let event = format!(
        "[\"{name}\",{{\"agent_id\":\"A\",\"parts\":[{}]}}]",
        named.join(",")
    );
    client.send(&format!("45{count}-7{event}")).await;
    for _ in 0..count {
        client.send_binary(b"x").await;
    }
    format!("45{count}-{event}")
}

#[tokio::test]
async fn an_event_with_more_attachments_than_clients_take_is_refused_at_its_sender() {
    let server = Server::start("strict", "").await;
    let cookies = server.log_in().await;
    let mut client = Client::join_new(&server, &[("cookie", &cookies)]).await;
    for (count, passes) in [(10, true), (11, false), (1001, false)] {
        attach(&mut client, "list_agent_windows", count).await;
        if passes {
            assert_eq!(client.frame().await, "437[]");
        }
        // No acknowledgement otherwise, and the session goes on.
        client.nothing_came().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_event_may_have_a_thousand_attachments_where_nobody_is_checked() {
    let server = Server::start("legacy", "").await;
    let mut watcher = Client::join_new(&server, &[]).await;
    let mut client = Client::join_new(&server, &[]).await;
    for (count, passes) in [(11, true), (1000, true), (1001, false)] {
        let relayed = attach(&mut client, "agent_window_list", count).await;
        if passes {
            for client in [&mut watcher, &mut client] {
                assert_eq!(client.frame().await, relayed);
                for _ in 0..count {
                    assert_eq!(client.binary().await, b"x");
                }
            }
            assert_eq!(client.frame().await, "437[]");
        }
    }
    client.nothing_came().await;
    watcher.nothing_came().await;
    server.stop().await;
}
