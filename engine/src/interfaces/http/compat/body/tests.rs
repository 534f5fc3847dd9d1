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
        rules: BodyRules::default(),
        caller: Caller::default(),
        has_pace: false,
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
