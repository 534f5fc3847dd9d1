//! Whatever happens in whatever order: nothing is sent three times, nothing is sent after it arrived, and in the end
//! nothing runs on.

use std::collections::{HashMap, HashSet};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    SCRIPT,
    story::{Death, M, Story},
};
use crate::{
    domain::json::Json,
    services::scheduler::channel::Receipt,
    testkit::stores::{BACKENDS, Backend},
};

const DAY: i64 = 86_400;

#[derive(Clone, Debug)]
enum Step {
    Connect(bool),
    /// What the next receipts say.
    Receipts(Vec<Receipt>),
    QuickRun,
    Job,
    /// Time passes, and everything is looked at.
    Pass(i64),
    /// The server dies at its next send.
    Die(Death),
    Restart,
    /// The result of the activity that was sent last.
    Result,
    DeleteJobs,
}

fn step() -> impl Strategy<Value = Step> {
    let receipt = select(vec![Receipt::Delivered, Receipt::Unknown, Receipt::Unknown]);
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Connect),
        2 => vec(receipt, 1..3).prop_map(Step::Receipts),
        2 => Just(Step::QuickRun),
        1 => Just(Step::Job),
        5 => select(vec![15, 60, 60, 120, 600]).prop_map(Step::Pass),
        3 => select(vec![Death::Uncounted, Death::Counted, Death::Sent]).prop_map(Step::Die),
        2 => Just(Step::Restart),
        1 => Just(Step::Result),
        1 => Just(Step::DeleteJobs),
    ]
}

/// What is known of the work that was sent.
#[derive(Default)]
struct Known {
    sends: HashMap<i64, usize>,
    /// Work that has certainly arrived.
    arrived: HashSet<i64>,
    last: Option<i64>,
}

impl Known {
    /// Takes note of what was sent. `confirmed` where every receipt said that it arrived.
    fn note(&mut self, story: &Story, confirmed: bool) {
        for (_, _, payload) in story.wire.sent() {
            let id = payload.get("job_id").and_then(Json::as_int).unwrap();
            let sends = self.sends.entry(id).or_default();
            *sends += 1;
            assert!(*sends <= 2, "activity {id} was sent {sends} times");
            assert!(
                !self.arrived.contains(&id),
                "activity {id} was sent after it had arrived"
            );
            if confirmed {
                self.arrived.insert(id);
            }
            self.last = Some(id);
        }
    }
}

async fn play(backend: Backend, steps: Vec<Step>) {
    let mut story = Story::over(backend).await;
    let mut known = Known::default();
    let mut now = M;
    for step in steps {
        match step {
            Step::Connect(there) => story.wire.connect(if there { &["A"] } else { &[] }),
            Step::Receipts(receipts) => *story.wire.receipts.lock().unwrap() = receipts,
            Step::QuickRun => {
                let confirmed = story.wire.receipts.lock().unwrap().is_empty();
                let body = Json::object([
                    ("script_path", "Scripts/hello.ps1".into()),
                    ("hostnames", Json::list(["A"])),
                ]);
                story.quick_run(body).await;
                known.note(&story, confirmed);
            }
            Step::Job => {
                let created = now.to_string();
                story.job(SCRIPT, r#"["A"]"#, &[("created_at", &created)]).await;
            }
            Step::Pass(time) => {
                now += time;
                let confirmed = story.wire.receipts.lock().unwrap().is_empty();
                story.look(now).await;
                story.tick(now).await;
                known.note(&story, confirmed);
            }
            Step::Die(death) => {
                now += 60;
                story.tick_and_die(now, death).await;
                known.note(&story, false);
            }
            Step::Restart => story.restart().await,
            Step::Result => {
                if let Some(id) = known.last {
                    let statement = format!(
                        "UPDATE activity_history SET status = 'Success' WHERE id = {id}; \
                         DELETE FROM engine_undelivered_work WHERE activity_id = {id}"
                    );
                    story.sql(&statement).await;
                    known.arrived.insert(id);
                }
            }
            Step::DeleteJobs => story.sql("DELETE FROM scheduled_jobs").await,
        }
    }
    // Long after.
    for day in [0, 11, 12] {
        story.look(now + 600 + day * DAY).await;
        story.tick(now + 600 + day * DAY).await;
        known.note(&story, false);
    }
    for table in [
        "SELECT id || '' FROM activity_history WHERE status = 'Running'",
        "SELECT id || '' FROM scheduled_job_runs WHERE status = 'Running'",
        "SELECT activity_id || '' FROM engine_undelivered_work",
    ] {
        assert_eq!(story.column(table).await, [""; 0], "{table}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_sends_thrice_or_leaves_anything_running(backend in select(BACKENDS.to_vec()), steps in vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(backend, steps));
    }
}
