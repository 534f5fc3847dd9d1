use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Read(usize, usize),
    Begin(usize),
    Finish(usize),
    Know(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_u8).prop_map(Step::Open),
        4 => (0..8_usize, 0..40_000_usize).prop_map(|(which, bytes)| Step::Read(which, bytes)),
        2 => (0..8_usize).prop_map(Step::Begin),
        2 => (0..8_usize).prop_map(Step::Finish),
        1 => (0..8_usize).prop_map(Step::Know),
        1 => (0..8_usize).prop_map(Step::Close),
    ]
}

/// What the totals should be, counted anew.
fn counted(connections: &Connections) -> (usize, usize, usize) {
    let open = lock(&connections.open);
    let idle = open.values().filter(|one| lock(&one.state).is_idle());
    idle.fold((0, 0, 0), |(silent, idle, bytes), one| {
        let state = lock(&one.state);
        let spoken = usize::from(state.has_spoken);
        (silent + 1 - spoken, idle + spoken, bytes + state.head_bytes)
    })
}

proptest! {
    #[test]
    fn the_totals_are_what_is_open_and_without_a_request(steps in prop::collection::vec(step(), 0..200)) {
        let connections = Arc::new(Connections {
            head_bytes: 100_000,
            idle: 3,
            silent: 5,
            files: None,
            write_deadline: Duration::ZERO,
            totals: Arc::default(),
            open: Mutex::default(),
        });
        let mut open: Vec<(Registered, Vec<InFlight>)> = Vec::new();
        for step in steps {
            let busy: Vec<_> = open
                .iter()
                .filter(|(_, requests)| !requests.is_empty())
                .map(|(one, _)| (Arc::clone(&one.connection), one.connection.has_ended()))
                .collect();
            match step {
                Step::Open(peer) => open.push((connections.open([127, 0, 0, peer].into(), None), Vec::new())),
                Step::Read(which, bytes) => {
                    if let Some((one, _)) = open.get(which) {
                        connections.note_head(&one.connection, bytes);
                    }
                }
                Step::Begin(which) => {
                    if let Some((one, requests)) = open.get_mut(which) {
                        requests.push(one.connection.begin());
                    }
                }
                Step::Finish(which) => {
                    if let Some((_, requests)) = open.get_mut(which) {
                        requests.pop();
                    }
                }
                Step::Know(which) => {
                    if let Some((one, requests)) = open.get(which)
                        && !requests.is_empty()
                    {
                        lock(&one.connection.state).is_authenticated = true;
                    }
                }
                Step::Close(which) => {
                    if which < open.len() {
                        // What runs for it may outlive it.
                        let (one, requests) = open.remove(which);
                        drop(one);
                        drop(requests);
                    }
                }
            }
            let totals = &connections.totals;
            let noted = (
                totals.silent.load(Ordering::Relaxed),
                totals.idle.load(Ordering::Relaxed),
                totals.head_bytes.load(Ordering::Relaxed),
            );
            prop_assert_eq!(noted, counted(&connections));
            for (one, had_ended) in busy {
                let is_open = lock(&connections.open).values().any(|other| Arc::ptr_eq(other, &one));
                prop_assert!(!is_open || one.has_ended() == had_ended, "a busy connection was ended");
            }
        }
    }
}

fn connections(idle: usize, silent: usize, files: Option<usize>) -> Arc<Connections> {
    Arc::new(Connections {
        head_bytes: 100_000,
        idle,
        silent,
        files,
        write_deadline: Duration::ZERO,
        totals: Arc::default(),
        open: Mutex::default(),
    })
}

#[test]
fn what_was_on_its_way_when_its_silence_was_too_long_is_heard() {
    let connections = connections(600, 2, None);
    let open: Vec<_> = (0..3)
        .map(|_| connections.open([127, 0, 0, 1].into(), None))
        .collect();
    let oldest = &open[0].connection;
    assert!(oldest.has_ended());
    connections.note_head(oldest, 100);
    assert!(!oldest.has_ended());
    assert_eq!(counted(&connections), (2, 1, 0));
}

#[test]
fn a_fleet_that_comes_back_is_not_evicted_and_silent_peers_leave_files_to_others() {
    assert_eq!(connections(600, 8192, Some(20_000)).most_silent(100), 8192);
    assert_eq!(connections(600, 8192, Some(20_000)).most_silent(17_000), 1500);
    assert_eq!(connections(600, 8192, Some(20_000)).most_silent(19_900), 600);
    assert_eq!(connections(600, 8192, None).most_silent(1_000_000), 8192);
    assert_eq!(connections(600, 8192, Some(20_000)).room(), 20_000 - OTHER_FILES);
    assert_eq!(connections(600, 8192, Some(100)).room(), LEAST_ROOM);
}
