//! Long because it is a list: one test for each form that values have.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::transcript::{Asked, Heard, HeardEvent, StatusLine};

const START: i64 = 1_795_448_990_335_000;

fn ok() -> StatusLine {
    StatusLine {
        version: "1.1".to_owned(),
        status: 200,
        reason: "OK".to_owned(),
    }
}

fn answer(step: u32, headers: &[(&str, &str)], body: Value) -> Observation {
    Observation {
        step,
        at_us: i64::from(step) * 1000,
        label: format!("step {step}"),
        seen: Seen::Answer {
            line: ok(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            length: body.to_string().len(),
            body: Body::Json(body),
            form: None,
        },
    }
}

fn transcript(client: &[&str], observations: Vec<Observation>) -> Transcript {
    Transcript {
        scenario: "test/one".to_owned(),
        started_at_us: START,
        base: "http://127.0.0.1:39695".to_owned(),
        client_values: client.iter().map(|value| (*value).to_owned()).collect(),
        observations,
        ..Transcript::default()
    }
}

fn body(client: &[&str], body: Value) -> Value {
    normalize(&transcript(client, vec![answer(11, &[], body)])).steps[0].seen["body"].clone()
}

#[test]
fn ids_are_named_where_first_seen_and_inside_text() {
    let id = "c34925ae-b8f2-4d6a-9ea1-4ef082f0072c";
    let out = body(
        &[],
        json!({ "approval_reference": id, "link": format!("http://127.0.0.1:39695/x/{id}") }),
    );
    assert_eq!(
        out["approval_reference"],
        "<uuid first seen in step 11 /body/approval_reference>"
    );
    assert_eq!(
        out["link"],
        "${base}/x/<uuid first seen in step 11 /body/approval_reference>"
    );
}

#[test]
fn what_a_client_made_stays() {
    let id = "c34925ae-b8f2-4d6a-9ea1-4ef082f0072c";
    assert_eq!(body(&[id], json!({ "id": id }))["id"], id);
    assert_eq!(
        body(&["1795448991"], json!({ "start_ts": 1_795_448_991 }))["start_ts"],
        1_795_448_991
    );
}

#[test]
fn a_made_up_password_is_named_where_a_password_stands() {
    let password = "_<<GP^sIMi!%^mS]E2YEpFDu";
    let out = body(
        &[],
        json!({ "a": { "password": password }, "b": password, "c": "_<<GP^sIMi!%^mS]E2YEpFDv" }),
    );
    let name = "<made-up password first seen in step 11 /body/a/password>";
    assert_eq!((&out["a"]["password"], &out["b"]), (&json!(name), &json!(name)));
    assert_eq!(out["c"], "_<<GP^sIMi!%^mS]E2YEpFDv");
}

#[test]
fn a_digest_is_tied_to_its_token() {
    let token = "aUzP6qkFBJ45nK4R_0U50hlvPa10kF7_UoEthCPkGW8nXKZGTnhX4nLbOATlWbiQ";
    let out = body(&[], json!({ "a": token, "b": sha256_hex(token.as_bytes()) }));
    assert_eq!(out["b"], "<sha256 of token of 64 first seen in step 11 /body/a>");
}

#[test]
fn cookies_keep_payload_and_attributes() {
    let cookie = "session=eyJyb2xlIjoiQWRtaW4iLCJ1c2VybmFtZSI6ImFkbWluIn0.awRgng.TskrbT0HD0qu1dSVjS9s9OXLDWc; \
                  HttpOnly; Path=/; SameSite=Lax";
    let out = normalize(&transcript(
        &[],
        vec![answer(1, &[("set-cookie", cookie)], json!({}))],
    ));
    let cookie = &out.steps[0].seen["headers"]["set-cookie"][0];
    assert_eq!(
        cookie["attributes"],
        json!(["HttpOnly", "Path=/", "SameSite=Lax"])
    );
    assert_eq!(cookie["value"]["<signed>"]["payload"]["username"], "admin");
    assert_eq!(
        cookie["value"]["<signed>"]["signed_at"]["<time>"]["format"],
        "epoch"
    );
}

#[test]
fn headers_with_a_form_of_their_own() {
    let headers = [
        ("allow", "POST, OPTIONS, GET"),
        ("etag", "\"abc\""),
        ("location", "http://127.0.0.1:39695/a"),
        ("retry-after", "7"),
    ];
    let out = normalize(&transcript(&[], vec![answer(1, &headers, json!({}))]));
    assert_eq!(
        out.steps[0].seen["headers"],
        json!({ "allow": ["GET", "OPTIONS", "POST"], "etag": "\"<etag first seen in step 1 /headers/etag>\"", "location": "${base}/a", "retry-after": 7 })
    );
}

#[test]
fn a_cookie_that_is_written_another_way_stays_as_it_is() {
    for text in ["a=b ; Path=/", "a=b;Path=/", "a=b; Path=/;", " a=b"] {
        let out = normalize(&transcript(
            &[],
            vec![answer(1, &[("set-cookie", text)], json!({}))],
        ));
        assert_eq!(out.steps[0].seen["headers"]["set-cookie"][0], text);
    }
}

#[test]
fn headers_that_are_written_another_way_stay_as_they_are() {
    for (name, text) in [
        ("allow", "POST, OPTIONS,GET"),
        ("allow", "GET, GET"),
        ("allow", "GET "),
        ("retry-after", "07"),
        ("content-length", "02"),
        ("content-length", "+2"),
        ("x-nothing", "a "),
    ] {
        let out = normalize(&transcript(&[], vec![answer(1, &[(name, text)], json!({}))]));
        assert_eq!(out.steps[0].seen["headers"][name], text, "{name}");
    }
}

#[test]
fn nothing_raw_passes_for_a_name() {
    let name = "<uuid first seen in step 11 /body/a>";
    let out = body(
        &[],
        json!({ "a": "c34925ae-b8f2-4d6a-9ea1-4ef082f0072c", "b": name, "c": {"<time>": 1} }),
    );
    assert_eq!(out["a"], name);
    assert_eq!(out["b"], json!({ "<literal>": name }));
    assert_eq!(out["c"], json!({ "<object>": {"<time>": 1} }));
}

#[test]
fn long_text_is_a_digest() {
    let out = body(&[], json!({ "a": "x ".repeat(3000) }));
    assert_eq!(out["a"]["<long>"]["size"], 6000);
}

const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBwTCCAUegAwIBAgIUA+SaRDDuAIelIhGHrd/RNN7Ywg4wCgYIKoZIzj0EAwMw\n\
GjEYMBYGA1UEAwwPQm9yZWFsaXMgU2VydmVyMCAXDTI2MTEyMzE1NDU0MloYDzIx\n\
MjYxMDMwMTU1MDQyWjAtMRgwFgYDVQQDDA9Cb3JlYWxpcyBTZXJ2ZXIxETAPBgNV\n\
BAoMCEJvcmVhbGlzMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE0nm2TnPVO9j9x0Vo\n\
Nz+fbkL6qpCYXyjev/swW4ktcd9wtTC0PQ6QY0/8aqoeWA0x+DKiSNJWaKn6kySg\n\
iTlPz+356/52ize3E4MMQHbquST3uKQo3T1vmbgKInOOxefnozkwNzAkBgNVHREE\n\
HTAbgglsb2NhbGhvc3SCCTEyNy4wLjAuMYIDOjoxMA8GA1UdEwEB/wQFMAMBAf8w\n\
CgYIKoZIzj0EAwMDaAAwZQIwE/H25D4TeATbtnbOc7nJnBYaDPinuvX8RWNuz8C5\n\
jyqyzKFzUptlyUd5rjpJs6uMAjEAwOUpfFjU9yjAzJHMf1hSGu5p2gyK0iNlo81n\n\
k5A8CZTT5PJ8H49dEY0YC5J9SgxM\n\
-----END CERTIFICATE-----\n\
";

#[test]
fn a_certificate_says_what_it_is() {
    let out = body(&[], json!({ "a": CERTIFICATE, "b": CERTIFICATE }));
    let parts = &out["a"]["<certificate>"]["parts"];
    assert_eq!(parts["issuer"], "CN=Borealis Server");
    assert_eq!(
        parts["alternative_names"],
        json!(["dns:localhost", "dns:127.0.0.1", "dns:::1"])
    );
    assert_eq!(parts["lifetime_s"], 36_500_i64 * 86_400 + 300);
    assert_eq!(parts["signed_by"], "its own key");
    assert_eq!(
        parts["extensions"][1],
        json!({ "id": "2.5.29.19", "critical": true, "value": "30030101ff" })
    );
    assert_eq!(out["a"], out["b"]);
    assert!(parts.get("chain").is_none());
}

#[test]
fn a_certificate_says_where_its_text_is_not_written_as_usual() {
    let written =
        |pem: &str| body(&[], json!({ "a": pem }))["a"]["<certificate>"]["parts"]["written"].clone();
    assert_eq!(written(CERTIFICATE), Value::Null);
    assert_eq!(written(&CERTIFICATE.repeat(2)), Value::Null);
    assert_eq!(written(CERTIFICATE.trim_end()), "not as usual");
    // In longer lines it is no certificate to anybody, and compared as it is.
    let base64: String = CERTIFICATE
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let long = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    assert_eq!(body(&[], json!({ "a": long })), json!({ "a": long }));
}

#[test]
fn a_chain_says_what_each_of_its_certificates_is() {
    let out = body(&[], json!({ "a": CERTIFICATE.repeat(2), "b": CERTIFICATE }));
    let parts = &out["a"]["<certificate>"]["parts"];
    let alone = &out["b"]["<certificate>"]["parts"];
    assert_eq!(parts["chain"], json!([alone]));
    assert_eq!(parts["issuer"], alone["issuer"]);
    assert_ne!(
        out["a"]["<certificate>"]["name"],
        out["b"]["<certificate>"]["name"]
    );
}

#[test]
fn an_access_token_shows_its_claims() {
    let token = concat!(
        "eyJhbGciOiJFZERTQSIsImtpZCI6IjQ4OTMyYjI0NDgwNThlMWUiLCJ0eXAiOiJKV1QifQ.",
        "eyJzdWIiOiJkZXZpY2U6NTMzOUE1NTMtN0JCRi00ODdCLUE0RjYtREZDRDA2Qzg4RkY1IiwiZ3VpZCI6IjUzMzlBNT",
        "UzLTdCQkYtNDg3Qi1BNEY2LURGQ0QwNkM4OEZGNSIsInNzbF9rZXlfZmluZ2VycHJpbnQiOiIyZDAwYzk3ZDg4ODc4",
        "ZjU1NzE1YmE4Nzc4OGY0Nzk1YmQ1ZTY1ZDNjMDhhN2ExNWNiNTFiNTdmZjg5MjVhMmJiIiwidG9rZW5fdmVyc2lvbi",
        "I6MSwiaWF0IjoxNzk1NDQ5MDQyLCJuYmYiOjE3OTU0NDkwNDIsImV4cCI6MTc5NTQ0OTk0Mn0",
        ".iCEYiVozngBJJgQwJjgdqtKRIU2HE-oE7kkC73hCdH7sYe549kCYevdtAVhqdyPttjMAQFrZ_7XHoRsKmwQIAw",
    );
    let out = body(&[], json!({ "token": token }));
    let claims = &out["token"]["<jwt>"]["claims"];
    assert_eq!(
        claims["sub"],
        "device:<GUID first seen in step 11 /body/token/guid>"
    );
    assert_eq!(claims["exp"]["<time>"]["format"], "epoch");
    assert_eq!(
        out["token"]["<jwt>"]["header"]["kid"],
        "<kid first seen in step 11 /body/token>"
    );
}

fn uuid() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
}

