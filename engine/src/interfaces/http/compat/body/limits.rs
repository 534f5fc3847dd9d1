//! How long bodies may be.

use crate::config::bounds::AnonymousBounds;

/// The longest body of all, in bytes.
pub const LONGEST: usize = 100 * 1024 * 1024;

/// How long a route's body may be.
pub trait BodyLimit: Send {
    /// In bytes.
    const BYTES: usize;

    /// In bytes, where anybody may call the route while callers are asked for an identity elsewhere; the body then has
    /// to come at a pace, too.
    fn of_anybody(_: &AnonymousBounds) -> Option<usize> {
        None
    }
}

/// 16 MiB.
#[derive(Debug)]
pub struct Usual;

/// 100 MiB: whole files travel.
#[derive(Debug)]
pub struct Files;

/// 1 MiB.
#[derive(Debug)]
pub struct Small;

/// [`Usual`] of a login, say, which anybody may send.
#[derive(Debug)]
pub struct UsualOfAnybody;

/// [`Small`] of a poll or a refresh, which anybody may send.
#[derive(Debug)]
pub struct SmallOfAnybody;

/// [`Small`] of a request to join, which anybody may send.
#[derive(Debug)]
pub struct Enrollment;

impl BodyLimit for Usual {
    const BYTES: usize = 16 * 1024 * 1024;
}

impl BodyLimit for Files {
    const BYTES: usize = LONGEST;
}

impl BodyLimit for Small {
    const BYTES: usize = 1024 * 1024;
}

impl BodyLimit for UsualOfAnybody {
    const BYTES: usize = Usual::BYTES;

    fn of_anybody(bounds: &AnonymousBounds) -> Option<usize> {
        Some(bounds.body)
    }
}

impl BodyLimit for SmallOfAnybody {
    const BYTES: usize = Small::BYTES;

    fn of_anybody(bounds: &AnonymousBounds) -> Option<usize> {
        Some(bounds.body)
    }
}

impl BodyLimit for Enrollment {
    const BYTES: usize = Small::BYTES;

    fn of_anybody(bounds: &AnonymousBounds) -> Option<usize> {
        Some(bounds.enrollment_body)
    }
}
