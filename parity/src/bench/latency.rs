//! How long answers took.

use std::time::Duration;

use super::Figure;

/// The times of many answers.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Notes one answer.
    pub fn note(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// How many answers were noted.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes over what another part of the load has noted.
    pub fn merge(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The time that this share of the answers took at most; `None` without answers.
    pub fn quantile(&mut self, share: f64) -> Option<Duration> {
        self.0.sort_unstable();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among the answers of seconds"
        )]
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied()
    }

    /// Answers a second, the usual shares in milliseconds, and what an answer cost the server.
    pub fn figures(mut self, elapsed: Duration, processor_time: Duration) -> Vec<Figure> {
        #[allow(clippy::cast_precision_loss, reason = "a count of answers of seconds")]
        let answers = self.0.len() as f64;
        let mut figures = vec![
            Figure::new("answers", answers / elapsed.as_secs_f64(), "/s"),
            Figure::new(
                "processor time, each",
                processor_time.as_secs_f64() * 1e6 / answers,
                "us",
            ),
        ];
        for (name, share) in [("50 %", 0.5), ("99 %", 0.99), ("slowest", 1.0)] {
            if let Some(took) = self.quantile(share) {
                figures.push(Figure::new(name, took.as_secs_f64() * 1000.0, "ms"));
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_time_of_the_answer_at_that_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for milliseconds in (1..=100).rev() {
            latencies.note(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.quantile(0.5), Some(Duration::from_millis(50)));
        assert_eq!(latencies.quantile(0.99), Some(Duration::from_millis(99)));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(100)));
        assert_eq!(latencies.quantile(0.0), Some(Duration::from_millis(1)));
    }
}
