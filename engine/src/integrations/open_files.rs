//! The process's limit of open files, which is its limit of connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and says what it is now; `None` is no limit.
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where the system refuses, what there was stays.
    let _ = setrlimit(Resource::Nofile, raised);
    self::limit()
}

/// The soft limit of open files; `None` is no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
