//! What a recording writes of what passed, and what it leaves out.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::Signer as _;
use serde_json::json;

use super::{answer, ask, plan, post, proxy, record, steps, upstream};
use crate::record::{Limits, Plan, compose};

#[tokio::test]
async fn a_value_of_the_server_gets_a_name_and_a_client_s_own_does_not() {
    let guid = "5339A553-7BBF-487B-A4F6-DFCD06C88FF5";
    let own = "38ff2d60-10ff-42e4-8562-a57cbddd4172";
    let made = answer(&json!({"guid": guid, "echo": own, "id": 7}), "");
    let (_, composed) = record(
        Limits::default(),
        &[
            (&post("/api/things", "", &json!({"mine": own})), &made),
            (
                &format!("GET /api/things/7/of/{guid}?own={own} HTTP/1.1\r\n\r\n"),
                &answer(&json!({}), ""),
            ),
            (
                &post(
                    "/api/notes",
                    "",
                    &json!({"thing_id": 7, "count": 7, "text": format!("see {guid} and ${{x}}")}),
                ),
                &answer(&json!({}), ""),
            ),
            (
                &post(
                    "/api/things/delete",
                    "",
                    &json!({"ids": [7, 8], "order": {"id": 7}}),
                ),
                &answer(&json!({}), ""),
            ),
            (
                &post("/api/others/delete", "", &json!({"ids": [7]})),
                &answer(&json!({}), ""),
            ),
        ],
    )
    .await;
    let steps = steps(&composed);
    let kinds: Vec<&str> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "capture", "http", "capture", "capture", "http", "http", "http", "http"
        ]
    );
    assert_eq!(steps[3]["value"], json!(guid));
    assert_eq!(
        (&steps[2]["name"], &steps[2]["value"]),
        (&json!("thing.id"), &json!(7))
    );
    assert_eq!(
        steps[4]["request"]["path"],
        json!(format!("/api/things/${{thing.id}}/of/${{guid}}?own={own}"))
    );
    assert_eq!(
        steps[5]["request"]["json"],
        json!({"thing_id": "${thing.id}", "count": 7, "text": "see ${guid} and ${dollar}{x}"})
    );
    // Of what an `id` is the number the path says.
    assert_eq!(
        steps[6]["request"]["json"],
        json!({"ids": ["${thing.id}", 8], "order": {"id": "${thing.id}"}})
    );
    assert_eq!(steps[7]["request"]["json"], json!({"ids": [7]}));
}

