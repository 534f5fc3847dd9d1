//! Work that takes the processor for long, done beside the threads that serve: a text of fifty megabytes is read for as long
//! as thousands of short ones, and whoever is served by the same thread would wait for it.

use std::{sync::Arc, thread::available_parallelism};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};

/// Bytes from which on it takes long to read or write a text.
pub const LONG: usize = 64 * 1024;

/// Where long work takes turns: one processor fewer than there are is at it at a time.
#[derive(Clone, Debug)]
pub struct LongWork(Arc<Semaphore>);

impl Default for LongWork {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, |processors| processors.get());
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

impl LongWork {
    /// What `work` comes to. Where it is long it waits for its turn, and another thread serves whom this one has served.
    pub async fn run<T>(&self, is_long: bool, work: impl FnOnce() -> T) -> T {
        if !is_long {
            return work();
        }
        // Never closed; without a turn it would merely be done at once.
        let _turn = self.0.acquire().await;
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(work),
            // There is only this thread.
            _ => work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The runtime has one thread: work that was done on it would keep it from everything else for good.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_are_served_while_it_goes_on() {
        let (go_on, wait) = mpsc::channel();
        let long =
            tokio::spawn(async move { LongWork::default().run(true, move || wait.recv().unwrap()).await });
        let short = tokio::spawn(async move { go_on.send("done").unwrap() });
        short.await.unwrap();
        assert_eq!(long.await.unwrap(), "done");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_of_it_goes_on_than_may_and_short_work_does_not_wait() {
        let work = LongWork(Arc::new(Semaphore::new(1)));
        let (go_on, wait) = mpsc::channel();
        let first = {
            let work = work.clone();
            tokio::spawn(async move { work.run(true, move || wait.recv().unwrap()).await })
        };
        while work.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = work.run(true, || "second");
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(work.run(false, || "short").await, "short");
        go_on.send("first").unwrap();
        assert_eq!(second.await, "second");
        assert_eq!(first.await.unwrap(), "first");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_there() {
        assert_eq!(LongWork::default().run(true, || 7).await, 7);
    }
}
