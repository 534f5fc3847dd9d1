//! Short questions that come by the thousand. A statement is two wake-ups of threads whatever it asks, so what waits while
//! another is answered is asked in the next one together.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

use tokio::sync::{Semaphore, oneshot};

use crate::repositories::StoreError;

/// Questions of one kind.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    waiting: Mutex<Vec<Waiting<Q, A>>>,
    turns: Semaphore,
}

#[derive(Debug)]
struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turns: Semaphore::new(1),
        }
    }
}

impl<Q: Clone, A> Together<Q, A> {
    /// The answer to this question. `all` answers those that wait, each in its place.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn ask<F>(&self, question: Q, all: impl Fn(Vec<Q>) -> F) -> Result<A, StoreError>
    where
        F: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>>,
    {
        loop {
            let mut answer = self.add(question.clone());
            tokio::select! {
                biased;
                answer = &mut answer => match answer {
                    Ok(answer) => return answer,
                    // Who asked for all failed or has gone: this one asks for itself.
                    Err(_) => continue,
                },
                turn = self.turns.acquire() => {
                    let _turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
                    let (questions, asking): (Vec<_>, Vec<_>) =
                        self.take().into_iter().map(|one| (one.question, one.answer)).unzip();
                    if !questions.is_empty() {
                        for (asking, answer) in asking.into_iter().zip(all(questions).await?) {
                            // Whoever has gone needs no answer.
                            let _ = asking.send(answer);
                        }
                    }
                }
            }
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
    }

    fn add(&self, question: Q) -> oneshot::Receiver<Result<A, StoreError>> {
        let (answer, waiting) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Waiting { question, answer });
        waiting
    }

    fn take(&self) -> Vec<Waiting<Q, A>> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_asked_together_and_a_failure_is_only_the_asker_s() {
        let together = Arc::new(Together::<usize, usize>::default());
        let statements = Arc::new(AtomicUsize::new(0));
        let mut asking = JoinSet::new();
        for number in 0..50 {
            let (together, statements) = (Arc::clone(&together), Arc::clone(&statements));
            asking.spawn(async move {
                let all = |numbers: Vec<usize>| async {
                    let statement = statements.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    if statement == 1 {
                        return Err(StoreError::Busy);
                    }
                    Ok(numbers.into_iter().map(|number| Ok(number * 2)).collect())
                };
                (number, together.ask(number, all).await)
            });
        }
        let mut failed = 0;
        while let Some(asked) = asking.join_next().await {
            match asked.unwrap() {
                (number, Ok(answer)) => assert_eq!(answer, number * 2),
                (_, Err(_)) => failed += 1,
            }
        }
        assert_eq!(failed, 1);
        assert!(statements.load(Ordering::Relaxed) < 10);
    }

    #[tokio::test]
    async fn who_goes_away_while_asking_for_all_leaves_nobody_without_an_answer() {
        let together = Arc::new(Together::<usize, usize>::default());
        let stuck = {
            let together = Arc::clone(&together);
            tokio::spawn(async move { together.ask(1, |_| std::future::pending()).await })
        };
        tokio::task::yield_now().await;
        let waiting = {
            let together = Arc::clone(&together);
            let all = |numbers: Vec<usize>| async { Ok(numbers.into_iter().map(Ok).collect()) };
            tokio::spawn(async move { together.ask(2, all).await })
        };
        tokio::task::yield_now().await;
        stuck.abort();
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
    }
}
