//! The time that the server's clock shows, as the web client writes it.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

/// One moment in the server's time zone and in UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerTime {
    /// Unix seconds.
    pub epoch: i64,
    /// Local time with its offset, `2026-11-23T20:13:14.892077+05:30`.
    pub iso: String,
    /// UTC with `Z`.
    pub utc_iso: String,
    /// The zone's abbreviation: `IST`, or `-03` where it has none.
    pub timezone: String,
    /// Local minus UTC: negative in the west.
    pub offset_seconds: i32,
    /// `November 23rd 2026 @ 8:13PM`.
    pub display: String,
}

impl ServerTime {
    /// What is shown at `now`. The legacy reads the clock once for local time and once more for UTC.
    pub fn new(now: Timestamp, utc_now: Timestamp, zone: &TimeZone) -> Self {
        let local = now.to_zoned_datetime(zone.clone());
        Self {
            epoch: now.as_second(),
            iso: iso(&local, "%:z"),
            utc_iso: iso(&utc_now.to_zoned_datetime(TimeZone::UTC), "Z"),
            timezone: zone.to_offset_info(now).abbreviation().to_owned(),
            offset_seconds: local.offset().seconds(),
            display: display(&local),
        }
    }
}

/// ISO 8601 with microseconds, which are left out when they are zero.
fn iso(time: &ZonedDateTime, offset: &str) -> String {
    let fraction = if time.timestamp().as_microsecond().rem_euclid(1_000_000) == 0 {
        ""
    } else {
        ".%6f"
    };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}{offset}"))
        .to_string()
}

fn display(time: &ZonedDateTime) -> String {
    let day = time.day();
    let ordinal = match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    time.strftime(&format!("%B {day}{ordinal} %Y @ %-I:%M%p"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> ServerTime {
        let now: Timestamp = text.parse().unwrap();
        ServerTime::new(now, now, &TimeZone::get(zone).unwrap())
    }

    #[test]
    fn local_time_has_its_offset_and_abbreviation() {
        assert_eq!(
            at("2026-11-23T14:43:14.892077Z", "Asia/Kolkata"),
            ServerTime {
                epoch: 1_795_444_994,
                iso: "2026-11-23T20:13:14.892077+05:30".to_owned(),
                utc_iso: "2026-11-23T14:43:14.892077Z".to_owned(),
                timezone: "IST".to_owned(),
                offset_seconds: 19_800,
                display: "November 23rd 2026 @ 8:13PM".to_owned(),
            }
        );
        let west = at("2026-01-01T00:00:00Z", "America/Phoenix");
        assert_eq!(
            (west.iso.as_str(), west.timezone.as_str(), west.offset_seconds),
            ("2025-12-31T17:00:00-07:00", "MST", -25_200)
        );
        assert_eq!(at("2026-01-01T00:00:00Z", "America/Sao_Paulo").timezone, "-03");
    }

    #[test]
    fn people_read_days_and_hours_without_zeros() {
        for (time, display) in [
            ("2026-11-01T00:05:00Z", "November 1st 2026 @ 12:05AM"),
            ("2026-02-02T12:00:00Z", "February 2nd 2026 @ 12:00PM"),
            ("2026-03-03T01:59:59Z", "March 3rd 2026 @ 1:59AM"),
            ("2026-04-11T11:00:00Z", "April 11th 2026 @ 11:00AM"),
            ("2026-05-12T13:00:00Z", "May 12th 2026 @ 1:00PM"),
            ("2026-06-13T23:00:00Z", "June 13th 2026 @ 11:00PM"),
            ("2026-07-21T10:30:00Z", "July 21st 2026 @ 10:30AM"),
            ("2026-08-24T10:30:00Z", "August 24th 2026 @ 10:30AM"),
        ] {
            assert_eq!(at(time, "UTC").display, display);
        }
    }
}
