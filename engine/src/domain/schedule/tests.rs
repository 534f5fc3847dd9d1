use jiff::civil;
use proptest::prelude::*;

use super::*;

const NOW: &str = "2030-06-15T12:34:56";

/// The worked examples of the legacy's page `scheduler`: word, start, latest occurrence, present, next run in seconds;
/// `-` is none.
#[rustfmt::skip]
const EXAMPLES: [(&str, &str, &str, &str, &str); 44] = [
    ("immediately", "-", "-", "2030-06-15T12:34:56", "1907757240"),
    ("immediately", "2030-07-01T00:00", "-", "2030-06-15T12:34:56", "1907757240"),
    ("immediately", "-", "2030-06-15T12:00", "2030-06-15T12:34:56", "-"),
    ("once", "-", "-", "2030-06-15T12:34:56", "-"),
    ("once", "2030-07-01T08:30:45", "-", "2030-06-15T12:34:56", "1909125000"),
    ("once", "2030-01-01T08:30:45", "-", "2030-06-15T12:34:56", "1893486600"),
    ("once", "2030-07-01T08:30:45", "2030-07-01T08:30", "2030-06-15T12:34:56", "-"),
    ("every_5_minutes", "2030-06-15T12:00:10", "-", "2030-06-15T12:34:56", "1907757300"),
    ("every_5_minutes", "2030-06-15T12:00", "2030-06-15T11:07", "2030-06-15T12:34:56", "1907757420"),
    ("every_5_minutes", "2030-06-15T12:04", "-", "2030-06-15T12:34:59", "1907757240"),
    ("every_5_minutes", "2030-06-15T12:04", "-", "2030-06-15T12:35:00", "1907757540"),
    ("every_5_minutes", "-", "2030-06-15T12:30", "2030-06-15T12:34:56", "-"),
    ("every_10_minutes", "2030-06-15T12:00", "2030-06-15T12:30", "2030-06-15T12:34:56", "1907757600"),
    ("every_15_minutes", "2030-06-15T12:00:10", "-", "2030-06-15T12:34:56", "1907757900"),
    ("every_30_minutes", "2030-06-15T12:00", "2030-06-15T12:30", "2030-06-15T12:34:56", "1907758800"),
    ("every_hour", "2030-06-15T08:20", "2030-06-13T01:20", "2030-06-15T12:34:56", "1907760000"),
    ("daily", "2030-06-20T07:00", "-", "2030-06-15T12:34:56", "1908169200"),
    ("daily", "2030-06-01T07:00", "-", "2030-06-15T12:34:56", "1907823600"),
    ("daily", "2030-06-01T12:34", "-", "2030-06-15T12:34:56", "1907757240"),
    ("daily", "2030-06-01T07:00", "2030-06-15T07:00", "2030-06-15T12:34:56", "1907823600"),
    ("daily", "2030-09-01T07:00", "2030-06-14T07:00", "2030-06-15T12:34:56", "1907823600"),
    ("daily", "2030-06-01T07:00", "2030-06-20T07:00", "2030-06-15T12:34:56", "1908255600"),
    ("daily", "2030-06-01T07:00", "0", "2030-06-15T12:34:56", "1907823600"),
    ("weekly", "2030-06-03T07:00", "-", "2030-06-15T12:34:56", "1907910000"),
    ("weekly", "2030-07-03T07:00", "-", "2030-06-15T12:34:56", "1909292400"),
    ("monthly", "2030-08-31T09:15", "-", "2030-06-15T12:34:56", "1914398100"),
    ("monthly", "2030-01-31T09:15", "-", "2030-01-31T09:15:30", "1896081300"),
    ("monthly", "2030-01-31T09:15", "-", "2030-01-31T09:16", "1898500500"),
    ("monthly", "2030-01-31T09:15", "-", "2030-03-01T00:00", "1900919700"),
    ("monthly", "2030-01-31T09:15", "2030-01-31T09:15", "2030-01-31T09:20", "1898500500"),
    ("monthly", "2030-01-31T09:15", "2030-02-28T09:15", "2030-02-28T09:20", "1900919700"),
    ("monthly", "2030-03-31T09:15", "2030-03-31T09:15", "2030-04-01T00:00", "1903770900"),
    ("monthly", "2032-01-31T09:15", "2032-01-31T09:15", "2032-02-01T00:00", "1961658900"),
    ("monthly", "2030-12-15T23:59:59", "2030-12-15T23:59", "2030-12-16T00:00", "1926287940"),
    ("monthly", "2030-01-15T10:00", "2030-01-15T10:00", "2030-06-15T10:00:59", "1907748000"),
    ("monthly", "2030-01-15T10:00", "2030-01-15T10:00", "2030-06-15T10:01", "1910340000"),
    ("yearly", "2031-03-01T00:00", "-", "2030-06-15T12:34:56", "1930089600"),
    ("yearly", "2028-02-29T06:00", "-", "2028-02-29T06:00:30", "1835416800"),
    ("yearly", "2028-02-29T06:00", "-", "2028-03-01T00:00", "1866952800"),
    ("yearly", "2028-02-29T06:00", "2028-02-29T06:00", "2028-03-01T00:00", "1866952800"),
    ("yearly", "2028-02-29T06:00", "2031-02-28T06:00", "2031-03-01T00:00", "1961560800"),
    ("yearly", "2028-02-29T06:00", "-", "2032-02-01T00:00", "1961560800"),
    ("yearly", "2025-07-04T18:30", "2029-07-04T18:30", "2030-06-15T12:34:56", "1909420200"),
    ("yearly", "2025-05-04T18:30", "2029-05-04T18:30", "2030-06-15T12:34:56", "1935685800"),
];

