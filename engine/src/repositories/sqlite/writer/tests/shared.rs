//! Brief changes in one transaction.

use std::{pin::Pin, sync::atomic::AtomicUsize};

use proptest::{collection::vec, prelude::*};

use super::*;

type Change = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A table into which nothing can be written: a statement that tries fails alone, or ends the whole transaction.
const REFUSING: &str = "CREATE TABLE refusing (x TEXT); \
    CREATE TRIGGER alone BEFORE INSERT ON refusing WHEN NEW.x = 'alone' BEGIN SELECT RAISE(ABORT, 'no'); END; \
    CREATE TRIGGER whole BEFORE INSERT ON refusing WHEN NEW.x = 'whole' BEGIN SELECT RAISE(ROLLBACK, 'no'); END;";
const FAIL_ALONE: &str = "INSERT INTO refusing VALUES ('alone')";
const END_THE_TRANSACTION: &str = "INSERT INTO refusing VALUES ('whole')";

impl Place {
    /// How many transactions are committed from now on; with `refused`, none can be.
    async fn commits(&self, refused: bool) -> Arc<AtomicUsize> {
        let commits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commits);
        let mut turn = self.writer.turn().await.unwrap();
        turn.connection()
            .lock_handle()
            .await
            .unwrap()
            .set_commit_hook(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                !refused
            });
        commits
    }

    /// A change of `rows` rows with this number, begun and ended as its kind is.
    fn change(&self, number: usize, kind: Kind) -> Change {
        let writer = self.writer.clone();
        match kind {
            Kind::Single => Box::pin(async move {
                let row = || sqlx::query("INSERT INTO t VALUES ($1)").bind(number.to_string());
                writer.change(row).await.map(drop)
            }),
            Kind::Alone | Kind::Brief | Kind::Abandoned => Box::pin(async move {
                let mut turn = match kind {
                    Kind::Alone => writer.begin().await?,
                    _ => writer.begin_brief().await?,
                };
                for _ in 0..kind.rows() {
                    sqlx::query("INSERT INTO t VALUES ($1)")
                        .bind(number.to_string())
                        .execute(turn.statements())
                        .await?;
                }
                match kind {
                    Kind::Abandoned => Err(StoreError::Busy),
                    _ => turn.commit().await,
                }
            }),
            Kind::FailedSingle(sql) => {
                Box::pin(async move { writer.change(|| sqlx::query(sql)).await.map(drop) })
            }
            Kind::Failed(sql) => Box::pin(async move {
                let mut turn = writer.begin_brief().await?;
                sqlx::query("INSERT INTO t VALUES ($1)")
                    .bind(number.to_string())
                    .execute(turn.statements())
                    .await?;
                sqlx::query(sql).execute(turn.statements()).await?;
                turn.commit().await
            }),
        }
    }

    /// Lets all of them wait for the same turn, in this order, and gives what comes of each.
    async fn together(&self, changes: Vec<Change>) -> Vec<Result<(), StoreError>> {
        let turn = self.writer.turn().await.unwrap();
        let mut waiting = Vec::new();
        for mut change in changes {
            // Asked by hand: on a thread of its own it might count as asking before it stands in line.
            poll_fn(|context| {
                assert!(change.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            waiting.push(tokio::spawn(change));
            assert_eq!(self.writer.0.asking.load(Ordering::Relaxed), waiting.len());
        }
        drop(turn);
        let mut outcomes = Vec::new();
        for change in waiting {
            outcomes.push(change.await.unwrap());
        }
        outcomes
    }

    async fn together_of(&self, kinds: &[Kind]) -> Vec<Result<(), StoreError>> {
        let changes = kinds.iter().enumerate();
        self.together(changes.map(|(number, kind)| self.change(number, *kind)).collect())
            .await
    }

    /// The numbers of the rows, in the order in which they were written.
    async fn numbers(&self) -> Vec<usize> {
        let numbers: Vec<String> = sqlx::query_scalar("SELECT x FROM t ORDER BY rowid")
            .fetch_all(&mut self.another().await)
            .await
            .unwrap();
        numbers.iter().map(|number| number.parse().unwrap()).collect()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Alone,
    Brief,
    Single,
    /// Left when it has written.
    Abandoned,
    /// Has written when this statement fails.
    Failed(&'static str),
    FailedSingle(&'static str),
}

impl Kind {
    /// How many rows are there when it has succeeded.
    fn rows(self) -> usize {
        match self {
            Self::Alone | Self::Brief | Self::Abandoned => 2,
            Self::Single => 1,
            Self::Failed(_) | Self::FailedSingle(_) => 0,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brief_changes_that_wait_at_the_same_moment_are_committed_together() {
    let place = Place::new().await;
    let commits = place.commits(false).await;
    for outcome in place.together_of(&[Kind::Brief, Kind::Single].repeat(20)).await {
        outcome.unwrap();
    }
    assert_eq!(place.rows().await, 60);
    assert_eq!(commits.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_has_more_changes_than_the_bound_and_none_goes_on_for_ever() {
    let place = Place::new().await;
    let commits = place.commits(false).await;
    for outcome in place.together_of(&[Kind::Single].repeat(group::MOST + 10)).await {
        outcome.unwrap();
    }
    assert_eq!(commits.load(Ordering::Relaxed), 2);
    // Where no time may pass, nobody goes on in another's.
    let place = Place::with(DEADLINE, Duration::ZERO).await;
    let commits = place.commits(false).await;
    for outcome in place.together_of(&[Kind::Brief, Kind::Single].repeat(5)).await {
        outcome.unwrap();
    }
    assert_eq!(commits.load(Ordering::Relaxed), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_come_in_the_order_of_asking_and_a_long_change_is_not_shared() {
    let place = Place::new().await;
    let commits = place.commits(false).await;
    let kinds = [Kind::Brief, Kind::Single, Kind::Alone, Kind::Single, Kind::Brief];
    for outcome in place.together_of(&kinds).await {
        outcome.unwrap();
    }
    assert_eq!(place.numbers().await, [0, 0, 1, 2, 2, 3, 4, 4]);
    assert_eq!(commits.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_or_goes_away_is_undone_alone() {
    let place = Place::new().await;
    place.write(REFUSING).await.unwrap();
    let commits = place.commits(false).await;
    let kinds = [
        Kind::Abandoned,
        Kind::Brief,
        Kind::Failed(FAIL_ALONE),
        Kind::Single,
        Kind::Abandoned,
        Kind::Single,
        Kind::Failed(FAIL_ALONE),
        Kind::Brief,
        Kind::Abandoned,
    ];
    let outcomes = place.together_of(&kinds).await;
    for (kind, outcome) in kinds.iter().zip(&outcomes) {
        let is_good = matches!(kind, Kind::Brief | Kind::Single);
        assert_eq!(outcome.is_ok(), is_good, "{kind:?} {outcome:?}");
    }
    assert_eq!(place.numbers().await, [1, 1, 3, 5, 7, 7]);
    assert_eq!(commits.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sqlite_ends_the_transaction_all_who_shared_it_are_told_and_the_next_ones_work() {
    for ending in [
        Kind::Failed(END_THE_TRANSACTION),
        Kind::FailedSingle(END_THE_TRANSACTION),
    ] {
        let place = Place::new().await;
        place.write(REFUSING).await.unwrap();
        let kinds = [Kind::Brief, Kind::Single, ending, Kind::Single, Kind::Brief];
        let outcomes = place.together_of(&kinds).await;
        let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(good, [false, false, false, true, true], "{ending:?} {outcomes:?}");
        for outcome in outcomes.into_iter().take(3) {
            assert_eq!(outcome.unwrap_err().database_message(), "no", "{ending:?}");
        }
        assert_eq!(place.numbers().await, [3, 4, 4], "{ending:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shared_a_transaction_that_a_full_disk_ended_is_told_that_the_disk_is_full() {
    for kind in [Kind::Failed(LARGE), Kind::FailedSingle(LARGE)] {
        let place = Place::new().await;
        place.fill_up().await;
        let outcomes = place
            .together_of(&[Kind::Brief, Kind::Failed(FAIL_ALONE), kind, Kind::Single])
            .await;
        // The failure of another before it is not the one that ended the transaction.
        for ended in [&outcomes[0], &outcomes[2]] {
            let error = ended.as_ref().unwrap_err();
            assert_eq!(Cause::of(error), Some(Cause::DiskFull), "{kind:?} {error}");
        }
        // Another connection, which has no limit.
        assert!(outcomes[3].is_ok(), "{kind:?} {outcomes:?}");
        assert_eq!(place.numbers().await, [3], "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_says_nothing_of_its_failure_gives_nobody_a_transaction_that_is_not_there() {
    let place = Place::new().await;
    place.write(REFUSING).await.unwrap();
    let writer = place.writer.clone();
    let silent: Change = Box::pin(async move {
        let mut turn = writer.begin_brief().await?;
        sqlx::query(END_THE_TRANSACTION)
            .execute(turn.statements())
            .await
            .unwrap_err();
        turn.commit().await
    });
    let changes = vec![
        place.change(0, Kind::Brief),
        silent,
        place.change(2, Kind::Single),
        place.change(3, Kind::Brief),
    ];
    let outcomes = place.together(changes).await;
    let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [false, false, true, true], "{outcomes:?}");
    assert_eq!(outcomes[0].as_ref().unwrap_err().database_message(), "no");
    assert_eq!(place.numbers().await, [2, 3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_fails_for_all_of_them() {
    let place = Place::new().await;
    place.commits(true).await;
    let outcomes = place.together_of(&[Kind::Brief, Kind::Single].repeat(3)).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Shared(_)), "{error:?}");
        assert!(error.database_message().contains("constraint"), "{error}");
    }
    assert_eq!(place.rows().await, 0);
}

#[tokio::test]
async fn what_is_done_is_committed_though_everybody_who_waits_for_it_goes_away() {
    let place = Place::new().await;
    // Once they are polled for their place.
    let mut polls = 1;
    loop {
        let before = place.rows().await;
        let turn = place.writer.turn().await.unwrap();
        let mut first = Box::pin(dropped_after(polls, place.brief(ROW)));
        let mut second = Box::pin(dropped_after(polls, place.single(ROW)));
        // Both ask before there is a turn.
        let asked = poll_fn(|context| {
            let _ = first.as_mut().poll(context);
            let _ = second.as_mut().poll(context);
            Poll::Ready(())
        });
        asked.await;
        drop(turn);
        let ended = tokio::join!(first, second);
        // Nobody asks for the turn that the commit needs: it comes by itself.
        place.write(ROW).await.unwrap();
        let after = place.rows().await;
        assert!((before + 1..=before + 3).contains(&after));
        if let (Some(first), Some(second)) = ended {
            first.unwrap();
            second.unwrap();
            assert_eq!(after, before + 3);
            break;
        }
        polls += 1;
    }
    assert!(polls > 1, "nothing was ever dropped half-way");
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Brief),
        3 => Just(Kind::Single),
        1 => Just(Kind::Alone),
        1 => Just(Kind::Abandoned),
        1 => Just(Kind::Failed(FAIL_ALONE)),
        1 => Just(Kind::Failed(END_THE_TRANSACTION)),
        1 => Just(Kind::FailedSingle(FAIL_ALONE)),
        1 => Just(Kind::FailedSingle(END_THE_TRANSACTION)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whoever is told that it is stored is stored, whoever is told that it is not is not, and whoever has gone is stored
    /// as a whole or not at all: what is there is what the same changes make one after the other.
    #[test]
    fn whatever_comes_together_is_as_if_it_came_one_after_the_other(
        changes in vec((any_kind(), proptest::option::weighted(0.3, 0_usize..12)), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let place = Place::new().await;
            place.write(REFUSING).await.unwrap();
            let mut tasks = Vec::new();
            for (number, (kind, polls)) in changes.iter().copied().enumerate() {
                let change = place.change(number, kind);
                tasks.push(tokio::spawn(dropped_after(polls.unwrap_or(usize::MAX), change)));
            }
            let mut outcomes = Vec::new();
            for task in tasks {
                outcomes.push(task.await.unwrap());
            }
            // Behind whatever was left open.
            drop(place.writer.turn().await.unwrap());
            let numbers = place.numbers().await;
            for (number, outcome) in outcomes.iter().enumerate() {
                let kind = changes[number].0;
                let rows = numbers.iter().filter(|other| **other == number).count();
                match outcome {
                    Some(Ok(())) => assert_eq!(rows, kind.rows(), "{kind:?}"),
                    Some(Err(error)) => assert_eq!(rows, 0, "{kind:?} {error}"),
                    None => assert!(rows == 0 || rows == kind.rows(), "{kind:?} {rows}"),
                }
            }
        });
    }
}
