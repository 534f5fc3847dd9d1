//! The body of `heartbeat`.

use crate::domain::{
    coerce::integer_of,
    devices::DeviceReport,
    json::{Json, JsonObject},
    json_text::column_text,
    text::python_trim,
};

/// Reads the body of `heartbeat`. Nothing is required, and what cannot be stored is left out; an `uptime` beyond 64
/// bits too, which loses the legacy the whole heartbeat (DEV-16).
pub fn heartbeat(body: &JsonObject) -> DeviceReport {
    let inventory = |name| {
        let value = body.get("inventory")?.get(name)?;
        (!value.is_null()).then(|| column_text(value))
    };
    let text = |value: &Json| value.is_truthy().then(|| value.python_str());
    let top = |name| body.get(name).and_then(text);
    let metric = |name| body.get("metrics").and_then(|metrics| metrics.get(name));
    DeviceReport {
        hostname: body
            .get("hostname")
            .and_then(Json::as_text)
            .map(python_trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        memory: inventory("memory"),
        network: inventory("network"),
        software: inventory("software"),
        storage: inventory("storage"),
        cpu: inventory("cpu"),
        last_user: metric("last_user").and_then(text),
        operating_system: metric("operating_system").and_then(text),
        uptime: metric("uptime")
            .and_then(integer_of)
            .and_then(|uptime| i64::try_from(uptime).ok()),
        external_ip: top("external_ip"),
        internal_ip: top("internal_ip"),
        device_type: top("device_type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(fields: [(&str, Json); N]) -> DeviceReport {
        heartbeat(Json::object(fields).as_object().unwrap())
    }

    #[test]
    fn every_field_is_read_by_its_own_rule() {
        let report = read([
            ("hostname", " WIN-1\n".into()),
            (
                "inventory",
                Json::object([
                    ("memory", Json::List(Vec::new())),
                    ("cpu", Json::object([("b", 1.into()), ("a", 1.5.into())])),
                    ("network", Json::Null),
                    ("storage", "x".into()),
                    ("gpu", 1.into()),
                ]),
            ),
            (
                "metrics",
                Json::object([
                    ("last_user", " me ".into()),
                    ("operating_system", 0.into()),
                    ("uptime", " 12 ".into()),
                ]),
            ),
            ("external_ip", true.into()),
            ("device_type", "".into()),
        ]);
        let expected = DeviceReport {
            hostname: Some("WIN-1".to_owned()),
            memory: Some("[]".to_owned()),
            cpu: Some("{\"b\": 1, \"a\": 1.5}".to_owned()),
            storage: Some("\"x\"".to_owned()),
            last_user: Some(" me ".to_owned()),
            uptime: Some(12),
            external_ip: Some("True".to_owned()),
            ..DeviceReport::default()
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn wrong_types_and_far_uptimes_are_left_out() {
        let nothing = DeviceReport::default();
        assert_eq!(
            read([
                ("hostname", 7.into()),
                ("inventory", "x".into()),
                ("metrics", Json::list([1]))
            ]),
            nothing
        );
        let uptime = |value: Json| read([("metrics", Json::object([("uptime", value)]))]).uptime;
        assert_eq!(uptime(Json::BigInt("9".repeat(20))), None);
        assert_eq!(uptime(1e30.into()), None);
        assert_eq!(uptime("soon".into()), None);
        assert_eq!(uptime((-1.9).into()), Some(-1));
        assert_eq!(uptime(true.into()), Some(1));
        assert_eq!(uptime(false.into()), Some(0));
    }
}
