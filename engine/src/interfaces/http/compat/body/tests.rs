use std::{
    future::pending,
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::extract::ConnectInfo;
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

fn body(content_type: Option<&str>, bytes: &'static [u8]) -> RawBody {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_bytes(content_type.as_bytes()).unwrap(),
        );
    }
    RawBody {
        headers,
        body: Body::from(bytes),
        limit: Usual::BYTES,
        kind: PhantomData,
        rules: Arc::default(),
        caller: Caller::default(),
        has_pace: false,
        is_counted: false,
    }
}

fn empty() -> Result<JsonObject, BodyError> {
    Ok(JsonObject::new())
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_lenient_route_takes_nothing_for_an_empty_object() {
    assert_eq!(body(Some("text/plain"), b"{\"a\":1}").lenient().await, empty());
    assert_eq!(body(None, b"[1]").lenient().await, empty());
    for falsy in ["", "{bad", "null", "[]", "0", "\"\"", "false"] {
        assert_eq!(body(JSON, falsy.as_bytes()).lenient().await, empty(), "{falsy}");
    }
    for truthy in ["[1]", "\"x\"", "7", "true"] {
        assert_eq!(
            body(JSON, truthy.as_bytes()).lenient().await,
            Err(BodyError::NotAnObject),
            "{truthy}"
        );
    }
    let read = body(Some("application/json; note=\u{e9}"), b"{\"a\":1}");
    assert_eq!(read.lenient().await.unwrap()["a"], 1.into());
    let read = body(Some("Application/Problem+JSON; charset=latin-1"), b"{\"a\":1}");
    assert_eq!(read.lenient().await.unwrap()["a"], 1.into());
}

#[tokio::test]
async fn a_forced_route_ignores_the_content_type() {
    assert_eq!(body(None, b"{\"a\":1}").forced().await.unwrap()["a"], 1.into());
    assert_eq!(body(None, b"x=1").forced().await, empty());
}

#[tokio::test]
async fn a_strict_route_insists() {
    assert_eq!(body(None, b"{}").strict().await, Err(BodyError::WrongContentType));
    assert_eq!(body(JSON, b"").strict().await, Err(BodyError::Unparsable));
    assert_eq!(body(JSON, b"null").strict().await, Err(BodyError::NotAnObject));
    assert_eq!(body(JSON, b"{}").strict().await, empty());
}

#[tokio::test]
async fn a_strict_route_may_take_falsy_json_for_an_empty_object() {
    let wrong_type = body(None, b"null").strict_or_falsy().await;
    assert_eq!(wrong_type, Err(BodyError::WrongContentType));
    assert_eq!(
        body(JSON, b"").strict_or_falsy().await,
        Err(BodyError::Unparsable)
    );
    assert_eq!(
        body(JSON, b"[1]").strict_or_falsy().await,
        Err(BodyError::NotAnObject)
    );
    for falsy in [&b"null"[..], b"[]", b"0", b"\"\"", b"false", b"{}"] {
        assert_eq!(body(JSON, falsy).strict_or_falsy().await, empty());
    }
}

#[tokio::test]
async fn a_long_body_is_refused_announced_or_not() {
    assert_eq!(
        body(JSON, b"12345").limit(4).bytes().await,
        Err(BodyError::TooLarge)
    );
    assert!(body(JSON, b"1234").limit(4).bytes().await.is_ok());
    let mut announced = body(JSON, b"");
    announced
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
    assert_eq!(announced.limit(4).bytes().await, Err(BodyError::TooLarge));
}

fn from_address(address: &str) -> Caller {
    let loopback = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let request = http::Request::builder()
        .header("x-forwarded-for", address)
        .extension(ConnectInfo(loopback))
        .body(())
        .unwrap();
    Caller::of(&request, &[], false)
}

/// A body of a known caller, of which comes what is sent; what of it was read is added up.
fn coming(
    rules: &Arc<BodyRules>,
    address: &str,
    read: &Arc<AtomicUsize>,
) -> (UnboundedSender<Bytes>, RawBody) {
    let (send, receive) = unbounded_channel::<Bytes>();
    let read = Arc::clone(read);
    let next = move |mut receive: UnboundedReceiver<Bytes>| {
        let read = Arc::clone(&read);
        async move {
            let part = receive.recv().await?;
            read.fetch_add(part.len(), Ordering::Relaxed);
            Some((Ok::<_, Infallible>(part), receive))
        }
    };
    let coming = RawBody {
        body: Body::from_stream(stream::unfold(receive, next)),
        rules: Arc::clone(rules),
        caller: from_address(address),
        ..body(None, b"")
    };
    (send, coming)
}

async fn wait(time: Duration) {
    let _ = tokio::time::timeout(time, pending::<()>()).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_body_of_a_known_caller_has_to_come_at_10_kb_a_second() {
    for (bytes, expected) in [(10_500, Ok(10_500 * 300)), (9_900, Err(BodyError::Stalled))] {
        let (send, body) = coming(&Arc::default(), "192.0.2.1", &Arc::default());
        let sending = tokio::spawn(async move {
            for _ in 0..300 {
                let _ = send.send(Bytes::from(vec![b' '; bytes]));
                wait(Duration::from_secs(1)).await;
            }
        });
        let read = body.bytes().await;
        assert_eq!(read.map(|bytes| bytes.len()), expected);
        sending.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn long_bodies_of_one_address_keep_nobody_else_waiting_and_end_one_after_the_other() {
    const BODY: usize = 15_000_000;
    let bounds = Bounds {
        body_bytes: 16_000_000,
        ..Bounds::default()
    };
    let rules = Arc::new(BodyRules {
        senders: Some(senders(&bounds)),
        ..BodyRules::default()
    });
    let read = Arc::new(AtomicUsize::new(0));
    let mut begun = Vec::new();
    for _ in 0..20 {
        let (send, body) = coming(&rules, "192.0.2.1", &read);
        let reading = tokio::spawn(body.bytes());
        for _ in 0..BODY / 50_000 {
            send.send(Bytes::from(vec![b' '; 50_000])).unwrap();
        }
        begun.push((send, reading));
    }
    // Nobody ends his body, and so much waits; another address is served all the same, with more than there is a share for.
    wait(Duration::from_secs(30)).await;
    let held = read.load(Ordering::Relaxed);
    assert!(held < BODY + 8_000_000, "{held} bytes are held");
    let (send, body) = coming(&rules, "192.0.2.2", &Arc::default());
    send.send(Bytes::from(vec![b' '; BODY])).unwrap();
    drop(send);
    assert_eq!(body.bytes().await.unwrap().len(), BODY);
    // Who waits for a turn is not late: it is another's fault.
    let mut ends = Vec::new();
    for (send, reading) in begun {
        drop(send);
        ends.push(reading);
    }
    for reading in ends {
        assert_eq!(reading.await.unwrap().unwrap().len(), BODY);
    }
}
