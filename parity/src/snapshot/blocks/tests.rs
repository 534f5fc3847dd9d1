use super::*;

fn time(name: &str, at_us: Option<i64>) -> StepTime {
    StepTime {
        name: name.to_owned(),
        at_us,
    }
}

fn an_answer(headers: &Value, wire: &Value) -> Value {
    json!({ "status": 200, "headers": headers, "body": { "ok": true }, "wire": wire })
}

fn sample() -> (Normalized, Vec<StepTime>) {
    let date = json!({ "<time>": { "format": "http-date", "offset_us": -335_000 } });
    let as_usual = an_answer(
        &json!({ "content-length": "<length of the body>", "content-type": "application/json", "date": date }),
        &json!({ "version": "1.1", "reason": "<as usual, in capitals>",
            "headers": "Content-Type, Content-Length, Date", "json": "compact, a newline at the end" }),
    );
    let otherwise = an_answer(
        &json!({ "content-length": 5, "date": date, "set-cookie": ["a", "b"], "vary": "Cookie" }),
        &json!({ "version": "1.1", "reason": "<as usual, in capitals>", "headers": "Date" }),
    );
    let step = |step: u32, at_us: i64, label: &str, seen: &Value| NormalStep {
        step,
        at_us,
        label: label.to_owned(),
        seen: seen.clone(),
    };
    let normalized = Normalized {
        scenario: "a/b".to_owned(),
        started_at_us: 1_700_000_000_335_000,
        last_step: 4,
        steps: vec![
            step(1, 9000, "GET / as ui", &as_usual),
            step(2, 11_000, "odd", &json!({ "answer": 2 })),
            step(3, 12_000, "GET /\nx", &otherwise),
            step(4, 20_000, "rows", &json!({ "rows": [{ "id": 1, "answer": 2 }] })),
            step(6, 20_000, "what the sockets received", &json!({ "sockets": {} })),
            step(
                7,
                21_000,
                "what the server left",
                &json!({ "tables": {}, "files": {} }),
            ),
        ],
    };
    let recorded = vec![
        time("GET /", Some(9000)),
        time("set x", None),
        time("GET / 2", Some(12_000)),
        time("rows x", Some(20_000)),
    ];
    (normalized, recorded)
}

#[test]
fn a_block_says_what_is_not_as_usual() {
    let (normalized, recorded) = sample();
    insta::assert_snapshot!(write(&normalized, &recorded), @r#"
    started at +1700000000.335

    --- 1  GET /  +0.009
    what "GET / as ui"
    answer 200
    body {"ok": true}

    --- 2  set x
    what "odd"
    at_us 11000
    seen {"answer": 2}

    --- 3  GET / 2  +0.012
    what "GET /\nx"
    answer 200
    header content-length 5
    header set-cookie ["a", "b"]
    header vary "Cookie"
    header content-type -
    wire headers "Date"
    wire json -
    body {"ok": true}

    --- 4  rows x  +0.02
    what "rows"
    rows [{"id": 1, "answer": 2}]

    --- heard  +0.02
    what "what the sockets received"
    sockets {}

    --- left  +0.021
    what "what the server left"
    tables {}
    files {}
    "#);
}

#[test]
fn what_is_written_is_read_back() {
    let (normalized, recorded) = sample();
    let text = write(&normalized, &recorded);
    assert_eq!(read("a/b", &text), Ok((normalized, recorded)));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let head = "started at +1\n\n--- 1  GET /  +0.1\n";
    for (text, wrong) in [
        ("x", "line 1 is not `started at <seconds>`"),
        ("started at +1\nwhat \"x\"\n", "line 2 stands in no block"),
        ("started at +1\n--- 2  x  +1\n", "line 2: this is step 1, not 2"),
        (
            "started at +1\n--- heard  soon\n",
            "line 2 is not `--- <number>  <name>  <seconds>`",
        ),
    ] {
        assert_eq!(read("a/b", text).unwrap_err(), wrong);
    }
    for (entries, wrong) in [
        ("rows []\n", "the block in line 3 does not say what it shows"),
        ("what \"x\"\nrows\n", "line 5: it is not `<name> <value>`"),
        (
            "what \"x\"\nrows [\n",
            "line 5: EOF while parsing a list at line 1 column 1",
        ),
    ] {
        assert_eq!(read("a/b", &format!("{head}{entries}")).unwrap_err(), wrong);
    }
}