/// Tokens, nonces and ids. Tokens begin so that they always look random.
fn volatile() -> impl Strategy<Value = String> {
    prop_oneof![
        uuid(),
        uuid().prop_map(|id| id.to_uppercase()),
        "aB3[A-Za-z0-9_-]{61}",
        any::<[u8; 31]>().prop_map(|bytes| STANDARD.encode([&[0xff][..], &bytes].concat())),
        "[0-9a-f]{64}",
        "[0-9A-F]{4}(-[0-9A-F]{4}){7}",
    ]
}

fn run(ids: &[String], shape: &[usize]) -> Normalized {
    let observations = shape
        .iter()
        .enumerate()
        .map(|(at, which)| {
            answer(
                u32::try_from(at).unwrap() + 1,
                &[],
                json!({ "id": ids[which % ids.len()] }),
            )
        })
        .collect();
    normalize(&transcript(&[], observations))
}

proptest! {
    #[test]
    fn values_of_all_forms_stay_apart(
        values in prop::collection::hash_set(volatile(), 6), shape in prop::collection::vec(0_usize..6, 1..12),
    ) {
        let values: Vec<String> = values.into_iter().collect();
        let out = run(&values, &shape);
        prop_assert_eq!(&out, &run(&values, &shape));
        for (left, a) in out.steps.iter().zip(&shape) {
            prop_assert!(left.seen["body"]["id"].as_str().unwrap().starts_with('<'));
            for (right, b) in out.steps.iter().zip(&shape) {
                prop_assert_eq!(left.seen["body"] == right.seen["body"], a == b);
            }
        }
    }

    #[test]
    fn equal_shapes_give_equal_output_and_values_never_merge(
        one in prop::collection::hash_set(uuid(), 5), two in prop::collection::hash_set(uuid(), 5),
        shape in prop::collection::vec(0_usize..5, 1..12),
    ) {
        let one: Vec<String> = one.into_iter().collect();
        let two: Vec<String> = two.into_iter().collect();
        let (first, again, other) = (run(&one, &shape), run(&one, &shape), run(&two, &shape));
        prop_assert_eq!(&first, &again);
        prop_assert_eq!(&first, &other);
        for (left, a) in first.steps.iter().zip(&shape) {
            for (right, b) in first.steps.iter().zip(&shape) {
                prop_assert_eq!(left.seen["body"] == right.seen["body"], a == b);
            }
        }
    }
}