#[tokio::test]
async fn a_server_that_is_called_by_several_names_answers_as_one_that_has_one() {
    let upstream = upstream(vec![
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://fleet.example:5080\r\nContent-Length: 55\r\n\r\n\
          {\"url\":\"https://fleet.example:5080/\",\"of\":\"/srv/fleet\"}"
            .to_vec(),
    ])
    .await;
    let (proxy, address) = proxy(upstream, Limits::default());
    ask(
        address,
        "GET /api/url HTTP/1.1\r\nOrigin: https://fleet.example:5080\r\n\r\n",
    )
    .await;
    let named = |host: &str| (host.to_owned(), format!("https://{host}"));
    let plan = Plan {
        addresses: vec![named("127.0.0.1:5080"), named("fleet.example:5080")],
        root: Some("/srv/fleet".to_owned()),
        ..plan(address)
    };
    let composed = compose(proxy.finish().await.unwrap(), &plan);
    assert_eq!(composed.recording["base"], json!("https://127.0.0.1:5080"));
    let step = &steps(&composed)[0];
    assert_eq!(step["request"]["headers"], json!({"Origin": "${base}"}));
    let response = &step["response"];
    assert_eq!(
        response["json"],
        json!({"url": "https://127.0.0.1:5080/", "of": "${root}"})
    );
    assert_eq!(
        response["wire"]["headers"][0],
        json!(["Access-Control-Allow-Origin", "https://127.0.0.1:5080"])
    );
}

#[tokio::test]
async fn no_password_is_written_but_the_usual_one_and_a_replay_is_still_right() {
    let login = |name: &str, password: &str| {
        post(
            "/api/auth/login",
            "",
            &json!({"username": name, "password": password}),
        )
    };
    let ok = answer(&json!({"status": "ok"}), "");
    let refused = b"HTTP/1.1 401 UNAUTHORIZED\r\nContent-Length: 2\r\n\r\n{}";
    let new = post(
        "/api/users",
        "",
        &json!({"username": "uma", "password": "correct horse"}),
    );
    let (_, composed) = record(
        Limits::default(),
        &[
            (&login("admin", "hunter2hunter2"), refused),
            (&login("admin", "the real one"), &ok),
            (&new, &answer(&json!({"echo": "correct horse"}), "")),
            (&login("uma", "correct horse"), &ok),
        ],
    )
    .await;
    let text = composed.recording.to_string();
    for secret in ["hunter2", "the real one", "correct horse"] {
        assert!(!text.contains(secret), "{text}");
    }
    let steps = steps(&composed);
    let password = |at: usize| steps[at]["request"]["json"]["password"].as_str().unwrap();
    assert_eq!(password(1), "Password");
    assert_ne!(password(0), "Password");
    assert_eq!(password(2), password(3));
    assert_eq!(steps[2]["response"]["json"]["echo"], json!(password(2)));
    assert_eq!(composed.summary.redacted.len(), 3, "{}", composed.summary);
}

#[tokio::test]
async fn an_operator_is_known_by_cookies_and_a_page_that_looks_again_is_written_once() {
    let set = "Set-Cookie: session=abc; Path=/\r\nSet-Cookie: borealis_auth=def; Path=/\r\n";
    let login = post(
        "/api/auth/login",
        "",
        &json!({"username": "Uma", "password": "Password"}),
    );
    let list = "GET /api/agents HTTP/1.1\r\nCookie: borealis_auth=def; session=abc\r\n\r\n";
    let (same, other) = (answer(&json!([1]), ""), answer(&json!([2]), ""));
    let strange = "GET /api/agents HTTP/1.1\r\nCookie: session=abc; more=1\r\n\r\n";
    let mut exchanges: Vec<(&str, &[u8])> = vec![(&login, &[])];
    let logged_in = answer(&json!({}), set);
    exchanges[0].1 = &logged_in;
    exchanges.extend([(list, same.as_slice()); 5]);
    exchanges.extend([
        (list, other.as_slice()),
        ("GET /api/agents HTTP/1.1\r\n\r\n", &same),
        (strange, &same),
    ]);
    let (_, composed) = record(Limits::default(), &exchanges).await;
    let steps = steps(&composed);
    let who: Vec<Option<&str>> = steps.iter().map(|step| step["who"].as_str()).collect();
    assert_eq!(who, [Some("uma"), Some("uma"), Some("uma"), None, Some("uma")]);
    assert_eq!(steps[1]["request"]["headers"], json!({}));
    assert_eq!(
        steps[4]["request"]["headers"],
        json!({"Cookie": "session=abc; more=1"})
    );
    assert_eq!(composed.summary.folded, [("GET /api/agents".to_owned(), 5)]);
}

#[tokio::test]
async fn times_are_the_server_s() {
    let date = |date: &str| answer(&json!({}), &format!("Date: {date}\r\n"));
    // The recorder's clock begins at 22:13:20.
    for (date, started_at, told) in [
        (date("Tue, 14 Nov 2023 22:13:20 GMT"), 1_700_000_000.0, false),
        (date("Tue, 14 Nov 2023 22:14:20 GMT"), 1_700_000_060.0, true),
        (date("Tue, 14 Nov 2023 22:12:20 GMT"), 1_699_999_940.0, true),
    ] {
        let (_, composed) = record(Limits::default(), &[("GET / HTTP/1.1\r\n\r\n", &date)]).await;
        let found = composed.recording["started_at"].as_f64().unwrap();
        assert!((found - started_at).abs() < 1.0, "{found}");
        assert_eq!(composed.summary.to_string().contains("the server's clock"), told);
    }
}

#[tokio::test]
async fn a_compressed_answer_is_written_as_a_replay_gets_it_and_a_strange_one_is_left_out() {
    let mut packed = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, b"{\"a\":1}\n").unwrap();
    encoder.finish().unwrap();
    let with = |coding: &str, length: usize| {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), packed.as_slice()].concat()
    };
    let (gzip, strange) = (with("gzip", packed.len()), with("br", packed.len()));
    let twice = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n".as_slice(),
        b"ok!",
    ]
    .concat();
    let asked = "GET /x HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    let (answers, composed) = record(
        Limits::default(),
        &[(asked, &gzip), (asked, &strange), (asked, &twice)],
    )
    .await;
    assert_eq!(answers, [gzip, strange, twice]);
    let steps = steps(&composed);
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0]["request"]["headers"], json!({}));
    let wire = json!({"version": "1.1", "reason": "OK", "length": 8, "headers": [["Content-Length", "8"]]});
    assert_eq!(
        steps[0]["response"],
        json!({"status": 200, "wire": wire, "json": {"a": 1}, "raw": "{\"a\":1}\n"})
    );
    let told = composed.summary.to_string();
    for what in ["encoded as br", "two content-lengths", "came compressed"] {
        assert!(told.contains(what), "{told}");
    }
}