fn seconds(text: &str) -> Option<i64> {
    match text {
        "-" => None,
        "0" => Some(0),
        _ => {
            let civil: civil::DateTime = text.parse().unwrap();
            Some(
                civil
                    .to_zoned_datetime(jiff::tz::TimeZone::UTC)
                    .unwrap()
                    .timestamp()
                    .as_second(),
            )
        }
    }
}

fn next_run(word: &str, start: Option<i64>, last: Option<i64>, now: &str) -> Option<i64> {
    let schedule = Schedule {
        recurrence: Recurrence::parse(word),
        start,
        last,
    };
    schedule.next_run(seconds(now).unwrap())
}

#[test]
fn the_worked_examples_hold() {
    for (word, start, last, now, expected) in EXAMPLES {
        assert_eq!(
            next_run(word, seconds(start), seconds(last), now),
            expected.parse().ok(),
            "{word} start {start} last {last} now {now}"
        );
    }
}

#[test]
fn words_are_trimmed_and_lower_cased_and_unknown_ones_have_no_next_run() {
    assert_eq!(next_run("IMMEDIATELY ", None, None, NOW), Some(1_907_757_240));
    assert_eq!(next_run("", None, None, NOW), Some(1_907_757_240));
    let start = seconds("2030-06-01T07:00");
    assert_eq!(next_run("Daily ", start, None, NOW), Some(1_907_823_600));
    for word in ["fortnightly", "every_2_hours"] {
        assert_eq!(next_run(word, seconds("2030-07-01T00:00"), None, NOW), None);
    }
}

#[test]
fn a_start_in_the_first_minute_of_1970_counts_as_none() {
    for word in ["once", "daily"] {
        for start in [30, 59] {
            assert_eq!(next_run(word, Some(start), None, NOW), None);
        }
    }
}

#[test]
fn the_end_of_the_calendar_is_no_next_run() {
    let end = seconds("9999-12-15T10:00");
    assert_eq!(next_run("monthly", end, end, "9999-12-15T10:01"), None);
    assert_eq!(next_run("yearly", end, end, "9999-12-15T10:01"), None);
    for word in ["monthly", "yearly", "daily"] {
        assert_eq!(next_run(word, Some(i64::MIN + 1), Some(i64::MAX), NOW), None);
    }
    // The last second and the first day of the calendar.
    for (start, expected) in [
        (253_402_300_799, Some(253_402_300_740)),
        (253_402_300_800, None),
        (-62_135_596_800, None),
        (-62_135_510_460, None),
    ] {
        for word in ["monthly", "yearly"] {
            assert_eq!(next_run(word, Some(start), None, NOW), expected, "{word} {start}");
        }
    }
    assert!(next_run("monthly", Some(-62_135_510_400), None, NOW).is_some());
}

fn due(word: &str, start: i64, last: Option<i64>, created: Option<i64>, now: i64) -> Option<i64> {
    let schedule = Schedule {
        recurrence: Recurrence::parse(word),
        start: Some(start),
        last,
    };
    schedule.due(created, now)
}