#[test]
fn session_ids_in_payloads_keep_identity_and_length_and_pings_are_left_out() {
    let answer = |step, text: &str| Observation {
        step,
        at_us: 0,
        label: "GET /socket.io/?EIO=4&transport=polling as p".to_owned(),
        seen: Seen::Answer {
            line: ok(),
            headers: Vec::new(),
            body: Body::Text(text.to_owned()),
            length: text.len(),
            form: None,
        },
    };
    let out = normalize(&transcript(
        &[],
        vec![
            answer(1, "0{\"sid\":\"sM9iEnu6Qmc4RBhZAAAA\",\"upgrades\":[]}"),
            answer(
                2,
                "2\u{1e}40{\"sid\":\"abcdefghijklmnop\"}\u{1e}430[\"sM9iEnu6Qmc4RBhZAAAA\"]",
            ),
        ],
    ));
    let name = "<sid of 20 characters first seen in step 1 /body/<packets>/0>";
    assert_eq!(out.steps[0].seen["body"]["<packets>"][0]["data"]["sid"], name);
    assert_eq!(
        out.steps[1].seen["body"]["<packets>"],
        json!([
            { "packet": "40", "data": { "sid": "<sid of 16 characters first seen in step 2 /body/<packets>/0>" } },
            { "packet": "430", "data": [name] },
        ])
    );
}

