//! When a client is pinged, and when it counts as gone.
//!
//! A pong waits behind whatever is on its way, in either direction: a client that sends a large message answers after
//! it, and one that still receives a large event has not seen the ping. So a client also counts as alive while data
//! moves at [`Settings::slowest_transfer`] or faster. Every byte that moves accounts for a moment of its client's silence,
//! the moment that it takes at that speed, and a client is gone once it has been silent for [`Settings::ping_timeout`]
//! beyond that. So a trickle helps nobody, and bursts, which full buffers make of a steady flow, do no harm.
//!
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::connection::Connection;
use crate::{environment::Clock, settings::Settings};

/// Bytes that may be on their way to a client after they were written: what the kernels' and a proxy's buffers hold.
const ON_THE_WAY: u64 = 2_000_000;
/// How many times the timeout a client may be kept from being heard, because the server has not handled yet what it
/// sent before.
const MOST_BACKLOG: u32 = 30;

/// The silence of one client, and what accounts for it.
#[derive(Debug)]
pub(super) struct Heartbeat {
    clock: Arc<dyn Clock>,
    /// When the connection began.
    began: Duration,
    ping_interval: Duration,
    ping_timeout: Duration,
    slowest_transfer: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A ping is not answered yet.
    waiting: bool,
    /// How much later than it was due this ping was sent.
    late: Duration,
    /// Until then the silence is accounted for.
    excused_until: Duration,
    /// Bytes sent since the last ping: its answer says nothing about them.
    sent: u64,
    /// Bytes that have come, in all.
    received: u64,
    /// What the client sent and the server does not get on with.
    backlogs: u32,
    backlog_since: Duration,
    /// How long backlogs may still excuse the client.
    backlog_left: Duration,
}

impl Heartbeat {
    /// Of a connection that begins now.
    pub(super) fn new(clock: Arc<dyn Clock>, settings: &Settings) -> Self {
        Self {
            began: clock.monotonic(),
            clock,
            ping_interval: settings.ping_interval,
            ping_timeout: settings.ping_timeout,
            slowest_transfer: settings.slowest_transfer,
            state: Mutex::default(),
        }
    }

    /// Completes after so long.
    pub(super) async fn sleep(&self, time: Duration) {
        self.clock.sleep_until(self.clock.monotonic() + time).await;
    }

    /// Completes once less has come within so long than comes at the slowest speed.
    pub(super) async fn stops_receiving(&self, time: Duration) {
        loop {
            let before = self.state().received;
            self.sleep(time).await;
            let came = self.state().received.saturating_sub(before);
            if self.time_for(came) < time {
                return;
            }
        }
    }

    /// Pings the client until it is gone.
    pub(super) async fn watch(&self, connection: &Connection) {
        let mut rests_since = self.began;
        loop {
            let due = rests_since + self.ping_interval;
            self.clock.sleep_until(due).await;
            let number = connection.ping();
            self.expect_pong(due);
            loop {
                // Made before the count is read, so that no pong is missed in between.
                let ponged = connection.ponged();
                if connection.pongs() >= number {
                    break;
                }
                let now = self.clock.monotonic();
                let Some(due) = self.due(now) else {
                    return;
                };
                tokio::select! {
                    () = ponged => {}
                    () = self.clock.sleep_until(due) => {}
                }
            }
            rests_since = self.clock.monotonic();
            self.note_pong(rests_since);
        }
    }

    /// So many bytes came from the client.
    pub(super) fn note_received(&self, bytes: usize) {
        let now = self.clock.monotonic();
        let time = self.time_for(bytes as u64);
        let mut state = self.state();
        state.received = state.received.saturating_add(bytes as u64);
        if state.waiting {
            let excused = (state.excused_until + time).min(now);
            state.excused_until = state.excused_until.max(excused);
        }
    }

    /// So many bytes are on their way to the client.
    pub(super) fn note_sent(&self, bytes: usize) {
        let now = self.clock.monotonic();
        let time = self.time_for(bytes as u64);
        let mut state = self.state();
        state.sent = state.sent.saturating_add(bytes as u64);
        let from = if state.waiting {
            state.excused_until
        } else {
            state.excused_until.max(now)
        };
        let excused = (from + time).min(now + self.time_for(ON_THE_WAY));
        state.excused_until = state.excused_until.max(excused);
    }

