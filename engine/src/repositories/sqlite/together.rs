//! Short questions that come by the thousand. A statement is two wake-ups of threads whatever it asks, so what waits while
//! another is answered is asked in the next one together.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{
    Semaphore,
    oneshot::{self, error::TryRecvError},
};

use crate::repositories::StoreError;

/// Questions that are asked at once: a fleet that comes back is more than one statement should hold.
const MOST: usize = 500;

/// Questions of one kind.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    waiting: Mutex<VecDeque<Waiting<Q, A>>>,
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
    /// The database failed for all that were asked with this one.
    pub(super) async fn ask<F>(&self, question: Q, all: impl Fn(Vec<Q>) -> F) -> Result<A, StoreError>
    where
        F: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>>,
    {
        loop {
            let mut answer = self.add(question.clone());
            tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(answered) => return answered,
                    // Who asked for all has gone: this one asks for itself.
                    Err(_) => continue,
                },
                turn = self.turns.acquire() => {
                    let _turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
                    let_others_come().await;
                    // Before this one there may wait more than are asked at once.
                    loop {
                        match answer.try_recv() {
                            Ok(answered) => return answered,
                            Err(TryRecvError::Empty) => self.answer_some(&all).await,
                            Err(TryRecvError::Closed) => break,
                        }
                    }
                }
            }
        }
    }

    /// Asks what has waited longest, and tells everybody who asked it.
    async fn answer_some<F>(&self, all: &impl Fn(Vec<Q>) -> F)
    where
        F: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>>,
    {
        let (questions, asking): (Vec<_>, Vec<_>) = self
            .take()
            .into_iter()
            .map(|one| (one.question, one.answer))
            .unzip();
        // Whoever has gone needs no answer.
        match all(questions).await {
            Ok(answers) => {
                for (asking, answer) in asking.into_iter().zip(answers) {
                    let _ = asking.send(answer);
                }
            }
            Err(error) => {
                // Each would otherwise wait for the database as long as this one did, one after the other.
                let error = Arc::new(error);
                for asking in asking {
                    let _ = asking.send(Err(StoreError::Shared(Arc::clone(&error))));
                }
            }
        }
    }

    fn add(&self, question: Q) -> oneshot::Receiver<Result<A, StoreError>> {
        let (answer, waiting) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(Waiting { question, answer });
        waiting
    }

    fn take(&self) -> Vec<Waiting<Q, A>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() <= MOST {
            return std::mem::take(&mut *waiting).into();
        }
        waiting.drain(..MOST).collect()
    }
}

/// Lets whoever is about to ask do so: requests that have come by now join, and nobody waits for any that has not.
pub(super) async fn let_others_come() {
    tokio::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_asked_together_and_those_who_were_asked_together_share_a_failure() {
        let together = Arc::new(Together::<usize, usize>::default());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut asking = JoinSet::new();
        for number in 0..2 * MOST {
            let (together, asked) = (Arc::clone(&together), Arc::clone(&asked));
            asking.spawn(async move {
                let all = |numbers: Vec<usize>| async {
                    let statement = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(numbers.len());
                        asked.len()
                    };
                    tokio::task::yield_now().await;
                    if statement == 2 {
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
                (_, Err(error)) => {
                    assert!(error.is_busy(), "{error}");
                    failed += 1;
                }
            }
        }
        let asked = asked.lock().unwrap();
        assert_eq!(asked.iter().sum::<usize>(), 2 * MOST, "each is asked once");
        assert!(
            asked.len() < 10 && asked.iter().all(|count| *count <= MOST),
            "{asked:?}"
        );
        assert_eq!(failed, asked[1]);
    }

    #[tokio::test]
    async fn the_first_one_asks_with_those_who_have_come_with_it() {
        let together = Arc::new(Together::<usize, usize>::default());
        let (told, asked) = std::sync::mpsc::channel();
        let mut asking = JoinSet::new();
        for number in 0..5 {
            let (together, told) = (Arc::clone(&together), told.clone());
            asking.spawn(async move {
                let all = |numbers: Vec<usize>| async {
                    told.send(numbers.len()).unwrap();
                    Ok(numbers.into_iter().map(Ok).collect())
                };
                together.ask(number, all).await.unwrap()
            });
        }
        asking.join_all().await;
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [5]);
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