#[test]
fn what_was_asked_is_counted_because_its_order_is_an_accident() {
    let asked = |path: &str, authorization: Option<&str>| Asked {
        method: "GET".to_owned(),
        path: path.to_owned(),
        authorization: authorization.map(str::to_owned),
        body: String::new(),
    };
    let seen = |requests: Vec<Asked>| {
        let observation = Observation {
            step: 9,
            at_us: 0,
            label: Asked::LABEL.to_owned(),
            seen: Seen::Asked { requests },
        };
        normalize(&transcript(&[], vec![observation])).steps[0]
            .seen
            .clone()
    };
    let [plain, known, other] = [
        asked("/a", None),
        asked("/a", Some("Bearer t")),
        asked("/a?x", None),
    ];
    let expected = json!({"asked": {"GET /a": 2, "GET /a, authorization Bearer t": 1}});
    assert_eq!(seen(vec![plain.clone(), known.clone(), plain.clone()]), expected);
    assert_eq!(seen(vec![known.clone(), plain.clone(), plain.clone()]), expected);
    assert_ne!(seen(vec![known.clone(), plain.clone()]), expected);
    assert_ne!(seen(vec![known, plain, other]), expected);
}

/// A text of three parts, base64 each; a cookie's has its own signature's length.
fn three_parts(one: &[u8], other: &[u8], signature: &[u8]) -> String {
    let part = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(one), part(other), part(signature))
}

