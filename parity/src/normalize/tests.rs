use super::*;
use proptest::prelude::*;

const START: i64 = 1_795_448_990_335_000;

fn answer(step: u32, headers: &[(&str, &str)], body: Value) -> Observation {
    Observation {
        step,
        at_us: i64::from(step) * 1000,
        label: format!("step {step}"),
        seen: Seen::Answer {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Body::Json(body),
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
        ("allow", "POST, OPTIONS,GET"),
        ("etag", "\"abc\""),
        ("location", "http://127.0.0.1:39695/a"),
        ("retry-after", "7"),
    ];
    let out = normalize(&transcript(&[], vec![answer(1, &headers, json!({}))]));
    assert_eq!(
        out.steps[0].seen["headers"],
        json!({ "allow": ["GET", "OPTIONS", "POST"], "etag": "\"<etag>\"", "location": "${base}/a", "retry-after": 7 })
    );
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

fn uuid() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
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