    /// The server has not handled what the client sent, for as long as this is kept; the client is not to blame.
    pub(super) fn backlog(&self) -> Backlog<'_> {
        self.begin_backlog();
        Backlog { heartbeat: self }
    }

    /// Such a backlog begins; whoever says so says its end, too.
    pub(super) fn begin_backlog(&self) {
        let mut state = self.state();
        if state.backlogs == 0 {
            state.backlog_since = self.clock.monotonic();
        }
        state.backlogs += 1;
    }

    /// One of them ends.
    pub(super) fn end_backlog(&self) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        let lasted = state.backlog(now);
        state.backlogs = state.backlogs.saturating_sub(1);
        if state.backlogs == 0 && state.waiting {
            state.excused_until += lasted;
            state.backlog_left -= lasted;
        }
    }

    /// A ping was sent that was `due` at this time.
    fn expect_pong(&self, due: Duration) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.waiting = true;
        state.late = now.saturating_sub(due);
        state.excused_until = state.excused_until.max(now);
        state.sent = 0;
        state.backlog_since = now;
        state.backlog_left = self.ping_timeout * MOST_BACKLOG;
    }

    fn note_pong(&self, now: Duration) {
        let mut state = self.state();
        state.waiting = false;
        let on_the_way = now + self.time_for(state.sent.min(ON_THE_WAY));
        state.excused_until = state.excused_until.min(on_the_way);
    }

    /// Whether the client is gone, whether or not anybody has looked since. Timers wake a little late, and a client that
    /// polls knows when its ping was due: what the server was late by is not added to its time.
    pub(super) fn is_overdue(&self) -> bool {
        let (is_waiting, late) = {
            let state = self.state();
            (state.waiting, state.late)
        };
        is_waiting && self.due(self.clock.monotonic() + late).is_none()
    }

    /// When to look again whether the client is gone; `None` where it is.
    fn due(&self, now: Duration) -> Option<Duration> {
        let state = self.state();
        let limit = state.excused_until + state.backlog(now) + self.ping_timeout;
        if now >= limit {
            None
        } else if state.backlogs > 0 {
            // The limit moves along.
            Some(limit.max(now + self.ping_timeout / 8))
        } else {
            Some(limit)
        }
    }

    /// How long so many bytes take at the slowest speed.
    fn time_for(&self, bytes: u64) -> Duration {
        let speed = self.slowest_transfer.max(1);
        Duration::from_millis(bytes.saturating_mul(1000) / speed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long the present backlog excuses the client.
    fn backlog(&self, now: Duration) -> Duration {
        if self.backlogs == 0 {
            return Duration::ZERO;
        }
        now.saturating_sub(self.backlog_since).min(self.backlog_left)
    }
}

/// Excuses a client while the server does not get on with what it sent.
#[derive(Debug)]
pub(super) struct Backlog<'a> {
    heartbeat: &'a Heartbeat,
}