fn deflated(text: &str, level: u32) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn how_the_json_in_tokens_and_cookies_is_written_is_compared() {
    let shown = |text: &str| {
        let mut shown = body(&[], json!({ "token": text }));
        for kind in ["<jwt>", "<signed>"] {
            if let Some(parts) = shown["token"].get_mut(kind) {
                parts["name"].take();
            }
        }
        shown["token"].take()
    };
    let usual = (r#"{"alg":"EdDSA","kid":"1a"}"#, r#"{"sub":"x","iat":1795448991}"#);
    let jwt =
        |header: &str, claims: &str| shown(&three_parts(header.as_bytes(), claims.as_bytes(), &[1; 64]));
    let (header, claims) = usual;
    assert!(jwt(header, claims)["<jwt>"].get("written").is_none());
    for other in [
        r#"{"sub":"x", "iat":1795448991}"#,
        r#"{"sub":"y","sub":"x","iat":1795448991}"#,
        r#"{"sub":"\u0078","iat":1795448991}"#,
        r#"{"iat":1795448991,"sub":"x"}"#,
        r#"{"sub":"x","iat":1795448991.0}"#,
    ] {
        // An object's members are equal in any order for `==`, so the texts are held against each other.
        assert_ne!(
            jwt(header, other).to_string(),
            jwt(header, claims).to_string(),
            "{other}"
        );
    }
    assert_ne!(
        jwt("{\"alg\":\"EdDSA\",\"kid\":\"1a\"}\n", claims),
        jwt(header, claims)
    );
    // What is said is no part of how it is written.
    let odd = |claims: &str| jwt(header, claims)["<jwt>"]["written"].clone();
    assert_eq!(
        odd(r#"{"sub":"x" ,"iat":1795448991}"#),
        odd(r#"{"sub":"yz" ,"iat":1795448999}"#)
    );

    let payload = r#"{"role":"Admin","username":"admin"}"#;
    let time = [0x6a, 0xd8, 0x96, 0x9f];
    let cookie = |payload: &[u8], time: &[u8]| three_parts(payload, time, &[2; 20]);
    let plain = shown(&cookie(payload.as_bytes(), &time));
    assert!(plain["<signed>"].get("written").is_none());
    for (other, time) in [
        (r#"{"role": "Admin", "username": "admin"}"#, time.to_vec()),
        (
            r#"{"role":"User","role":"Admin","username":"admin"}"#,
            time.to_vec(),
        ),
        (payload, [[0].as_slice(), &time].concat()),
    ] {
        assert_ne!(shown(&cookie(other.as_bytes(), &time)), plain, "{other}");
    }
    // The legacy escapes names in sessions, and in operators' tokens it does not.
    for (text, is_usual) in [
        (r#"{"username":"zo\u00e9"}"#, true),
        (r#"{"username":"zoé"}"#, false),
        (r#"{"u":"zoé","r":"User"}"#, true),
        (r#"{"u":"zo\u00e9","r":"User"}"#, false),
        (r#"{"u":"admin", "r":"User"}"#, false),
    ] {
        let shown = shown(&cookie(text.as_bytes(), &time));
        assert_eq!(shown["<signed>"].get("written").is_none(), is_usual, "{text}");
    }
    let shorter = |bytes: &[u8]| shown(&format!(".{}", cookie(bytes, &time)));
    let usual = shorter(&deflated(payload, 6));
    assert!(usual["<signed>"].get("written").is_none());
    assert_ne!(shorter(&deflated(payload, 9)), usual);
    assert_ne!(
        shorter(&[deflated(payload, 6).as_slice(), b"more"].concat()),
        usual
    );
}

#[test]
fn why_a_connection_was_refused_and_what_asks_for_an_acknowledgement_is_kept() {
    let refused = |error: &str| Observation {
        step: 1,
        at_us: 0,
        label: "connect as ui".to_owned(),
        seen: Seen::Connected {
            connected: false,
            error: Some(error.to_owned()),
        },
    };
    let heard = |asks: bool| HeardEvent {
        after_step: 1,
        event: "quick_job_run".to_owned(),
        data: json!({ "job_id": 1 }),
        asks,
    };
    let mut seen = transcript(&[], vec![refused("the namespace was refused: \"not allowed\"")]);
    seen.heard.push(Heard {
        events: vec![heard(false), heard(true)],
        ..Heard::begin("ui", 1)
    });
    let steps = normalize(&seen).steps;
    assert_eq!(
        steps[0].seen,
        json!({ "connected": false, "refused": "the namespace was refused: \"not allowed\"" })
    );
    let plain = json!({ "after_step": 1, "event": "quick_job_run", "data": { "job_id": 1 } });
    let mut asking = plain.clone();
    asking["asks_for_an_acknowledgement"] = json!(true);
    assert_eq!(steps[1].seen["sockets"]["1 ui"]["events"], json!([plain, asking]));
}