#[tokio::test]
async fn files_of_the_web_client_are_left_out_and_told_unless_they_are_wanted() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let served = |kind: &str, more: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Content-Length: 2\r\n\r\n{{}}").into_bytes()
    };
    let dated = "Last-Modified: Tue, 24 Nov 2026 10:00:00 GMT\r\n";
    let missing =
        b"HTTP/1.1 404 NOT FOUND\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    let unchanged = format!("HTTP/1.1 304 NOT MODIFIED\r\n{dated}\r\n").into_bytes();
    let exchanges = [
        (get("/"), served("text/html; charset=utf-8", "")),
        (get("/assets/index.js"), unchanged),
        (get("/manifest.json"), served("application/json", dated)),
        (get("/health"), served("application/json", "")),
        (get("/api/devices"), served("text/plain", "")),
        (get("/favicon.ico"), missing.clone()),
        // The page of a server without a web client.
        (get("/login?next=1.2"), missing),
    ];
    for keep_pages in [false, true] {
        let upstream = upstream(exchanges.iter().map(|(_, answer)| answer.clone()).collect()).await;
        let (proxy, address) = proxy(upstream, Limits::default());
        for (asked, _) in &exchanges {
            ask(address, asked).await;
        }
        let plan = Plan {
            keep_pages,
            ..plan(address)
        };
        let composed = compose(proxy.finish().await.unwrap(), &plan);
        let steps = steps(&composed);
        let paths: Vec<_> = steps
            .iter()
            .filter_map(|step| step["request"]["path"].as_str())
            .collect();
        let told = composed.summary.to_string();
        if keep_pages {
            assert_eq!(paths.len(), exchanges.len(), "{told}");
        } else {
            assert_eq!(paths, ["/health", "/api/devices", "/favicon.ico"]);
            assert!(told.contains("--keep-pages writes it) (4 times)"), "{told}");
        }
        assert_eq!(composed.summary.left_out, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_lets_somebody_in_and_was_given_before_is_hidden() {
    let token = "eyJhbGciOiJFZERTQSJ9.eyJndWlkIjoiWCJ9.c2lnbmF0dXJlLXRoYXQtbm9ib2R5LXNob3VsZC1oYXZl";
    let refresh = "aUzP6qkFBJ45nK4R_0U50hlvPa10kF7_UoEthCPkGW8nXKZGTnhX4nLbOATlWbiQ";
    let asked = post(
        "/api/agent/token/refresh",
        &format!("Authorization: Bearer {token}\r\n"),
        &json!({"guid": "5339A553-7BBF-487B-A4F6-DFCD06C88FF5", "refresh_token": refresh}),
    );
    let refused = answer(&json!({}), "");
    let (_, composed) = record(Limits::default(), &[(&asked, &refused)]).await;
    let request = steps(&composed)[0]["request"].clone();
    let authorization = request["headers"]["Authorization"].as_str().unwrap();
    assert!(authorization.starts_with("Bearer eyJhbGciOiJFZERTQSJ9.eyJndWlkIjoiWCJ9.AAAA"));
    assert_eq!(authorization.len(), "Bearer ".len() + token.len());
    assert_eq!(
        request["json"]["guid"],
        json!("5339A553-7BBF-487B-A4F6-DFCD06C88FF5")
    );
    let hidden = request["json"]["refresh_token"].as_str().unwrap();
    assert!(
        hidden.len() == refresh.len() && hidden.starts_with("AAAA"),
        "{hidden}"
    );
    assert_eq!(composed.summary.redacted.len(), 2, "{}", composed.summary);
}

#[tokio::test]
async fn proofs_are_signed_anew_where_the_key_is_given_and_told_where_it_is_not() {
    let agent = crate::scenario::agent::Agent {
        name: "agent1".to_owned(),
        hostname: String::new(),
        seed: [7; 32],
    };
    let nonce = "yvN79sWOwNHGXUwFi8bTEobh5ICrH0m34x8jq3cwSuQ=";
    let reference = "38ff2d60-10ff-42e4-8562-a57cbddd4172";
    let asked = json!({"hostname": "WIN-ONE", "agent_pubkey": agent.pubkey(), "client_nonce": agent.nonce()});
    let ticket = answer(
        &json!({"server_nonce": nonce, "approval_reference": reference}),
        "",
    );
    let [server_nonce, client_nonce] = [nonce, &agent.nonce()].map(|text| BASE64.decode(text).unwrap());
    let message = [server_nonce.as_slice(), reference.as_bytes(), &client_nonce].concat();
    let proof = BASE64.encode(agent.key().sign(&message).to_bytes());
    let poll = json!({"approval_reference": reference, "client_nonce": agent.nonce(), "proof_sig": proof});
    let (request, poll) = (
        post("/api/agent/enroll/request", "", &asked),
        post("/api/agent/enroll/poll", "", &poll),
    );
    for agents in [vec![agent], Vec::new()] {
        let is_known = !agents.is_empty();
        let upstream = upstream(vec![ticket.clone(), answer(&json!({}), "")]).await;
        let (proxy, address) = proxy(upstream, Limits::default());
        ask(address, &request).await;
        ask(address, &poll).await;
        let plan = Plan {
            agents,
            ..plan(address)
        };
        let composed = compose(proxy.finish().await.unwrap(), &plan);
        let steps = steps(&composed);
        let last = &steps[steps.len() - 1]["request"]["json"]["proof_sig"];
        let told = composed.summary.to_string();
        if is_known {
            let made = &steps[steps.len() - 2];
            let parts = json!([
                {"base64": "${agent1.server_nonce}"},
                {"utf8": "${agent1.approval_reference}"},
                {"base64": "${agent1.nonce}"},
            ]);
            assert_eq!(
                (last, &made["made"]["parts"]),
                (&json!("${agent1.proof}"), &parts)
            );
            assert!(
                told.contains("the private key of agent1") && !told.contains("--agent-key"),
                "{told}"
            );
            assert_eq!(
                composed.recording["agents"]["agent1"]["hostname"],
                json!("WIN-ONE")
            );
        } else {
            assert_eq!(last, &json!(proof));
            assert!(
                told.contains("POST /api/agent/enroll/poll: what is signed"),
                "{told}"
            );
        }
    }
}
