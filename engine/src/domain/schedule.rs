//! When a job runs next. Pure arithmetic on whole minutes, UTC whatever the server's zone is.

mod calendar;

use self::calendar::Minute;
use super::{coerce::integer_in, text::python_trim};

/// Seconds in a minute: the grain of every occurrence.
const MINUTE: i64 = 60;
/// How late an occurrence may still start, in seconds.
pub const LATENESS: i64 = 300;

/// How often a job runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recurrence {
    /// Once, at the first minute that comes.
    Immediately,
    /// Once, at its start, and without one at the first minute that comes: nothing is said, or `immediately` between
    /// blanks, which the legacy's tick does not take for the word.
    Unnamed,
    /// Once, at its start.
    Once,
    /// Every so many seconds from its start.
    Every(i64),
    /// On the day of the month of the occurrence before, or the month's last.
    Monthly,
    /// On the day of the year of the occurrence before.
    Yearly,
    /// An unknown word: runs once at its start, and shows no next run.
    Unknown,
}

impl Recurrence {
    /// Reads the stored word; blanks around it and case are forgiven.
    pub fn parse(word: &str) -> Self {
        let word = word.to_lowercase();
        match python_trim(&word) {
            "immediately" if word == "immediately" => Self::Immediately,
            "" | "immediately" => Self::Unnamed,
            "once" => Self::Once,
            "every_5_minutes" => Self::Every(5 * MINUTE),
            "every_10_minutes" => Self::Every(10 * MINUTE),
            "every_15_minutes" => Self::Every(15 * MINUTE),
            "every_30_minutes" => Self::Every(30 * MINUTE),
            "every_hour" => Self::Every(3_600),
            "daily" => Self::Every(86_400),
            "weekly" => Self::Every(604_800),
            "monthly" => Self::Monthly,
            "yearly" => Self::Yearly,
            _ => Self::Unknown,
        }
    }

    /// Whether the job runs again and again.
    pub fn recurs(self) -> bool {
        matches!(self, Self::Every(_) | Self::Monthly | Self::Yearly)
    }

    /// The first of `first` and the occurrences after it that is not before `earliest`.
    fn roll(self, first: i64, earliest: i64) -> Option<i64> {
        match self {
            Self::Every(_) if first >= earliest => Some(first),
            Self::Every(period) => {
                let behind = earliest.checked_sub(first)?;
                let steps = behind.div_euclid(period) + i64::from(behind.rem_euclid(period) != 0);
                first.checked_add(steps.checked_mul(period)?)
            }
            Self::Monthly | Self::Yearly => {
                let mut candidate = Minute::of(first)?;
                let earliest = Minute::of(earliest)?;
                while candidate < earliest {
                    candidate = self.calendar_step(candidate)?;
                }
                candidate.seconds()
            }
            Self::Immediately | Self::Unnamed | Self::Once | Self::Unknown => None,
        }
    }

    /// The occurrence after `occurrence`.
    fn step(self, occurrence: i64) -> Option<i64> {
        match self {
            Self::Every(period) => occurrence.checked_add(period),
            Self::Monthly | Self::Yearly => self.calendar_step(Minute::of(occurrence)?)?.seconds(),
            Self::Immediately | Self::Unnamed | Self::Once | Self::Unknown => None,
        }
    }

    /// Steps start from the clamped day, so the 31st drifts to the 28th and stays there.
    fn calendar_step(self, minute: Minute) -> Option<Minute> {
        match self {
            Self::Yearly => minute.next_year(),
            _ => minute.next_month(),
        }
    }
}

/// A job's schedule as stored: its word, its start, and the latest occurrence that has runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// How often.
    pub recurrence: Recurrence,
    /// The start, in seconds; 0 counts as none.
    pub start: Option<i64>,
    /// The latest occurrence, in seconds; 0 counts as none.
    pub last: Option<i64>,
}

/// Down to the whole minute.
pub fn minute_of(seconds: i64) -> i64 {
    seconds.div_euclid(MINUTE).saturating_mul(MINUTE)
}

fn present(seconds: Option<i64>) -> Option<i64> {
    seconds.map(minute_of).filter(|minute| *minute != 0)
}

impl Schedule {
    /// When the job runs next, as operators see it. Never before the present minute, but for a `once` whose start
    /// has passed.
    pub fn next_run(&self, now: i64) -> Option<i64> {
        let now = minute_of(now);
        let (start, last) = (present(self.start), present(self.last));
        match (self.recurrence, last) {
            (Recurrence::Immediately | Recurrence::Unnamed, None) => Some(now),
            (Recurrence::Once, None) => start,
            (recurrence, last) if recurrence.recurs() => {
                let start = start?;
                let first = match last {
                    Some(last) => recurrence.step(last)?,
                    None => start,
                };
                recurrence.roll(first, now)
            }
            _ => None,
        }
    }

    /// The occurrence that is due at `now` and follows the latest one: not in the future, not later than
    /// [`LATENESS`], and the youngest where several are. `created` is when the job was made: an `immediately` job's
    /// occurrence.
    pub fn due(&self, created: Option<i64>, now: i64) -> Option<i64> {
        let minute = minute_of(now);
        let earliest = minute.checked_sub(LATENESS)?;
        if self.recurrence.recurs() {
            let start = present(self.start)?;
            let first = match present(self.last) {
                Some(last) => self.recurrence.step(last)?,
                None => start,
            };
            let mut due = self
                .recurrence
                .roll(first, earliest)
                .filter(|one| *one <= minute)?;
            while let Some(next) = self.recurrence.step(due).filter(|next| *next <= minute) {
                due = next;
            }
            return Some(due);
        }
        if present(self.last).is_some() {
            return None;
        }
        let occurrence = match self.recurrence {
            Recurrence::Immediately => created.map_or(minute, minute_of),
            Recurrence::Unnamed => self.start.filter(|start| *start != 0).map_or(minute, minute_of),
            _ => present(self.start)?,
        };
        (earliest..=minute).contains(&occurrence).then_some(occurrence)
    }

    /// Whether the occurrence `last` may still be worked on at `now`: a recurring job leaves it once the one after it
    /// has come due.
    pub fn still_open(&self, now: i64) -> bool {
        match (present(self.last), present(self.start)) {
            (Some(last), Some(_)) if self.recurrence.recurs() => self
                .recurrence
                .step(last)
                .is_none_or(|next| next > minute_of(now)),
            _ => true,
        }
    }
}

/// Seconds of an expiration such as `30m`, `2h`, `1d` or a bare number of minutes; `None` for anything else, which
/// never expires. A single bare digit, signed or not, is not read, as in the legacy (SCH-19).
pub fn expiration_seconds(text: &str) -> Option<i64> {
    let text = python_trim(text).to_lowercase();
    let last = text.chars().next_back()?;
    // The legacy reads this part first, whatever stands behind it.
    let before = integer_in(text.strip_suffix(last)?)?;
    let (number, unit) = match last {
        'm' => (before, MINUTE),
        'h' => (before, 3_600),
        'd' => (before, 86_400),
        _ => (integer_in(&text)?, MINUTE),
    };
    i64::try_from(number).ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests;
