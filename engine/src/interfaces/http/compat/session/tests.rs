use std::path::Path;

use super::*;

const NOW: i64 = 1_700_000_000;

fn codec(variables: &[(&str, &str)]) -> SessionCodec {
    let mut all = vec![("BOREALIS_SECRET", "borealis-dev-secret")];
    all.extend_from_slice(variables);
    let all = all
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    SessionCodec::new(&Settings::from_map(&all, Path::new("/")).unwrap())
}

fn admin() -> Operator {
    Operator {
        id: 1,
        username: "admin".into(),
        display_name: "Administrator".into(),
        role: "Admin".into(),
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

#[test]
fn a_login_sends_the_legacy_s_cookies() {
    let made = codec(&[]).login(Session::default(), &admin(), NOW, Arrival::Plain);
    assert_eq!(
        made.set_cookie[1],
        "session=eyJyb2xlIjoiQWRtaW4iLCJ1c2VybmFtZSI6ImFkbWluIn0.ZVPxAA.T10bJdu1ofutZGusbJfF2wxOGwo; HttpOnly; Path=/; SameSite=Lax"
    );
    assert_eq!(
        made.set_cookie[0],
        format!("borealis_auth={}; Path=/; SameSite=Lax", made.token)
    );
}

#[test]
fn session_bearer_and_cookie_are_tried_in_this_order() {
    let codec = codec(&[]);
    let token = codec
        .login(Session::default(), &admin(), NOW, Arrival::Plain)
        .token;
    let session =
        "session=eyJyb2xlIjoiVXNlciIsInVzZXJuYW1lIjoiem9cdTAwZTkifQ.ZVPxAA.tXVGoF-8BWqP_eO-pK2v8Mb4MMc";
    let by = |pairs: &[(&str, &str)]| codec.identify(&headers(pairs), NOW).map(|found| found.username);
    let cookie_token = format!("borealis_auth=\"{token}\"");
    let bearer_token = format!("bEaReR {token}");
    assert_eq!(
        by(&[("cookie", session), ("authorization", &bearer_token)]).as_deref(),
        Some("zoé")
    );
    assert_eq!(by(&[("authorization", &bearer_token)]).as_deref(), Some("admin"));
    assert_eq!(by(&[("cookie", &cookie_token)]).as_deref(), Some("admin"));
    assert_eq!(
        by(&[("cookie", &cookie_token), ("authorization", "Basic x")]).as_deref(),
        Some("admin")
    );
    assert_eq!(
        by(&[("cookie", &cookie_token), ("authorization", "Bearer forged")]),
        None
    );
    assert_eq!(by(&[]), None);
}

#[test]
fn a_cookie_of_other_bytes_spoils_no_other_one_of_the_line() {
    let codec = codec(&[]);
    let token = codec
        .login(Session::default(), &admin(), NOW, Arrival::Plain)
        .token;
    for other in [&b"zo\xe9"[..], "zo\u{e9}".as_bytes()] {
        let line = [b"other=", other, b"; borealis_auth=", token.as_bytes()].concat();
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_bytes(&line).unwrap())]);
        let found = codec.identify(&headers, NOW).map(|found| found.username);
        assert_eq!(found.as_deref(), Some("admin"));
        assert!(SessionCodec::has_cookie(&headers));
        assert_eq!(codec.credentials(&headers, NOW).len(), 1);
    }
}

#[test]
fn cookie_variables_change_the_attributes_of_both() {
    let codec = codec(&[
        ("BOREALIS_COOKIE_DOMAIN", ".example.com:8443"),
        ("BOREALIS_COOKIE_SECURE", "yes"),
        ("BOREALIS_COOKIE_SAMESITE", "none"),
    ]);
    for cookie in codec
        .login(Session::default(), &admin(), NOW, Arrival::Plain)
        .set_cookie
        .iter()
        .chain(&codec.logout(Arrival::Plain))
    {
        let text = cookie.to_str().unwrap();
        assert!(
            text.contains("; Domain=example.com;") && text.contains("; Secure"),
            "{text}"
        );
        assert!(text.ends_with("; Path=/; SameSite=None"), "{text}");
    }
}

#[test]
fn a_logout_clears_both() {
    assert_eq!(
        codec(&[]).logout(Arrival::Plain),
        [
            "borealis_auth=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
            "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/; SameSite=Lax",
        ]
    );
    // The legacy clears its token bare, whatever else is set than a domain.
    let secure = codec(&[
        ("BOREALIS_ACCESS_POLICY", "legacy"),
        ("BOREALIS_COOKIE_SECURE", "1"),
    ]);
    assert_eq!(
        secure.logout(Arrival::Tls),
        [
            "borealis_auth=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
            "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; Path=/; SameSite=Lax",
        ]
    );
}

#[test]
fn only_a_changed_session_is_sent_and_an_empty_one_deleted() {
    let codec = codec(&[]);
    let mut session = codec.open(&HeaderMap::new(), NOW);
    assert_eq!(session.take("mfa_pending"), None);
    assert!(codec.save(session, NOW, Arrival::Plain).is_none());

    let mut session = codec.open(&HeaderMap::new(), NOW);
    session.set("mfa_pending", Json::object([("token", "t".into())]));
    session.set("kept", 1.into());
    let cookie = codec.save(session, NOW, Arrival::Plain).unwrap().set_cookie;
    let cookie = cookie.to_str().unwrap();
    assert!(cookie.ends_with("; HttpOnly; Path=/; SameSite=Lax"), "{cookie}");
    let headers = headers(&[("cookie", cookie.split(';').next().unwrap())]);

    let mut session = codec.open(&headers, NOW);
    assert_eq!(
        session.take("mfa_pending").unwrap().get("token"),
        Some(&"t".into())
    );
    let again = codec.login(session, &admin(), NOW, Arrival::Plain);
    assert_ne!(
        again.set_cookie[1],
        codec
            .login(Session::default(), &admin(), NOW, Arrival::Plain)
            .set_cookie[1]
    );

    let mut session = codec.open(&headers, NOW);
    session.take("mfa_pending");
    session.take("kept");
    assert_eq!(
        codec.save(session, NOW, Arrival::Plain).unwrap().set_cookie,
        "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/; SameSite=Lax"
    );
}