impl Drop for Backlog<'_> {
    fn drop(&mut self) {
        self.heartbeat.end_backlog();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::BoxFuture;

    /// A clock that is set.
    #[derive(Debug, Default)]
    struct ManualClock(Mutex<Duration>);

    impl Clock for ManualClock {
        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep_until(&self, _deadline: Duration) -> BoxFuture<'_> {
            Box::pin(std::future::pending())
        }
    }

    struct Trial {
        clock: Arc<ManualClock>,
        heartbeat: Heartbeat,
    }

    impl Trial {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::default());
            let heartbeat = Heartbeat::new(clock.clone(), &Settings::default());
            Self { clock, heartbeat }
        }

        /// A client that was pinged 25 seconds after the start.
        fn pinged() -> Self {
            let trial = Self::new();
            trial.at(25);
            trial.heartbeat.expect_pong(trial.clock.monotonic());
            trial
        }

        fn at(&self, second: u64) {
            *self.clock.0.lock().unwrap() = Duration::from_secs(second);
        }

        fn is_gone(&self) -> bool {
            let is_gone = self.heartbeat.due(self.clock.monotonic()).is_none();
            assert_eq!(self.heartbeat.is_overdue(), is_gone);
            is_gone
        }

        /// Whether the client is still there in the second before this one, and gone in this one.
        fn is_gone_at(&self, second: u64) -> bool {
            self.at(second - 1);
            let before = self.is_gone();
            self.at(second);
            !before && self.is_gone()
        }
    }

    #[test]
    fn silence_ends_a_connection_after_the_timeout() {
        assert!(Trial::pinged().is_gone_at(45));
    }

    #[test]
    fn a_poll_comes_too_late_by_when_the_ping_was_due_and_not_by_when_a_timer_woke() {
        let trial = Trial::new();
        trial.at(27);
        trial.heartbeat.expect_pong(Duration::from_secs(25));
        for (second, overdue) in [(44, false), (45, true)] {
            trial.at(second);
            assert_eq!(trial.heartbeat.is_overdue(), overdue, "{second}");
        }
        // Whoever does not ask has all of its time.
        for (second, gone) in [(46, false), (47, true)] {
            trial.at(second);
            let due = trial.heartbeat.due(trial.clock.monotonic());
            assert_eq!(due.is_none(), gone, "{second}");
        }
    }

    #[test]
    fn an_upload_counts_while_it_moves_at_the_slowest_speed() {
        for (speed, end) in [(10_000, 120), (15_000, 120), (5_000, 64), (100, 46)] {
            let trial = Trial::pinged();
            let mut gone = None;
            for second in 26..=100 {
                trial.at(second);
                gone = gone.or_else(|| trial.is_gone().then_some(second));
                trial.heartbeat.note_received(speed);
            }
            // It stopped at second 100.
            match gone {
                None => assert!(trial.is_gone_at(end), "{speed}"),
                Some(second) => assert_eq!(second, end, "{speed}"),
            }
        }
    }

    #[test]
    fn an_upload_that_came_at_once_excuses_nothing_later() {
        let trial = Trial::pinged();
        trial.at(30);
        trial.heartbeat.note_received(100_000_000);
        assert!(trial.is_gone_at(50));
    }

    #[test]
    fn what_is_on_its_way_may_take_its_time() {
        // A client that takes 15 kB/s of 20 MB, through buffers that the server sees emptied once a minute.
        let trial = Trial::pinged();
        for minute in 0..20 {
            trial.heartbeat.note_sent(900_000);
            trial.at(25 + 60 * (minute + 1));
            assert!(!trial.is_gone(), "{minute}");
        }
        // Then the last of it is in the buffers, and the ping behind it.
        assert!(!trial.is_gone());
        let trial = Trial::pinged();
        // However much was written, no more than the buffers hold is on its way.
        trial.heartbeat.note_sent(100_000_000);
        assert!(trial.is_gone_at(25 + 200 + 20));
    }

    #[test]
    fn what_was_sent_before_a_ping_that_is_answered_has_arrived() {
        let trial = Trial::pinged();
        trial.heartbeat.note_pong(trial.clock.monotonic());
        trial.heartbeat.note_sent(1_000_000);
        trial.at(50);
        trial.heartbeat.expect_pong(trial.clock.monotonic());
        trial.heartbeat.note_sent(10_000);
        trial.at(51);
        trial.heartbeat.note_pong(trial.clock.monotonic());
        trial.at(76);
        trial.heartbeat.expect_pong(trial.clock.monotonic());
        assert!(trial.is_gone_at(96));
    }

    #[test]
    fn a_backlog_excuses_for_a_while() {
        let trial = Trial::pinged();
        let backlog = trial.heartbeat.backlog();
        trial.at(300);
        assert!(!trial.is_gone());
        drop(backlog);
        assert!(trial.is_gone_at(320));
        let trial = Trial::pinged();
        let _backlog = trial.heartbeat.backlog();
        assert!(trial.is_gone_at(25 + 20 + 600));
    }
}
