//! Packets as they come and go, without a socket: `cargo bench --workspace --bench packets`.

#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::expect_used, reason = "a failed assumption ends a measurement")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use socketio_server::{
    Bytes,
    socket_io::Emit,
    testing::{read_packet, read_payload},
};

/// More values than any packet here holds.
const MOST_VALUES: usize = 200_000;

/// What agents and operators send.
fn packets() -> [(&'static str, Value); 3] {
    let result =
        json!({"job_id": 7, "status": "Success", "stdout": "line of output\n".repeat(100), "stderr": ""});
    let screenshot =
        json!({"agent_id": "HOST_GUID_SYSTEM", "node_id": "n1", "image_base64": "A".repeat(1_000_000)});
    let beat = json!({"agent_id": "HOST_GUID_SYSTEM", "hostname": "HOST", "last_seen": 1_900_000_000});
    [
        ("agent_heartbeat", beat),
        ("quick_job_result", result),
        ("agent_screenshot_task", screenshot),
    ]
}

fn codec(criterion: &mut Criterion) {
    for (event, payload) in packets() {
        let text = format!("217[\"{event}\",{payload}]");
        assert!(read_packet::<Value>(&text, MOST_VALUES));
        let mut group = criterion.benchmark_group(format!("packet {event}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("read", |bencher| {
            bencher.iter(|| read_packet::<Value>(black_box(&text), MOST_VALUES));
        });
        let arguments = [payload];
        group.bench_function("write", |bencher| {
            bencher.iter(|| Emit::new("/", event, black_box(&arguments)).packets());
        });
        group.finish();
    }
}

fn payload(criterion: &mut Criterion) {
    let packet = r#"42["agent_heartbeat",{"agent_id":"HOST_GUID_SYSTEM"}]"#;
    let body = Bytes::from([packet; 100].join("\u{1e}"));
    assert_eq!(read_payload(body.clone()), Some(100));
    let mut group = criterion.benchmark_group("polling body");
    group.throughput(Throughput::Elements(100));
    group.bench_function("read 100 packets", |bencher| {
        bencher.iter(|| read_payload(black_box(body.clone())));
    });
    group.finish();
}

criterion_group!(benches, codec, payload);
criterion_main!(benches);
