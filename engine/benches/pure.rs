//! What every request and every tick computes, without a server: `cargo bench --workspace --bench pure`.

#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::expect_used, reason = "a failed assumption ends a measurement")]

use std::{cell::Cell, hint::black_box};

use borealis_engine::{
    domain::{
        json_reader,
        json_text::{column_text, compact_text, push_compact, wire_text},
        schedule::{Recurrence, Schedule},
    },
    services::device_access::tokens::AccessTokens,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// 2030-06-15T12:34:00Z.
const NOW: i64 = 1_907_757_240;

/// What devices and operators send.
fn documents() -> [(&'static str, Value); 3] {
    let program = |number: usize| json!({"name": format!("Program number {number}"), "version": "10.0.19041.1", "vendor": "Vendör"});
    let software: Vec<_> = (0..100).map(program).collect();
    let heartbeat = json!({
        "hostname": "LOAD-1", "internal_ip": "10.0.0.1",
        "metrics": {"operating_system": "Debian 12", "uptime": 3600, "last_user": "LOAD\\user"},
    });
    [
        ("heartbeat", heartbeat),
        ("inventory of 8 kB", json!({"software": software})),
        (
            "screenshot of 1 MB",
            json!({"image_base64": "A".repeat(1_000_000)}),
        ),
    ]
}

fn json(criterion: &mut Criterion) {
    for (name, document) in documents() {
        let text = document.to_string();
        let read = json_reader::read_text(&text).expect("serde writes JSON");
        let stored = column_text(&read);
        let mut group = criterion.benchmark_group(format!("JSON {name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("read", |bencher| {
            bencher.iter(|| json_reader::read(black_box(text.as_bytes())));
        });
        group.bench_function("write compact", |bencher| {
            bencher.iter(|| compact_text(black_box(&read)));
        });
        group.bench_function("write for a column", |bencher| {
            bencher.iter(|| column_text(black_box(&read)));
        });
        group.bench_function("write for the channel", |bencher| {
            bencher.iter(|| wire_text(black_box(&read)));
        });
        group.bench_function("a column's text made compact", |bencher| {
            bencher.iter(|| {
                let mut compact = String::new();
                push_compact(&mut compact, black_box(&stored)).map(|_| compact)
            });
        });
        group.finish();
    }
}

fn tokens(criterion: &mut Criterion) {
    let tokens = AccessTokens::new(&SigningKey::from_bytes(&[7; 32])).expect("a key that signs");
    let issued = Cell::new(0);
    let issue = || {
        // Each is another one: of one that came before the signature is known to be good.
        issued.set(issued.get() + 1);
        tokens
            .issue("00000000-0000-4000-8000-000000000001", "ab", issued.get(), NOW)
            .expect("a token")
    };
    let mut group = criterion.benchmark_group("access token");
    group.bench_function("issue", |bencher| bencher.iter(issue));
    group.bench_function("verify for the first time", |bencher| {
        bencher.iter_batched(issue, |token| tokens.verify(&token, NOW), BatchSize::SmallInput);
    });
    let token = issue();
    assert!(tokens.verify(&token, NOW).is_ok());
    group.bench_function("verify again", |bencher| {
        bencher.iter(|| tokens.verify(black_box(&token), NOW));
    });
    group.finish();
}

fn schedules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    for (name, recurrence, last) in [
        ("every 5 minutes", Recurrence::Every(300), NOW - 300),
        (
            "every 5 minutes, unseen for a year",
            Recurrence::Every(300),
            NOW - 31_536_000,
        ),
        ("monthly", Recurrence::Monthly, NOW - 2_678_400),
        (
            "monthly, unseen for ten years",
            Recurrence::Monthly,
            NOW - 315_360_000,
        ),
    ] {
        let schedule = Schedule {
            recurrence,
            start: Some(last),
            last: Some(last),
        };
        group.bench_function(format!("next run, {name}"), |bencher| {
            bencher.iter(|| black_box(schedule).next_run(black_box(NOW)));
        });
        group.bench_function(format!("due, {name}"), |bencher| {
            bencher.iter(|| black_box(schedule).due(Some(last), black_box(NOW)));
        });
    }
    group.bench_function("a word is read", |bencher| {
        bencher.iter(|| Recurrence::parse(black_box(" Every_15_Minutes ")));
    });
    group.finish();
}

criterion_group!(benches, json, tokens, schedules);
criterion_main!(benches);
