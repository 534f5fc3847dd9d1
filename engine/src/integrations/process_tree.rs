//! Ends a process with everything that it started.

/// Kills the process group that `leader` leads, and on Linux every process that descends from it: Ansible's workers
/// make sessions of their own, so its group alone would leave them, and what they started, at work. Whoever calls this
/// has not reaped the leader yet, so its number is nobody else's.
pub(super) fn kill_tree(leader: u32) {
    #[cfg(unix)]
    unix::kill_tree(leader);
    #[cfg(not(unix))]
    let _ = leader;
}

/// Kills every process whose number is meant, and everything that descends from one, where the system lists processes as
/// Linux does; how many there were. A process is never meant by itself.
pub(super) fn kill_every(is_meant: impl Fn(u32) -> bool) -> usize {
    #[cfg(unix)]
    return unix::kill_every(is_meant);
    #[cfg(not(unix))]
    {
        let _ = is_meant;
        0
    }
}

#[cfg(unix)]
mod unix {
    use std::collections::BTreeSet;

    use rustix::process::{Pid, Signal, kill_process, kill_process_group};

    /// Looks that are taken for processes that were started meanwhile.
    const MOST_LOOKS: usize = 16;

    /// A process, with its parent, group and session.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    struct Process {
        id: i32,
        parent: i32,
        group: i32,
        session: i32,
    }

    pub(super) fn kill_tree(leader: u32) {
        let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) else {
            return;
        };
        // They are halted first, so that none starts another one while the others are killed.
        let mut halted = BTreeSet::new();
        for _ in 0..MOST_LOOKS {
            let mut tree = descendants(leader.as_raw_nonzero().get(), &processes());
            tree.retain(|id| halted.insert(*id));
            if tree.is_empty() {
                break;
            }
            signal(&tree, Signal::STOP);
        }
        // Errors say that it has ended already.
        let _ = kill_process_group(leader, Signal::KILL);
        signal(&halted, Signal::KILL);
    }

    pub(super) fn kill_every(is_meant: impl Fn(u32) -> bool) -> usize {
        let own = std::process::id();
        let is_meant = |id: i32| u32::try_from(id).is_ok_and(|id| id != own && is_meant(id));
        let mut halted = BTreeSet::new();
        for _ in 0..MOST_LOOKS {
            let all = processes();
            let meant = all.iter().filter(|process| is_meant(process.id));
            let mut trees: BTreeSet<i32> = meant.flat_map(|process| descendants(process.id, &all)).collect();
            trees.retain(|id| halted.insert(*id));
            if trees.is_empty() {
                break;
            }
            signal(&trees, Signal::STOP);
        }
        signal(&halted, Signal::KILL);
        halted.len()
    }

    fn signal(ids: &BTreeSet<i32>, signal: Signal) {
        for id in ids.iter().filter_map(|id| Pid::from_raw(*id)) {
            let _ = kill_process(id, signal);
        }
    }

    /// The leader, and what belongs to it by birth, group or session.
    fn descendants(leader: i32, processes: &[Process]) -> BTreeSet<i32> {
        let mut tree = BTreeSet::from([leader]);
        loop {
            let before = tree.len();
            for process in processes {
                let owners = [process.parent, process.group, process.session];
                if owners.iter().any(|owner| tree.contains(owner)) {
                    tree.insert(process.id);
                }
            }
            if tree.len() == before {
                return tree;
            }
        }
    }

    /// Every process of the machine; none where there is no `/proc`.
    fn processes() -> Vec<Process> {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                let id = entry.file_name().to_str()?.parse().ok()?;
                read(id, &std::fs::read_to_string(entry.path().join("stat")).ok()?)
            })
            .collect()
    }

    /// Reads `/proc/<id>/stat`. The program's name, in parentheses, may hold anything.
    fn read(id: i32, stat: &str) -> Option<Process> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut numbers = rest.split_ascii_whitespace().skip(1).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Process {
            id,
            parent: next()?,
            group: next()?,
            session: next()?,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_with_parentheses_is_no_riddle() {
            let process = read(7, "7 (a) b) (c)) S 1 2 3 4 5").unwrap();
            let expected = Process {
                id: 7,
                parent: 1,
                group: 2,
                session: 3,
            };
            assert_eq!(process, expected);
            assert_eq!(read(7, "7 (a) S 1"), None);
        }

        #[test]
        fn whoever_belongs_to_the_tree_in_any_way_is_found_and_nobody_else() {
            let process = |id, parent, group, session| Process {
                id,
                parent,
                group,
                session,
            };
            let processes = [
                process(1, 0, 1, 1),
                process(5, 1, 5, 5),     // the server
                process(10, 5, 10, 5),   // the leader
                process(11, 10, 10, 5),  // its child
                process(12, 11, 12, 12), // a worker with a session of its own
                process(13, 12, 13, 12),
                process(14, 1, 14, 12), // its parent has ended
                process(20, 5, 20, 5),  // another child of the server
            ];
            assert_eq!(descendants(10, &processes), BTreeSet::from([10, 11, 12, 13, 14]));
        }
    }
}