/// The worked decisions of the legacy's page `scheduler`, with SCH-7 mended: `M` is the tick's minute.
#[test]
fn an_occurrence_may_be_five_minutes_late() {
    const M: i64 = 1_907_757_240;
    assert_eq!(due("once", M - 300, None, None, M), Some(M - 300));
    assert_eq!(due("once", M - 360, None, None, M), None);
    assert_eq!(due("once", M + 60, None, None, M + 59), None);
    assert_eq!(due("once", M - 60, Some(M - 60), None, M), None);
    assert_eq!(due("fortnightly", M - 120, None, None, M), Some(M - 120));
    assert_eq!(due("immediately", 0, None, Some(M - 59), M + 1), Some(M - 60));
    assert_eq!(due("immediately", 0, None, Some(M - 600), M), None);
    assert_eq!(due("immediately", 0, None, None, M), Some(M));
    assert_eq!(due("daily", M - 360, None, None, M), None);
    assert_eq!(due("daily", M - 86_400 - 300, None, None, M), Some(M - 300));
    assert_eq!(due("every_5_minutes", M - 300, None, None, M), Some(M));
    assert_eq!(due("every_5_minutes", 60, Some(M - 300), None, M), Some(M));
    assert_eq!(due("every_5_minutes", 60, Some(M - 360), None, M), Some(M - 60));
    assert_eq!(due("every_5_minutes", 60, Some(M - 240), None, M), None);
    assert_eq!(due("every_5_minutes", 60, Some(M), None, M), None);
}

/// The legacy's tick knows the bare word alone; what stands for it begins as any other job, and without a start at once.
#[test]
fn a_job_of_no_kind_starts_at_its_start_and_without_one_at_once() {
    const M: i64 = 1_907_757_240;
    for word in ["", " ", " immediately", "IMMEDIATELY "] {
        let long_ago = Some(M - 86_400);
        assert_eq!(due(word, M - 200, None, long_ago, M), Some(M - 240), "{word:?}");
        assert_eq!(due(word, M - 360, None, Some(M), M), None, "{word:?}");
        assert_eq!(due(word, M + 60, None, Some(M), M), None, "{word:?}");
        assert_eq!(due(word, 30, None, Some(M), M), None, "{word:?}");
        assert_eq!(due(word, 0, None, long_ago, M + 59), Some(M), "{word:?}");
        assert_eq!(due(word, 0, Some(M - 60), long_ago, M), None, "{word:?}");
    }
    assert_eq!(due("IMMEDIATELY", M - 360, None, Some(M), M), Some(M));
}

#[test]
fn a_recurring_job_leaves_an_occurrence_when_the_next_comes_due() {
    let open = |word, last, now| {
        Schedule {
            recurrence: Recurrence::parse(word),
            start: Some(60),
            last: Some(last),
        }
        .still_open(now)
    };
    assert!(open("every_5_minutes", 600, 899));
    assert!(!open("every_5_minutes", 600, 900));
    assert!(open("once", 600, i64::MAX));
}

#[test]
fn expirations_are_read_as_the_legacy_reads_them() {
    for (text, expected) in [
        ("30m", 1_800),
        ("1h", 3_600),
        ("2d", 172_800),
        (" 30M ", 1_800),
        ("3 h", 10_800),
        ("+5m", 300),
        ("90", 5_400),
        ("0m", 0),
        ("-5m", -300),
        ("-50", -3_000),
        ("+50", 3_000),
        ("5_00", 30_000),
        ("\u{665}\u{660}", 3_000),
        ("\u{665}m", 300),
    ] {
        assert_eq!(expiration_seconds(text), Some(expected), "{text:?}");
    }
    for text in [
        "",
        "5",
        "no_expire",
        "NO_EXPIRE",
        "1.5h",
        "30s",
        "7w",
        "1d2h",
        "abc",
        "m",
        "9999999999999999999d",
        "-5",
        "+5",
        "5_0",
        "\u{665}",
        "-",
    ] {
        assert_eq!(expiration_seconds(text), None, "{text:?}");
    }
}

#[test]
fn what_the_calendar_does_not_have_is_no_next_run() {
    const BEYOND: i64 = 1_927_620_007_000;
    for (word, expected) in [
        ("monthly", None),
        ("yearly", None),
        ("daily", Some(minute_of(BEYOND))),
        ("once", Some(minute_of(BEYOND))),
    ] {
        assert_eq!(next_run(word, Some(BEYOND), None, NOW), expected, "{word}");
    }
    // With a latest occurrence the start's value plays no part.
    let last = Some(1_907_755_200);
    assert!(next_run("monthly", Some(BEYOND), last, NOW).is_some());
}

