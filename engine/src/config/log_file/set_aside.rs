//! Files that were set aside: their names, and which of them are old.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::Kept;

/// Days without a file that one wrong reading of the clock would explain as well.
const LONG: i32 = 30;

/// A file that was set aside, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SetAside {
    pub(super) day: Date,
    /// Of a file that was full, or came when the day had its last one, which has none.
    pub(super) number: Option<u32>,
}

impl SetAside {
    /// Reads what follows the log's own name; `None` for strangers.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (day, number) = match text.split_once('.') {
            Some((day, number)) => (day, Some(number)),
            None => (text, None),
        };
        let file = Self {
            day: day.parse().ok()?,
            number: number.map(str::parse).transpose().ok()?,
        };
        // `01` is not how this program writes a number.
        let written = match file.number {
            Some(number) => format!("{}.{number}", file.day),
            None => file.day.to_string(),
        };
        (written == text).then_some(file)
    }

    /// Grows from the oldest to the newest.
    fn age(self) -> (Date, u32) {
        (self.day, self.number.unwrap_or(u32::MAX))
    }
}

/// What becomes of the files that were set aside.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Sorted {
    /// Those to remove.
    pub(super) old: Vec<SetAside>,
    /// The newest day, where it is long ago and saves files that are old by the calendar.
    pub(super) doubted_since: Option<Date>,
}

impl Sorted {
    pub(super) fn on(today: Date, kept: Kept, mut files: Vec<SetAside>) -> Self {
        match kept {
            Kept::Files(count) => {
                files.sort_unstable_by_key(|file| std::cmp::Reverse(file.age()));
                Self {
                    old: files.split_off(count.min(files.len())),
                    doubted_since: None,
                }
            }
            Kept::Days(days) => Self::by_days(today, days.into(), files),
        }
    }

    /// The clock may be wrong, today or when a file was named, and what is removed does not come back. So files do not
    /// age while nothing is written: the days between two neighbouring files count as thirty at most, and those between
    /// the newest and today, if they are more, not at all. A reading that is years ahead removes nothing then that the
    /// right one leaves, and midnights that pass at the wrong time take a month, but never the trail. The price is that
    /// a log with pauses of more than a month is kept longer, by what is beyond the month. What has a day after today
    /// is not old.
    fn by_days(today: Date, days: i32, mut files: Vec<SetAside>) -> Self {
        let past: BTreeSet<Date> = files
            .iter()
            .map(|file| file.day)
            .filter(|day| *day <= today)
            .collect();
        let newest = past.last().copied();
        let doubted = newest.filter(|newest| days_between(*newest, today) > LONG);
        let mut later = doubted.unwrap_or(today);
        let mut age = 0;
        let mut old = BTreeSet::new();
        for day in past.iter().rev().copied() {
            age += days_between(day, later).min(LONG);
            later = day;
            if age > days {
                old.insert(day);
            }
        }
        let by_the_calendar = past
            .iter()
            .any(|day| days_between(*day, today) > days && !old.contains(day));
        files.retain(|file| old.contains(&file.day));
        Self {
            old: files,
            doubted_since: doubted.filter(|_| by_the_calendar),
        }
    }
}

fn days_between(earlier: Date, later: Date) -> i32 {
    later
        .duration_since(earlier)
        .as_hours()
        .div_euclid(24)
        .try_into()
        .unwrap_or(i32::MAX)
}
