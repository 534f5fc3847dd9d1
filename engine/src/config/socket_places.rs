//! How many sockets may be open at once. No variables: production runs with the defaults, tests lower what they would
//! otherwise have to fill.

/// How many sockets may be open at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketPlaces {
    /// All of them; far above any fleet.
    pub all: usize,
    /// Those that showed no identity, under a policy that asks for one. The rest is for agents and operators.
    pub anonymous: usize,
}

impl Default for SocketPlaces {
    fn default() -> Self {
        Self {
            all: 50_000,
            anonymous: 10_000,
        }
    }
}