fn recurring() -> impl Strategy<Value = Recurrence> {
    prop_oneof![
        Just(Recurrence::Every(300)),
        Just(Recurrence::Every(3_600)),
        Just(Recurrence::Every(604_800)),
        Just(Recurrence::Monthly),
        Just(Recurrence::Yearly),
    ]
}

/// Years 1990 to 2090.
const MOMENTS: std::ops::Range<i64> = 631_152_000..3_786_912_000;

fn calendar(seconds: i64) -> civil::DateTime {
    jiff::Timestamp::from_second(seconds)
        .unwrap()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .datetime()
}

proptest! {
    #[test]
    fn a_recurring_job_never_runs_in_the_past(
        recurrence in recurring(), start in MOMENTS, last in proptest::option::of(MOMENTS), now in MOMENTS,
    ) {
        let schedule = Schedule { recurrence, start: Some(start), last };
        let next = schedule.next_run(now).unwrap();
        prop_assert!(next >= minute_of(now));
        prop_assert_eq!(next.rem_euclid(60), 0);
        if let Some(last) = last {
            prop_assert!(next > minute_of(last));
        }
    }

    #[test]
    fn a_later_present_never_gives_an_earlier_run(
        recurrence in recurring(), start in MOMENTS, now in MOMENTS, later in 0_i64..100_000_000,
    ) {
        let schedule = Schedule { recurrence, start: Some(start), last: None };
        prop_assert!(schedule.next_run(now).unwrap() <= schedule.next_run(now + later).unwrap());
    }

    #[test]
    fn a_job_that_runs_when_told_runs_next_strictly_later(
        recurrence in recurring(), start in MOMENTS, now in MOMENTS,
    ) {
        let mut schedule = Schedule { recurrence, start: Some(start), last: None };
        let first = schedule.next_run(now).unwrap();
        prop_assert_eq!(schedule.due(None, first), Some(first));
        schedule.last = Some(first);
        prop_assert_eq!(schedule.due(None, first), None);
        prop_assert!(schedule.next_run(first).unwrap() > first);
    }

    #[test]
    fn what_is_due_is_on_time_and_comes_once(
        recurrence in recurring(), start in MOMENTS, last in proptest::option::of(MOMENTS), now in MOMENTS,
    ) {
        let schedule = Schedule { recurrence, start: Some(start), last };
        if let Some(due) = schedule.due(None, now) {
            let minute = minute_of(now);
            prop_assert!(due <= minute && minute - due <= LATENESS);
            prop_assert!(last.is_none_or(|last| due > minute_of(last)));
            let again = Schedule { last: Some(due), ..schedule };
            prop_assert_eq!(again.due(None, now), None);
        }
    }

    #[test]
    fn months_and_years_keep_the_time_and_never_leave_the_month(start in MOMENTS) {
        let from = calendar(minute_of(start));
        for recurrence in [Recurrence::Monthly, Recurrence::Yearly] {
            let schedule = Schedule { recurrence, start: Some(start), last: Some(start) };
            let next = calendar(schedule.next_run(start).unwrap());
            prop_assert_eq!(next.time(), from.time());
            let longest = next.date().days_in_month();
            prop_assert_eq!(next.day(), from.day().min(longest));
            let months = |date: civil::DateTime| i32::from(date.year()) * 12 + i32::from(date.month());
            let step = if recurrence == Recurrence::Yearly { 12 } else { 1 };
            prop_assert_eq!(months(next) - months(from), step);
        }
    }

    #[test]
    fn what_is_due_has_come_and_is_not_too_late(start in any::<i64>(), last in any::<i64>(), now in any::<i64>(), word in 0_usize..5) {
        let word = ["once", "daily", "monthly", "yearly", "immediately"][word];
        let schedule = Schedule { recurrence: Recurrence::parse(word), start: Some(start), last: Some(last) };
        // What is shown of any numbers: nothing can be said of it but that it is shown.
        let _ = (schedule.next_run(now), schedule.still_open(now));
        for due in [schedule.due(Some(start), now), Schedule { last: None, ..schedule }.due(Some(start), now)].into_iter().flatten() {
            prop_assert!(due <= now, "{due}");
            prop_assert!(i128::from(now) - i128::from(due) < i128::from(LATENESS) + 60, "{due}");
        }
    }

    #[test]
    fn blanks_around_an_expiration_do_not_count(text in ".*|[0-9]{0,3}[mhd]?") {
        prop_assert_eq!(expiration_seconds(&format!(" {text}\t")), expiration_seconds(&text));
    }
}
